"""Read any picture as upright 8-bit RGB, and write PNG files whole or not at all.

A face that lies on its side or a picture clipped to white fails silently ten steps later, so everything that has to be
changed to arrive at 8-bit RGB is changed here and noted, and what cannot be read is refused here with a remedy. What
the file holds beyond that is kept beside it (originals.py), for the way back.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from weights.files import written_atomically

from .formats import PictureError, check_size, open_image, read_file, without_metadata
from .originals import ORIENTATION, Original, sound, way_back
from .samples import of_image, of_tiff, to_rgb8
from .text import one_line
from .tiff import check_cover, is_tiff, read_directory, read_tiff, size_of

SMALLEST_SIDE = 32  # pixels; below this there is no face to find

UPRIGHT = {  # EXIF orientation -> the stored samples [H, W, C] upright
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@dataclass(frozen=True)
class Picture:
    """pixels: uint8 [H, W, 3] RGB, upright, what detectors and networks see. notes: one short line for each conversion
    that was needed. original: the file's own samples and all it says about them."""

    pixels: np.ndarray
    notes: tuple[str, ...]
    original: Original


def read_picture(path, content=None, smallest=SMALLEST_SIDE):
    """Read a picture of any format in formats.SUFFIXES as a `Picture`.

    content: the bytes of the file, where it is no file of its own (a member of a zip); `path` then only names it, and
    there is nothing to be written back. smallest: pixels a side has to have.
    Raises PictureError for a missing, empty, damaged, too small or too large (over 200 Mpixel, or the memory there is)
    file, for what is no regular file, and for sample values that have no clear meaning.
    """
    try:
        data = read_file(path) if content is None else content
        return _read(path, data, smallest, whole=content is None)
    except MemoryError:
        pass  # first let go of the error, whose frames hold all that was read
    raise PictureError(f"{path}: too large for the memory there is; reduce the picture first")


def _read(path, data, smallest, whole):
    try:
        found, notes, turn, described = _decoded(path, data, smallest)
    except PictureError:
        bare = without_metadata(data)  # a damaged text or profile is no reason to refuse a picture
        if bare == data:
            raise
        found, notes, turn, described = _decoded(path, bare, smallest)
        notes.append("damaged metadata dropped")
    notes += found.notes
    if turn in UPRIGHT:
        notes.append("turned upright as its EXIF orientation asks")
    upright = UPRIGHT.get(turn, lambda a: a)
    samples = np.ascontiguousarray(upright(found.samples))
    pixels = to_rgb8(samples)
    if not pixels.flags.writeable:
        pixels = pixels.copy()
        samples = pixels if samples.dtype == np.uint8 and samples.shape[2] == 3 else samples
    if not whole:
        return Picture(pixels, tuple(notes), Original(pixels))
    original = Original(samples)
    if found.faithful:
        suffix, metadata, settings, more = way_back(path, data, described)
        numbers = found.numbers and (np.ascontiguousarray(upright(found.numbers[0])), found.numbers[1])
        beside = None if found.beside is None else np.ascontiguousarray(upright(found.beside))
        original, dropped = sound(Original(samples, suffix, metadata, settings, numbers, beside))
        notes += more + dropped
    return Picture(pixels, tuple(notes), original)


def _decoded(path, data, smallest):
    """(Samples as stored, notes, EXIF orientation, what describes the file: a TIFF's directory or a Pillow image)."""
    try:
        if is_tiff(data):
            directory = read_directory(data)
            _check_sides(path, *(size_of(directory) or (0, 0)), smallest)
            check_cover(directory)
            tiff = read_tiff(data, directory)
            if tiff is not None:
                return of_tiff(path, tiff), [], tiff.orientation, directory
        with open_image(path, data) as image:
            _check_sides(path, *image.size, smallest)
            frames = getattr(image, "n_frames", 1)
            found = of_image(path, image, data)
            notes = [f"first of {frames} frames taken"] if frames > 1 else []
            turn, damage = _orientation(image)  # after loading: Pillow turns TIFF and AVIF files by itself
            return found, notes + damage, turn, directory if is_tiff(data) else image
    except (PictureError, MemoryError):
        raise
    except Exception as error:  # every decoder has its own set of exceptions for damaged data
        raise PictureError(f"{path}: damaged or cut short ({one_line(error)}); save or download it again") from error


def _check_sides(path, width, height, smallest):
    check_size(path, width, height)
    if min(width, height) < smallest:
        raise PictureError(f"{path}: {width} x {height} pixels, under {smallest}; use a larger picture")


def _orientation(image):
    """(EXIF orientation of a loaded image, notes)."""
    try:
        return image.getexif().get(ORIENTATION, 1), []
    except Exception:  # Pillow has many for damaged directories
        return 1, ["EXIF damaged: no orientation to be had"]


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
