"""Read any picture as upright 8-bit RGB, and write PNG files whole or not at all.

A face that lies on its side or a picture clipped to white fails silently ten steps later, so everything that has to be
changed to arrive at 8-bit RGB is changed here and noted, and what cannot be read is refused here with a remedy. What
the file holds beyond that is kept beside it (originals.py), for the way back.
"""

import io
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from weights.files import written_atomically

from .originals import Original, read_original

SMALLEST_SIDE = 32  # pixels; below this there is no face to find
MOST_PIXELS = 200_000_000

# EXIF tag 0x0112 (Orientation) -> how to turn the stored pixels upright
ORIENTATION_TAG = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PictureError(Exception):
    """A picture that cannot be used; the message is one line, 'PATH: what is wrong; remedy'."""


@dataclass(frozen=True)
class Picture:
    """pixels: uint8 [H, W, 3] RGB, upright, what detectors and networks see. notes: one short line for each conversion
    that was needed. original: the file's own samples and all it says about them."""

    pixels: np.ndarray
    notes: tuple[str, ...]
    original: Original


def read_picture(path, content=None):
    """Read a picture of any format that Pillow knows as a `Picture`.

    content: the bytes of the file, where it is no file of its own (a member of a zip); `path` then only names it.
    Raises PictureError for a missing, empty, damaged, too small (below 32 pixels on a side) or too large (over 200
    Mpixel) file, and for sample values that have no clear meaning.
    """
    if content is None:
        path = Path(path)
        if not os.path.exists(path):
            raise PictureError(f"{path}: no such file; check the path")
        if not os.path.isfile(path):
            raise PictureError(f"{path}: not a file; give the path of one picture")
    if (path.stat().st_size if content is None else len(content)) == 0:
        raise PictureError(f"{path}: the file is empty; export or download it again")

    with _open(path, content) as image:
        width, height = image.size
        if width * height > MOST_PIXELS:
            raise PictureError(f"{path}: {width} x {height} pixels, over 200 million; reduce the picture first")
        if min(width, height) < SMALLEST_SIDE:
            raise PictureError(f"{path}: {width} x {height} pixels, under {SMALLEST_SIDE}; use a larger picture")
        try:
            deep = any(";16" in str(tile.args) for tile in image.tile)  # known only until the pixels are loaded
            frames = getattr(image, "n_frames", 1)
            image.load()
            turn = image.getexif().get(ORIENTATION_TAG, 1)  # after loading: Pillow turns TIFF files by itself
        except Exception as error:  # every decoder has its own set of exceptions for damaged data
            raise PictureError(f"{path}: damaged or cut short ({_line(error)}); save or download it again") from error
        notes = [f"first of {frames} frames taken"] if frames > 1 else []
        rgb, conversions = _to_rgb(path, image, deep)
        notes += conversions
        if turn in UPRIGHT:
            rgb = rgb.transpose(UPRIGHT[turn])
            notes.append("turned upright as its EXIF orientation asks")
        pixels = np.asarray(rgb).copy()  # [H, W, 3]
        if content is not None:  # a member of a zip is never written back
            return Picture(pixels, tuple(notes), Original(pixels))
        return Picture(pixels, tuple(notes), read_original(path, image, pixels, deep, UPRIGHT.get(turn)))


def check_picture(pixels):
    """Raise ValueError unless `pixels` is a uint8 array [H, W, 3], the form every function here works on."""
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError("a picture is a uint8 array [H, W, 3]")


def write_png(path, pixels):
    """Write uint8 [H, W, 3] (RGB) or [H, W] (grey) as PNG. The file appears whole or not at all.

    Missing folders are made. Raises ValueError for other arrays, OSError when the disk refuses.
    """
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        raise ValueError(f"expected uint8 [H, W, 3] or [H, W], got {pixels.dtype} {list(pixels.shape)}")
    with written_atomically(path) as unfinished:
        Image.fromarray(pixels).save(unfinished, format="PNG")


def _open(path, content):
    """Open without decoding; our own size limit in place of Pillow's two (a warning, then an error)."""
    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(path if content is None else io.BytesIO(content))
    except Image.DecompressionBombError as error:
        raise PictureError(f"{path}: over 200 million pixels; reduce the picture first") from error
    except UnidentifiedImageError as error:
        raise PictureError(f"{path}: not a picture in a known format; save it as PNG or JPEG") from error
    except Exception as error:
        raise PictureError(f"{path}: cannot be opened ({_line(error)}); check permissions or save it again") from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _to_rgb(path, image, deep):
    """(image of mode RGB, notes). deep: the file stores 16 bits a sample, of which Pillow kept the upper 8."""
    mode = image.mode
    if mode.startswith("I;16"):
        grey = np.rint(np.asarray(image, np.float32) / 257)  # 65535 / 255 = 257
        return _grey(grey), ["16-bit grayscale converted to 8-bit RGB"]
    if mode in ("I", "F"):
        return _grey(_numbers_to_grey(path, np.asarray(image, np.float64))), ["32-bit grayscale converted to 8-bit RGB"]

    notes = ["16-bit samples: the networks see 8 of them"] if deep else []
    if image.has_transparency_data:  # an alpha channel, or one colour declared transparent
        over = Image.new("RGBA", image.size, "white")
        over.alpha_composite(image.convert("RGBA"))
        return over.convert("RGB"), notes + [f"transparency ({mode}) laid over white for the networks"]
    if mode == "RGB":
        return image, notes
    if mode == "CMYK":
        return _cmyk_to_rgb(image), notes + ["CMYK converted to RGB"]
    name = {"1": "black and white", "L": "grayscale", "P": "palette"}.get(mode, mode)
    return image.convert("RGB"), notes + [f"{name} converted to RGB"]


def _numbers_to_grey(path, values):
    """Grey levels 0 to 255 of samples whose range the file does not tell: [0, 1], [0, 255] or [0, 65535]."""
    if not np.isfinite(values).all():
        raise PictureError(f"{path}: holds NaN or infinite samples; save it as 8-bit PNG")
    if values.min() < 0 or values.max() > 65535:
        raise PictureError(f"{path}: samples outside 0 to 65535; save it as 8-bit PNG")
    white = next(top for top in (1, 255, 65535) if values.max() <= top)
    return np.rint(values * (255 / white))


def _grey(levels):
    return Image.fromarray(levels.astype(np.uint8)).convert("RGB")


def _cmyk_to_rgb(image):
    """Through the colour profile in the file where there is a sound one."""
    profile = image.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            pass
    return image.convert("RGB")


def _line(error):
    """The first line of an exception's text."""
    return (str(error).splitlines() or [type(error).__name__])[0]
