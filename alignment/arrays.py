"""Pictures that are in memory already: NumPy arrays and PIL images, as a Picture."""

import numpy as np
from PIL import Image, ImageOps

from .formats import PictureError
from .originals import Original
from .pictures import SMALLEST_SIDE, Picture
from .samples import to_rgb8


def as_picture(given):
    """A Picture of a NumPy array, uint8 or uint16, [H, W] or [H, W, C] (1 grey, 2 grey and alpha, 3 RGB, 4 RGB and
    alpha), or of a PIL image, which is turned upright as its EXIF asks.

    Raises PictureError for anything else, and below 32 pixels on a side.
    """
    samples = _samples(given) if isinstance(given, Image.Image) else given
    if not isinstance(samples, np.ndarray):
        raise PictureError(f"a {type(given).__name__} is no picture; give a path, a NumPy array or a PIL image")
    if samples.ndim == 2:
        samples = samples[..., None]
    if samples.dtype not in (np.uint8, np.uint16) or samples.ndim != 3 or not 1 <= samples.shape[2] <= 4:
        found = f"{samples.dtype} {list(samples.shape)}"
        raise PictureError(f"an array of {found} is no picture; give uint8 or uint16 [H, W] or [H, W, 1 to 4]")
    if min(samples.shape[:2]) < SMALLEST_SIDE:
        raise PictureError(
            f"{samples.shape[1]} x {samples.shape[0]} pixels, under {SMALLEST_SIDE}; use a larger picture"
        )
    samples = np.ascontiguousarray(samples)
    return Picture(to_rgb8(samples), (), Original(samples))


def _samples(image):
    """A PIL image as an array of a form that `as_picture` takes."""
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        numbers = np.asarray(image)
        whole = numbers.dtype.kind in "iu" and 0 <= numbers.min() and numbers.max() <= 65535
        if not whole:
            found = f"a PIL image of mode {image.mode} with values from {numbers.min():g} to {numbers.max():g}"
            raise PictureError(f"{found} is no picture; give one of 8 or 16 bits, or the file's path")
        return numbers.astype(np.uint16)
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    return np.asarray(image)
