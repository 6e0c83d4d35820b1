"""What counts as a picture here, and the one place where a file becomes an open Pillow image.

Pillow tries every format it knows, whatever a file is called: an EPS file named a.png would be handed to Ghostscript.
So the formats are listed, and nothing else is tried. The limit of pixels is ours for all of them.
"""

import importlib
import io
import logging
import os
import stat
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from .text import one_line, shown

# A plugin registers its format when it is imported: all of them here, so that no thread meets half of them.
for _name in "Avif Bmp Gif Jpeg Jpeg2K Mpo Png Ppm Qoi Tga Tiff WebP".split():
    importlib.import_module(f"PIL.{_name}ImagePlugin")

SUFFIXES = {  # Pillow's name of a format -> the suffixes it goes by
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "JPEG2000": (".jp2", ".j2k", ".jpf", ".jpx", ".jpc", ".j2c"),
    "AVIF": (".avif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "QOI": (".qoi",),
    "TGA": (".tga", ".icb", ".vda", ".vst"),
}
FORMATS = tuple(name for name in SUFFIXES if name in Image.OPEN)  # AVIF, WebP, ...: as Pillow was built
PICTURE_SUFFIXES = frozenset(suffix for name in FORMATS for suffix in SUFFIXES[name])

MOST_PIXELS = 200_000_000
MOST_BYTES = 2**32  # of one file
# Pillow's own limit, which it keeps in a global and asks at other moments for every format, must not come first.
# (TIFF samples of up to four channels are decoded as so many grey pixels.)
Image.MAX_IMAGE_PIXELS = 4 * MOST_PIXELS
# Of damage, a picture's notes and errors tell: not Pillow beside them.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


class PictureError(Exception):
    """A picture that cannot be used; the message is one line, 'PATH: what is wrong; remedy', its characters escaped."""

    def __str__(self):
        return shown(super().__str__(), 2000)


def read_file(path):
    """The bytes of a picture's file. Raises PictureError for what is missing, empty, huge or no regular file: pipes and
    devices would be waited for, or never end."""
    path = Path(path)
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise PictureError(f"{path}: not a file; give the path of one picture")
        if status.st_size == 0:
            raise PictureError(f"{path}: the file is empty; export or download it again")
        if status.st_size > MOST_BYTES:
            raise PictureError(f"{path}: {status.st_size >> 20} MiB, over {MOST_BYTES >> 20}; reduce the picture first")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PictureError(f"{path}: no such file; check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise PictureError(f"{path}: cannot be opened ({one_line(error)}); check name and permissions") from error


def read_member(archive, member, most):
    """The bytes of a zip's member, at most as many as its directory claims and `most` allows.

    archive: zipfile.ZipFile. Raises ValueError for more, or a method of compression that cannot be stopped half-way,
    and what zipfile raises for damage, such as a claim that is not true.
    """
    info = archive.getinfo(member)
    if info.file_size > most:
        raise ValueError(f"{info.file_size / 2**20:.0f} MiB, over {most >> 20}")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("compressed by another method than deflate")
    with archive.open(info) as file:
        return file.read(info.file_size + 1)  # read() alone would inflate gigabytes before it looks at the claim


def open_image(path, content=None):
    """The Pillow image of a picture's bytes, opened but not decoded; to be closed by the caller (`with`).

    content: the bytes, or a file open for reading, of which only the header is read until the image is loaded; None =
    the file of this path, which otherwise only names it in messages. TGA, which has no signature, is tried only under
    its own suffixes. Raises PictureError for what is no picture of FORMATS or has over 200 Mpixel.
    """
    content = read_file(path) if content is None else content
    if content == b"":
        raise PictureError(f"{path}: the file is empty; export or download it again")
    tga = Path(str(path)).suffix.lower() in SUFFIXES["TGA"]
    formats = [name for name in FORMATS if name != "TGA" or tga]
    try:
        image = Image.open(io.BytesIO(content) if isinstance(content, bytes) else content, formats=formats)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(f"{path}: over 200 million pixels; reduce the picture first") from error
    except UnidentifiedImageError as error:
        raise PictureError(f"{path}: not a picture in a known format; save it as PNG or JPEG") from error
    except MemoryError:
        raise
    except Exception as error:  # every plugin has its own set of exceptions for damaged data
        raise PictureError(f"{path}: cannot be opened ({one_line(error)}); save or download it again") from error
    check_size(path, *image.size)
    return image


def check_size(path, width, height):
    """Raises PictureError for more than MOST_PIXELS."""
    if width * height > MOST_PIXELS:
        raise PictureError(f"{path}: {width} x {height} pixels, over 200 million; reduce the picture first")


def array_of(image):
    """np.asarray(image), which would build it of a million pieces and leave the memory in pieces: in bands of rows."""
    width, height = image.size
    first = np.asarray(image.crop((0, 0, width, 1)))
    array = np.empty((height, *first.shape[1:]), first.dtype)
    for rows in bands((height, width)):
        array[rows] = np.asarray(image.crop((0, rows.start, width, rows.stop)))
    return array


def bands(shape):
    """Slices of rows of a million pixels or so that make up an image [H, W, ...]."""
    step = max(2**20 // max(shape[1], 1), 1)
    return [slice(top, min(top + step, shape[0])) for top in range(0, shape[0], step)]


# -- PNG (W3C, third edition): signature, then chunks of length, name, data, CRC

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


def png_chunks(data):
    """Yields (name, whole chunk) of a PNG file, up to IEND."""
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        yield name, data[position : position + 12 + length]
        if name == b"IEND":
            return
        position += 12 + length


def without_metadata(data):
    """A PNG file of the chunks that make the picture, and no other; files of other kinds as they are."""
    if not data.startswith(PNG_SIGNATURE):
        return data
    return PNG_SIGNATURE + b"".join(chunk for name, chunk in png_chunks(data) if name in PNG_NEEDED)
