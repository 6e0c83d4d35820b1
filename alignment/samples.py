"""From a picture's bytes to its samples: uint8 or uint16 [H, W, C], as they stand in the file and not yet turned.

C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha, never premultiplied. This is the one way by which everything here
reads pictures: what the networks see is made of the samples by `to_rgb8`, and what is written back is made of them too.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms

from .formats import PictureError, array_of, bands
from .tiff import PREMULTIPLIED, UNNAMED

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
HIGHLIGHTS = 16  # floating-point samples up to here are light in [0, 1] with highlights, not grey levels to 255


@dataclass(frozen=True)
class Samples:
    """samples: as above. notes: one short line for each conversion that was needed. faithful: is there a way back from
    them to the file's own? numbers: float or uint32 [H, W, C] and the value of white, where the file holds such.
    beside: [H, W, K], channels of no known meaning, or None."""

    samples: np.ndarray
    notes: tuple = ()
    faithful: bool = True
    numbers: tuple | None = None
    beside: np.ndarray | None = None


def to_rgb8(samples):
    """uint8 or uint16 [H, W, C] as above -> uint8 [H, W, 3], laid over white where it is transparent."""
    if samples.dtype == np.uint8 and samples.shape[2] == 3:
        return samples
    pixels = np.empty((*samples.shape[:2], 3), np.uint8)
    for rows in bands(samples.shape):
        part = samples[rows] if samples.dtype == np.uint8 else to_8_bits(samples[rows])
        over = Image.fromarray(part[..., 0] if part.shape[2] == 1 else part, MODES[part.shape[2]])
        if part.shape[2] in (2, 4):
            over = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over.convert("RGBA"))
        pixels[rows] = np.asarray(over.convert("RGB"))
    return pixels


def to_8_bits(samples):
    """uint16 -> uint8, rounded: 65535 / 255 = 257."""
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def of_tiff(path, tiff):
    """The `Samples` of a `tiff.Tiff`. Raises PictureError for values without a clear meaning."""
    values, notes, numbers = tiff.values, [], None
    channels = values.shape[2]
    if values.dtype in (np.uint8, np.uint16):
        samples = values
    else:
        white = _white(path, values)
        samples, numbers = _levels(values, white), (values, white)
    if samples.dtype == np.uint16 and channels < 3:
        notes.append(f"{max(8 * values.itemsize, 16)}-bit grayscale converted to 8-bit RGB")
    elif samples.dtype == np.uint16:
        notes.append(f"{8 * values.itemsize}-bit samples: the networks see 8 of them")
    elif channels < 3:
        notes.append("grayscale converted to RGB")
    if tiff.alpha == PREMULTIPLIED:
        samples, numbers = _straight(samples), None
        notes.append("premultiplied alpha divided out")
    if tiff.alpha != UNNAMED:
        notes.append(f"transparency ({MODES[channels]}) laid over white for the networks")
    if tiff.beside.shape[2]:
        notes.append(f"{tiff.beside.shape[2]} further channels kept as they are")
    return Samples(samples, tuple(notes), True, numbers, tiff.beside)


def of_image(path, image, content):
    """The `Samples` of a Pillow image that is not loaded yet; content: the bytes it comes from.

    Raises PictureError for sample values that have no clear meaning, whatever Pillow raises for damaged data.
    """
    deep = any(";16" in str(tile.args) for tile in image.tile)  # known only until the pixels are loaded
    if deep and image.format == "PNG":
        import cv2  # noqa: F401  (while there is memory for it)
    image.load()
    mode = image.mode
    if mode.startswith("I;16"):
        return _deep_grey(image)
    if mode in ("I", "F"):  # PGM of 16 bits, of which Pillow makes 0 to 65535 for certain; PFM
        values = array_of(image)[..., None]
        white = 65535 if mode == "I" else _white(path, values)
        return Samples(_levels(values, white), ("32-bit grayscale converted to 8-bit RGB",), False)

    notes = []
    if image.has_transparency_data:  # an alpha channel, or one colour declared transparent
        notes.append(f"transparency ({mode}) laid over white for the networks")
    elif mode == "CMYK":
        notes.append("CMYK converted to RGB")
    elif mode != "RGB":
        name = {"1": "black and white", "L": "grayscale", "P": "palette"}.get(mode, mode)
        notes.append(f"{name} converted to RGB")
    samples, faithful = _flat(image)
    if deep:
        whole = _deep_colours(content, samples) if image.format == "PNG" else None
        if whole is None:
            notes.insert(0, "16-bit samples, of which 8 could be read")
        else:
            samples = whole
            notes.insert(0, "16-bit samples: the networks see 8 of them")
    return Samples(samples, tuple(notes), faithful)


def _flat(image):
    """(uint8 [H, W, C] of a loaded image, is there a way back from it?)."""
    mode = {"1": "L", "P": "RGB", "PA": "RGBA", "RGBX": "RGB", "RGBa": "RGBA", "La": "LA"}.get(image.mode, image.mode)
    if mode == "CMYK":
        return array_of(_cmyk_to_rgb(image)), False
    faithful = mode in MODES.values()
    if image.has_transparency_data:
        mode = "LA" if mode in ("L", "LA") else "RGBA"
    elif not faithful:
        mode = "RGB"
    samples = array_of(image if image.mode == mode else image.convert(mode))
    return (samples if samples.ndim == 3 else samples[..., None]), faithful


def _deep_grey(image):
    grey = array_of(image).astype(np.uint16, copy=False)[..., None]
    key = image.info.get("transparency")
    if isinstance(key, int):  # this level is transparent
        grey = np.dstack([grey, np.where(grey == key, 0, 65535).astype(np.uint16)])
    return Samples(grey, ("16-bit grayscale converted to 8-bit RGB",))


def _deep_colours(content, flat):
    """uint16 [H, W, C] of a 16-bit PNG; None where OpenCV sees another picture than Pillow did, uint8 [H, W, C]."""
    import cv2

    try:
        samples = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from None
        return None
    if samples is None or samples.dtype != np.uint16 or samples.shape[:2] != flat.shape[:2]:
        return None
    if samples.ndim == 3:
        turn = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}[samples.shape[2]]
        cv2.cvtColor(samples, turn, dst=samples)  # in place: these are large
    else:
        samples = samples[..., None]
    channels = flat.shape[2]
    if samples.shape[2] == 4 and channels == 2:
        samples = samples[..., [0, 3]]
    if samples.shape[2] == 3 and channels == 4:  # one transparent colour, which Pillow knows
        samples = np.dstack([samples, flat[..., 3].astype(np.uint16) * 257])
    if samples.shape[2] != channels:
        return None
    for rows in bands(flat.shape):  # Pillow keeps the upper eight bits
        if np.abs((samples[rows] >> 8).astype(np.int16) - flat[rows]).max() > 1:
            return None
    return np.ascontiguousarray(samples)


def swapped(samples):
    """RGB(A) <-> BGR(A), OpenCV's order; [H, W, 1, 3 or 4]."""
    return np.ascontiguousarray(samples[..., {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[samples.shape[2]]])


def _white(path, values):
    """The value of white among samples whose range the file does not tell. Raises PictureError."""
    low, high = float(values.min()), float(values.max())  # NaN in them makes both NaN
    if not np.isfinite([low, high]).all():
        raise PictureError(f"{path}: holds NaN or infinite samples; save it as 8-bit PNG")
    whole = values.dtype.kind in "ui"
    tops = (1, 255, 65535)
    if whole:
        most = int(np.iinfo(values.dtype).max)
        tops = (*(top for top in tops if top < most), most)
    if low < 0 or high > tops[-1]:
        raise PictureError(f"{path}: samples outside 0 to {tops[-1]}; save it as 8-bit PNG")
    if not whole and 1 < high <= HIGHLIGHTS:
        return 1
    return next(top for top in tops if high <= top)


def _levels(values, white):
    """uint16 [H, W, C] of numbers between 0 and white."""
    levels = np.empty(values.shape, np.uint16)
    for rows in bands(values.shape):  # double precision of all of it would take eight times the memory
        levels[rows] = np.rint(np.minimum(values[rows].astype(np.float64) * (65535 / white), 65535))
    return levels


def of_levels(samples, numbers):
    """The way back of `_levels`: [H, W, C] of the kind of `numbers`, (values, white)."""
    values, white = numbers
    changed = np.empty_like(values)
    for rows in bands(values.shape):
        changed[rows] = samples[rows] * (white / 65535)
    return changed


def _straight(samples):
    """Colours multiplied by their alpha -> colours beside it."""
    top = np.iinfo(samples.dtype).max
    straight = samples.copy()
    for rows in bands(samples.shape):
        colours, alpha = samples[rows, :, :-1].astype(np.float64), samples[rows, :, -1:]
        straight[rows, :, :-1] = np.rint(np.minimum(colours * (top / np.maximum(alpha, 1.0)), top))
    return straight


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
