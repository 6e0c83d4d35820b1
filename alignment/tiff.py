"""TIFF files of grey or RGB samples, every bit of them: 8 to 64 bits, whole or floating point, in strips or tiles,
pixel by pixel or plane by plane, with any channels beside. Pillow reads these as 8 bits or not at all.

Decoding is left to Pillow's libtiff, by a directory that calls the samples what they are to a decompressor: the bytes
of a grey picture, several times as wide. What the file's predictor did to them is undone here. (TIFF 6.0, 1992; the
floating-point predictor: Adobe Photoshop TIFF Technical Note 3, 2005.)
"""

import io
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from .formats import array_of

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0")  # the last: BigTIFF (Pillow reads no big-endian one)
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2
COMPRESSIONS = (1, 5, 8, 32773, 32946, 34925, 50000)  # none, LZW, deflate, PackBits, deflate, LZMA, Zstandard
UNNAMED, PREMULTIPLIED, STRAIGHT = 0, 1, 2  # kinds of extra samples
MOST_CHANNELS = 64


@dataclass(frozen=True)
class Tiff:
    """values: [H, W, C] as stored, in the machine's byte order, not turned; white is the largest. alpha: UNNAMED where
    there is none, PREMULTIPLIED or STRAIGHT; then the last channel. beside: [H, W, K], further channels."""

    values: np.ndarray
    alpha: int
    beside: np.ndarray
    orientation: int


def is_tiff(data):
    return data[:4] in SIGNATURES


def read_directory(data, at=None):
    """The first directory of a TIFF file, or the one that starts `at`; to be read like {tag: value}."""
    file = io.BytesIO(data)
    directory = ImageFileDirectory_v2(file.read(16 if data[2:3] == b"+" else 8))
    file.seek(directory.next if at is None else at)
    directory.load(file)
    return directory


def size_of(directory):
    """(width, height) as stored, or None."""
    size = directory.get(256), directory.get(257)
    return size if all(isinstance(side, int) and side > 0 for side in size) else None


