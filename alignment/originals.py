"""What a picture's file holds beyond the 8-bit RGB that the networks see, and how a changed picture is written alike.

Kept: format, bit depth (8 and 16; TIFF: 32 and floating point, too), alpha, further channels, colour profile, EXIF and
the like. PNG, TIFF, BMP and WebP (written without loss) give back every sample as it was; JPEG is coded again with the
tables of its file. What has no way back (CMYK, GIF, ...) becomes a PNG. Metadata that cannot be written again, or makes
a file that cannot be read again, is trimmed or dropped, and that is noted.
"""

import io
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, JpegImagePlugin

from weights.files import written_atomically

from .formats import SUFFIXES, open_image, png_chunks
from .samples import MODES, of_levels, swapped
from .tiff import read_directory, tiff_bytes

WRITTEN = {  # Pillow's name of a format -> suffixes it is written under; the first stands in for any other
    "PNG": (".png",),
    "JPEG": (".jpg", *(suffix for suffix in SUFFIXES["JPEG"] if suffix not in (".jpg", ".mpo"))),
    "MPO": (".jpg", ".jpeg"),  # JPEG with more pictures behind the first
    "TIFF": SUFFIXES["TIFF"],
    "WEBP": (".webp",),
    "BMP": (".bmp",),
}
FORMAT_OF = {suffix: name for name, suffixes in WRITTEN.items() for suffix in suffixes if name != "MPO"}
PNG_KEPT = (b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"cICP", b"pHYs", b"eXIf", b"tEXt", b"zTXt", b"iTXt")
PNG_HEADER = 8 + 25  # signature and IHDR: 12 bytes around 13
EXIF_IFD, GPS_IFD, MAKER_NOTE, ORIENTATION = 34665, 34853, 37500, 0x0112
# Description, maker, model, resolution, software, date, artist, host, copyright, XMP, IPTC, Photoshop, colour profile
TIFF_KEPT = (270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 33432, 700, 33723, 34377, 34675)
LONGEST_WEBP = 16383  # pixels
LONGEST_EXIF = 65533  # bytes: what a JPEG segment holds


@dataclass(frozen=True)
class Original:
    """samples: uint8 or uint16 [H, W, C], upright, as the file holds them; C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGB
    and alpha (not premultiplied). suffix: of the format to write. metadata: {name: value}, what else goes into such a
    file. settings: how its coder is called. numbers: (float or uint32 [H, W, C], value of white), what the samples were
    made of. beside: [H, W, K], channels of no known meaning."""

    samples: np.ndarray
    suffix: str = ".png"
    metadata: dict = field(default_factory=dict)
    settings: dict = field(default_factory=dict)
    numbers: tuple | None = None
    beside: np.ndarray | None = None


def write_original(path, original, samples):
    """Write changed samples, of the form of original.samples, as the picture's file was; returns the path.

    path: without a suffix. The file appears whole or not at all. Raises ValueError for samples of another form.
    """
    if samples.shape != original.samples.shape or samples.dtype != original.samples.dtype:
        raise ValueError(f"expected {original.samples.dtype} {list(original.samples.shape)}, got {samples.dtype} "
                         f"{list(samples.shape)}")  # fmt: skip
    values = samples
    if original.numbers is not None:
        values = of_levels(samples, original.numbers)
        same = (samples == original.samples).all(axis=2)  # [H, W]: nothing is rounded where nothing was changed
        values[same] = original.numbers[0][same]
    data = encoded(values, original.suffix, original.metadata, original.settings, original.beside)
    path = Path(f"{path}{original.suffix}")
    with written_atomically(path) as unfinished:
        unfinished.write_bytes(data)
    return path


def encoded(values, suffix, metadata, settings, beside=None):
    """The bytes of a picture file; arguments as in `Original`. Raises whatever the coder raises."""
    kind = FORMAT_OF[suffix]
    if kind == "PNG":
        return _png(values, b"".join(metadata.values()))
    if kind == "TIFF":
        return tiff_bytes(values, metadata, values.shape[2] in (2, 4), beside)
    if kind == "BMP" and values.shape[2] == 4:
        return _bmp(values)
    file = io.BytesIO()
    _pillow_image(values).save(file, format=kind, **metadata, **settings)
    return file.getvalue()


def way_back(path, content, described):
    """(suffix, metadata, settings, notes) of the file that a picture will be written as.

    content: the file's bytes. described: the directory of a TIFF file, otherwise the loaded Pillow image.
    """
    kind = getattr(described, "format", "TIFF")
    if kind not in WRITTEN:
        return ".png", {}, {}, []
    own = Path(path).suffix.lower()
    suffix = own if own in WRITTEN[kind] else WRITTEN[kind][0]
    settings, notes, damaged = {}, [], []
    if kind == "PNG":
        metadata, damaged = _kept_chunks(content)
    elif kind == "TIFF":
        metadata, damaged = _tiff_tags(described, content)
    else:
        metadata = {name: described.info[name] for name in ("icc_profile", "xmp") if described.info.get(name)}
        exif = described.info.get("exif", b"")
        if exif and not (upright := upright_exif(exif)):
            damaged.append("EXIF")
        elif exif:
            metadata["exif"] = upright
            if len(upright) > LONGEST_EXIF and kind in ("JPEG", "MPO"):
                metadata["exif"] = _without_maker_note(upright)
                notes.append("EXIF over 64 KiB: written without the camera maker's own note")
        if kind == "WEBP":
            settings = {"lossless": True, "exact": True}
        elif kind in ("JPEG", "MPO"):
            metadata |= {name: described.info[name] for name in ("dpi", "comment") if described.info.get(name)}
            settings = {"qtables": described.quantization, "progressive": bool(described.info.get("progressive")),
                        "subsampling": JpegImagePlugin.get_sampling(described)}  # fmt: skip
    if damaged:
        notes.append(f"damaged metadata dropped: {', '.join(damaged)}")
    return suffix, metadata, settings, notes


