"""What a picture's file holds beyond the 8-bit RGB that the networks see, and how a changed picture is written alike.

Kept: format, bit depth (8 and 16), alpha, colour profile, EXIF and the like. PNG, TIFF, BMP and WebP (written without
loss) give back every sample as it was; JPEG is coded again with the tables of its file. What has no way back (CMYK,
floating point, GIF, ...) becomes an 8-bit PNG.
"""

import io
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, JpegImagePlugin
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from weights.files import written_atomically

SUFFIXES = {  # Pillow's name of a format -> suffixes it goes by; the first stands in for any other
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg"),
    "MPO": (".jpg", ".jpeg"),  # JPEG with more pictures behind the first
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
}
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_KEPT = (b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"cICP", b"pHYs", b"eXIf", b"tEXt", b"zTXt", b"iTXt")
EXIF_IFD, GPS_IFD, ORIENTATION = 34665, 34853, 0x0112
# Description, maker, model, resolution, software, date, artist, host, copyright, XMP, IPTC, Photoshop, colour profile
TIFF_KEPT = (270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 33432, 700, 33723, 34377, 34675)


@dataclass(frozen=True)
class Original:
    """samples: uint8 or uint16 [H, W, C], upright, as the file holds them; C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGB
    and alpha (not premultiplied). suffix: of the format to write. extras: what else goes into such a file."""

    samples: np.ndarray
    suffix: str = ".png"
    extras: dict = field(default_factory=dict)


def read_original(path, image, pixels, deep, turn):
    """The `Original` of a picture that Pillow has loaded.

    pixels: uint8 [H, W, 3], what the networks see. deep: the file stores 16 bits a sample. turn: the transposition that
    sets the stored samples upright, or None. Where the file's own samples cannot be kept, pixels take their place.
    """
    path = Path(path)
    suffixes = SUFFIXES.get(image.format)
    if suffixes is None:
        return Original(pixels)
    samples = (
        _deep_samples(path) if deep else _plain_samples(image)
    )  # [H', W', C] as stored; Pillow and OpenCV turn TIFF
    if samples is None:
        return Original(pixels)
    if turn is not None:
        bands = [Image.fromarray(np.ascontiguousarray(samples[..., c])) for c in range(samples.shape[2])]
        samples = np.dstack([np.asarray(band.transpose(turn)) for band in bands])  # [H, W, C]
    if samples.shape[:2] != pixels.shape[:2]:
        return Original(pixels)
    if np.array_equal(samples, pixels):
        samples = pixels
    suffix = path.suffix.lower() if path.suffix.lower() in suffixes else suffixes[0]
    return Original(samples, suffix, _extras(path, image, suffixes[0]))


def write_original(path, original, samples):
    """Write changed samples, of the form of original.samples, as the picture's file was; returns the path.

    path: without a suffix. The file appears whole or not at all. Raises ValueError for samples of another form.
    """
    if samples.shape != original.samples.shape or samples.dtype != original.samples.dtype:
        raise ValueError(f"expected {original.samples.dtype} {list(original.samples.shape)}, got {samples.dtype} "
                         f"{list(samples.shape)}")  # fmt: skip
    path = Path(f"{path}{original.suffix}")
    with written_atomically(path) as unfinished:
        if path.suffix == ".png":
            unfinished.write_bytes(_png(samples, original.extras.get("chunks", b"")))
        elif path.suffix in SUFFIXES["TIFF"]:
            unfinished.write_bytes(_tiff(samples, original.extras["tags"]))
        else:
            _pillow_image(samples).save(unfinished, **original.extras)
    return path


def to_rgb8(samples):
    """uint8 or uint16 [H, W, C] as in `Original` -> uint8 [H, W, 3], laid over white where it is transparent."""
    if samples.dtype == np.uint8 and samples.shape[2] == 3:
        return samples
    if samples.dtype == np.uint16:
        samples = (samples >> 8).astype(np.uint8)  # as Pillow reads 16 bits
    over = _pillow_image(samples)
    if samples.shape[2] in (2, 4):
        over = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over.convert("RGBA"))
    return np.asarray(over.convert("RGB"))


def _plain_samples(image):
    """uint8 [H, W, C] of a loaded image of 8 bits or fewer; None when its colours are of another kind."""
    mode = {"1": "L", "P": "RGB", "PA": "RGBA", "RGBX": "RGB", "RGBa": "RGBA", "La": "LA"}.get(image.mode, image.mode)
    if mode not in MODES.values():
        return None
    if image.has_transparency_data and mode in ("L", "RGB"):  # one colour, or entries of the palette, are transparent
        mode += "A"
    samples = np.asarray(image.convert(mode))
    return samples if samples.ndim == 3 else samples[..., None]