def check_cover(directory):
    """Raises ValueError where strips or tiles do not cover the picture: what is missing would be black."""
    width, height = size_of(directory)
    if 322 in directory:
        needed = -(-width // max(directory[322], 1)) * -(-height // max(directory[323], 1))
        there = directory.get(324, ())
    else:
        needed = -(-height // max(directory.get(278, height), 1))
        there = directory.get(273, ())
    if len(there) < needed:
        raise ValueError(f"{len(there)} of {needed} strips or tiles are there")


def read_tiff(data, directory):
    """The samples of a file as `Tiff`, or None where Pillow has to read it: palette, CMYK, JPEG inside, odd bits, ...

    Raises whatever Pillow raises for damaged data, and ValueError.
    """
    (width, height), photometric = size_of(directory), directory.get(262, WHITE_IS_ZERO)
    channels, bits = directory.get(277, 1), set(directory.get(258, (1,)))
    kinds, planes = set(directory.get(339, (1,))), directory.get(284, 1)
    colours = 3 if photometric == RGB else 1
    if photometric > RGB or directory.get(259, 1) not in COMPRESSIONS or not colours <= channels <= MOST_CHANNELS:
        return None
    kind = {1: "u", 2: "i", 3: "f", 4: "u"}.get(kinds.pop() if len(kinds) == 1 else 0)
    bits = bits.pop() if len(bits) == 1 else 0
    if kind is None or bits not in (8, 16, 32, 64) or (kind, bits) == ("f", 8) or planes not in (1, 2):
        return None
    if width * height * channels * bits // 8 > 2**35:
        raise MemoryError
    dtype = np.dtype(f"{'<' if data[:2] == b'II' else '>'}{kind}{bits // 8}")
    if planes == 2 and channels > 1:
        values = np.dstack([_bytes(data, directory, 1, dtype, (plane, channels)) for plane in range(channels)])
    else:
        values = _bytes(data, directory, channels, dtype)
    values = values[:height, :width].astype(dtype.newbyteorder("="), copy=False)  # [H, W, C]
    if photometric == WHITE_IS_ZERO:
        top = 1 if kind == "f" else np.iinfo(dtype).max
        values = np.concatenate([top - values[..., :1], values[..., 1:]], axis=2)

    extra = tuple(directory.get(338, ()))[: channels - colours]
    extra += (STRAIGHT if not extra and channels == colours + 1 else UNNAMED,) * (channels - colours - len(extra))
    at = next((colours + i for i, e in enumerate(extra) if e in (PREMULTIPLIED, STRAIGHT)), None)
    taken = [*range(colours), *([] if at is None else [at])]
    beside = [i for i in range(colours, channels) if i != at]
    alpha = UNNAMED if at is None else extra[at - colours]
    orientation = directory.get(274, 1)
    return Tiff(values if not beside else values[..., taken], alpha, values[..., beside], orientation)


def _bytes(data, directory, channels, dtype, plane=None):
    """The samples of the whole file, or of plane (index, count) alone: [H', W', channels], H' and W' of whole tiles."""
    (width, height), step = size_of(directory), channels * dtype.itemsize  # bytes a pixel
    tiled = 322 in directory
    across, down = (directory[322], directory[323]) if tiled else (width, height)
    if min(across, down) < 1:
        raise ValueError("tiles without a size")
    padded = -(-width // across) * across
    pieces = {tag: list(directory[tag]) for tag in ((324, 325) if tiled else (273, 279)) if tag in directory}
    if plane:
        index, count = plane
        pieces = {tag: of[index * len(of) // count : (index + 1) * len(of) // count] for tag, of in pieces.items()}
    entries = {256: padded * step, 257: height, 258: 8, 259: directory.get(259, 1), 262: BLACK_IS_ZERO,
               266: directory.get(266, 1), 277: 1, 284: 1, **pieces}  # fmt: skip
    entries |= {322: across * step, 323: down} if tiled else {278: min(directory.get(278, height), height)}
    with Image.open(io.BytesIO(_with_directory(data, entries)), formats=["TIFF"]) as image:
        rows = array_of(image)  # uint8 [H, padded * step]
    predictor = directory.get(317, 1) if directory.get(259, 1) in (5, 8, 32946, 34925, 50000) else 1
    if predictor == 1:
        return rows.view(dtype).reshape(height, padded, channels)
    tiles = rows.reshape(height, padded // across, across * step)  # [H, tiles across, bytes]
    if predictor == 2:  # differences to the pixel on the left
        values = tiles.view(dtype).reshape(height, -1, across, channels)
        values = np.cumsum(values, axis=2, dtype=dtype.newbyteorder("="))
    elif predictor == 3 and dtype.kind == "f":  # the same of the bytes, the highest of all samples first
        sums = np.cumsum(tiles.reshape(*tiles.shape[:2], -1, channels), axis=2, dtype=np.uint8)
        planes = sums.reshape(*tiles.shape[:2], dtype.itemsize, -1).swapaxes(2, 3)  # [H, tiles, samples, bytes]
        values = np.ascontiguousarray(planes).view(dtype.newbyteorder(">"))
    else:
        raise ValueError(f"predictor {predictor} is unknown")
    return values.reshape(height, padded, channels)


def _with_directory(data, entries):
    """The file with another first directory: {tag: whole number or list of them}."""
    order, big = ("<" if data[:2] == b"II" else ">"), data[2:3] == b"+"
    at, size, number, how_many, kind = (8, 8, "Q", "Q", 16) if big else (4, 4, "I", "H", 4)  # LONG8 or LONG
    start = len(data) + len(data) % 2
    directory, beyond = struct.pack(order + how_many, len(entries)), b""
    behind = start + len(directory) + len(entries) * (4 + 2 * size) + size
    for tag, value in sorted(entries.items()):
        values = value if isinstance(value, list) else [value]
        packed = struct.pack(f"{order}{len(values)}{number}", *values)
        if len(packed) > size:
            packed, beyond = struct.pack(order + number, behind + len(beyond)), beyond + packed
        directory += struct.pack(f"{order}HH{number}", tag, kind, len(values)) + packed
    header = data[:at] + struct.pack(order + number, start)
    return b"".join([header, data[len(header) :], bytes(start - len(data)), directory, bytes(size), beyond])


def tiff_bytes(values, tags, alpha, beside=None):
    """A TIFF file: one deflated strip (Pillow writes no 16-bit RGB).

    values: uint8, uint16, uint32 or float [H, W, C], alpha (not premultiplied) last where `alpha` says so. tags:
    further ones, {tag: value}. beside: [H, W, K], channels of no known meaning.
    """
    beside = values[..., :0] if beside is None else beside
    kinds = ((STRAIGHT,) if alpha else ()) + (UNNAMED,) * beside.shape[2]
    values = values if not beside.shape[2] else np.concatenate([values, beside], axis=2)
    height, width, channels = values.shape
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    strip = zlib.compress(np.ascontiguousarray(little).data)
    directory = ImageFileDirectory_v2()  # little-endian
    for code, value in tags.items():
        directory[code] = value
    directory[256], directory[257], directory[258] = width, height, (8 * values.itemsize,) * channels
    directory[259], directory[262] = 8, RGB if channels - len(kinds) == 3 else BLACK_IS_ZERO
    if kinds:
        directory[338] = kinds
    if values.dtype.kind in "if":
        directory[339] = ({"i": 2, "f": 3}[values.dtype.kind],) * channels
    directory[277], directory[278], directory[279] = channels, height, len(strip)
    directory[273] = 0  # where the strip starts, counted from the directory's end: Pillow adds the rest
    return b"II*\0\x08\0\0\0" + directory.tobytes(8) + strip