def sound(original):
    """(`original`, or one without the metadata that makes no readable file, notes): tried on a picture of 16 x 16."""
    channels = original.samples.shape[2]
    values = original.samples if original.numbers is None else original.numbers[0]
    tiny = np.zeros((16, 16, channels), values.dtype)
    if original.suffix == ".webp" and max(original.samples.shape) > LONGEST_WEBP:  # an animation's canvas
        return Original(original.samples), ["over what WebP holds in one picture: becomes a PNG"]
    if _readable(tiny, original, original.metadata):
        return original, []
    if original.suffix in WRITTEN["TIFF"] and not _readable(tiny, original, {}):  # of a depth that Pillow does not read
        try:
            encoded(tiny, original.suffix, original.metadata, original.settings)
            return original, []
        except Exception:  # whatever a coder makes of it
            pass
    if original.settings and not _readable(tiny, original, {}):  # JPEG with tables that nobody may write
        changed = Original(original.samples, numbers=None, metadata={})
        return changed, ["its coder's settings cannot be written again: becomes a PNG"]
    kept, dropped = {}, []
    for name, value in original.metadata.items():
        if _readable(tiny, original, kept | {name: value}):
            kept[name] = value
        else:
            dropped.append(str(name).split(" ")[0])
    fields = {name: getattr(original, name) for name in ("samples", "suffix", "settings", "numbers", "beside")}
    return Original(**fields, metadata=kept), [f"metadata that cannot be written again dropped: {', '.join(dropped)}"]


def _readable(tiny, original, metadata):
    try:
        data = encoded(tiny, original.suffix, metadata, original.settings)
        with open_image("tried", data) as image:
            image.load()
            exif = image.getexif()
            for code in (EXIF_IFD, GPS_IFD):
                exif.get_ifd(code)
            return image.size == (16, 16)
    except Exception:  # whatever a coder, or a reader, makes of it
        return False


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


def _without_maker_note(data):
    """EXIF written anew, without what cameras add in a form of their own and the bytes of the thumbnail; b"" where it
    cannot be read or is still too long."""
    exif = Image.Exif()
    try:
        exif.load(data)
        exif.get_ifd(EXIF_IFD).pop(MAKER_NOTE, None)
        anew = exif.tobytes()
    except Exception:  # Pillow has many for damaged directories
        return b""
    return anew if len(anew) <= LONGEST_EXIF else b""


def _pillow_image(samples):
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples, MODES[samples.shape[2]])


def _kept_chunks(data):
    """({name and number: chunk} of what a PNG file says besides its samples, names of damaged ones)."""
    kept, damaged = {}, []
    for name, chunk in png_chunks(data):
        if name not in PNG_KEPT:
            continue
        exif = upright_exif(chunk[8:-4]) if name == b"eXIf" else None
        if exif == b"" or struct.pack(">I", zlib.crc32(chunk[4:-4])) != chunk[-4:]:
            damaged.append(name.decode())
        else:
            kept[f"{name.decode()} {len(kept)}"] = chunk if exif is None else png_chunk(name, exif)
    return kept, damaged


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png(samples, chunks):
    """A PNG file with further chunks behind its header."""
    if samples.dtype == np.uint16:
        import cv2

        if samples.shape[2] == 2:  # OpenCV writes no grey with alpha: as colours
            samples = samples[..., [0, 0, 0, 1]]
        data = cv2.imencode(".png", swapped(samples))[1].tobytes()
    else:
        file = io.BytesIO()
        _pillow_image(samples).save(file, format="PNG")
        data = file.getvalue()
    return data[:PNG_HEADER] + chunks + data[PNG_HEADER:]


def _bmp(samples):
    """A BMP file of version 4, the first one with alpha (Pillow writes version 3): uint8 [H, W, 4]."""
    height, width = samples.shape[:2]
    size = 4 * width * height
    header = struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, 3, size, 2835, 2835, 0, 0)
    header += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
    return b"BM" + struct.pack("<IHHI", 122 + size, 0, 0, 122) + header + samples[::-1, :, [2, 1, 0, 3]].tobytes()


def _tiff_tags(directory, content):
    """({tag: value} worth keeping, the EXIF directories as dictionaries, names of damaged ones)."""
    tags, damaged = {code: directory[code] for code in TIFF_KEPT if code in directory}, []
    for code, name in ((EXIF_IFD, "EXIF"), (GPS_IFD, "GPS")):
        if code in directory:
            try:
                tags[code] = dict(read_directory(content, directory[code]))
            except Exception:  # Pillow has many for damaged directories
                damaged.append(name)
    return tags, damaged