def _deep_samples(path):
    """uint16 [H, W, C] of a PNG or TIFF file; None when OpenCV reads it otherwise."""
    import cv2

    samples = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None or samples.dtype != np.uint16:
        return None
    return _swapped(samples if samples.ndim == 3 else samples[..., None])


def _swapped(samples):
    """RGB(A) <-> BGR(A), OpenCV's order; [H, W, 1, 3 or 4]."""
    return np.ascontiguousarray(samples[..., {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[samples.shape[2]]])


def _pillow_image(samples):
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples, MODES[samples.shape[2]])


def _extras(path, image, suffix):
    """What `write_original` puts into the file beside the samples."""
    if suffix == ".png":
        return {"chunks": b"".join(_png_chunks(path.read_bytes()))}
    if suffix == ".tif":
        return {"tags": _tiff_tags(path)}
    if suffix == ".bmp":
        return {"format": "BMP"}
    info = image.info
    kept = {name: info[name] for name in ("icc_profile", "xmp") if info.get(name)}
    exif = upright_exif(info.get("exif", b""))
    kept |= {"exif": exif} if exif else {}
    if suffix == ".webp":
        return kept | {"format": "WEBP", "lossless": True, "exact": True}
    kept |= {name: info[name] for name in ("dpi", "comment") if info.get(name)}
    return kept | {"format": "JPEG", "qtables": image.quantization, "progressive": bool(info.get("progressive")),
                   "subsampling": JpegImagePlugin.get_sampling(image)}  # fmt: skip


def upright_exif(data):
    """EXIF bytes with orientation 1, since the samples are upright now, and without the thumbnail, which shows the old
    face. Damaged EXIF becomes b""."""
    changed = bytearray(data)
    start = 6 if data.startswith(b"Exif\0\0") else 0
    order = {b"II": "<", b"MM": ">"}.get(data[start : start + 2])
    if order is None:
        return b""
    try:
        first = start + struct.unpack_from(order + "I", data, start + 4)[0]
        entries = struct.unpack_from(order + "H", data, first)[0]
        for entry in range(first + 2, first + 2 + 12 * entries, 12):
            if struct.unpack_from(order + "H", data, entry)[0] == ORIENTATION:
                struct.pack_into(order + "H", changed, entry + 8, 1)
        struct.pack_into(order + "I", changed, first + 2 + 12 * entries, 0)  # no second directory: the thumbnail
    except struct.error:
        return b""
    return bytes(changed)


# -- PNG (W3C, third edition): signature, then chunks of length, name, data, CRC


def _png_chunks(data):
    """The chunks of a PNG file that say something about the picture besides its samples, whole, in their order."""
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        chunk = data[position : position + 12 + length]
        if name == b"eXIf":
            yield _png_chunk(name, upright_exif(chunk[8:-4]))
        elif name in PNG_KEPT:
            yield chunk
        position += 12 + length


def _png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png(samples, chunks):
    """A PNG file with further chunks behind its header."""
    if samples.dtype == np.uint16:
        import cv2

        data = cv2.imencode(".png", _swapped(samples))[1].tobytes()
    else:
        file = io.BytesIO()
        _pillow_image(samples).save(file, format="PNG")
        data = file.getvalue()
    header = len(PNG_SIGNATURE) + 25  # IHDR: 12 bytes around 13
    return data[:header] + chunks + data[header:]


# -- TIFF 6.0: header, directory of tags, one deflated strip (Pillow writes no 16-bit RGB)


def _tiff_tags(path):
    with Image.open(path) as image:  # opened again: a loaded image has lost its way to the EXIF directories
        exif = image.getexif()
        tags = {code: image.tag_v2[code] for code in TIFF_KEPT if code in image.tag_v2}
        return tags | {code: dict(exif.get_ifd(code)) for code in (EXIF_IFD, GPS_IFD) if code in exif}


def _tiff(samples, tags):
    height, width, channels = samples.shape
    little = samples.astype(samples.dtype.newbyteorder("<"), copy=False)
    strip = zlib.compress(np.ascontiguousarray(little).tobytes())
    directory = ImageFileDirectory_v2()  # little-endian
    for code, value in tags.items():
        directory[code] = value
    directory[256], directory[257], directory[258] = width, height, (8 * samples.itemsize,) * channels
    directory[259], directory[262] = 8, 2 if channels >= 3 else 1  # deflate; RGB, or grey with black at 0
    if channels in (2, 4):
        directory[338] = 2  # the last sample is alpha, not premultiplied
    directory[277], directory[278], directory[279] = channels, height, len(strip)
    directory[273] = 0  # where the strip starts, counted from the directory's end: Pillow adds the rest
    return b"II*\0\x08\0\0\0" + directory.tobytes(8) + strip
