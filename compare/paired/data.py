"""The portraits that methods are measured on: with their true pictures (a folder laid out like shared/avatars), or
aligned pictures whose truth nobody knows.

    FOLDER/rendered/ID.*   the input        FOLDER/matched/ID.*   the truth: the identities that are evaluated
    FOLDER/parsing/ID.*    its labels       FOLDER/real/ID.*      the photo look, under other lights
"""

from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from PIL import Image

import alignment
from alignment.evenly import evenly
from alignment.text import one_line, shown

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Portraits:
    """names: [N]. inputs: uint8 [N, R, R, 3]. truths: the same or None. labels: uint8 [N, R, R], the truth's parsing
    (postprocess/parsing.py), or None. data: the folder with these and the training identities, or None."""

    names: list
    inputs: np.ndarray
    truths: np.ndarray | None = None
    labels: np.ndarray | None = None
    data: Path | None = None


def evaluation_portraits(data, size, count=None):
    """The identities of `data`/matched at `size` x `size`; count: only so many, evenly spread.

    Raises ClickException, naming the file, when one is missing or unreadable.
    """
    names = evenly(stems(data / "matched"), count)
    return Portraits(
        names,
        np.stack([read_picture(find(data / "rendered", name), size) for name in names]),
        np.stack([read_picture(find(data / "matched", name), size) for name in names]),
        np.stack([read_labels(find(data / "parsing", name), size) for name in names]),
        data,
    )


def aligned_portraits(folder, size, count=None):
    """The pictures of a flat folder, FFHQ-aligned squares, without truth and labels. Raises ClickException."""
    names = evenly(stems(folder), count)
    return Portraits(names, np.stack([read_picture(find(folder, name), size) for name in names]))


def training_identities(data):
    """The ids of `data` that are in rendered/ and real/ but never evaluated, sorted."""
    return sorted(set(stems(data / "rendered")) & set(stems(data / "real")) - set(stems(data / "matched")))


def read_results(folder, names, size):
    """uint8 [N, size, size, 3]: folder/NAME.png of each name. Raises ClickException, naming what is missing."""
    return np.stack([read_picture(find(folder, name), size) for name in names])


def stems(folder):
    """The names of a folder's pictures, sorted. Raises ClickException when there are none."""
    try:
        found = sorted(path.stem for path in Path(folder).iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise click.ClickException(
            f"{shown(folder)}: cannot be read ({error.strerror or one_line(error)}); see README.md of the data"
        ) from error
    if not found:
        raise click.ClickException(f"{shown(folder)}: holds no pictures ({', '.join(SUFFIXES)})")
    return found


def find(folder, name):
    """The path of picture `name` in a folder. Raises ClickException when it is missing."""
    for suffix in SUFFIXES:
        if (path := Path(folder) / f"{name}{suffix}").is_file():
            return path
    raise click.ClickException(f"{shown(Path(folder) / name)}.png: no such picture; every evaluated identity needs one")


def read_picture(path, size):
    """uint8 [size, size, 3]; a larger or smaller square is resampled. Raises ClickException."""
    try:
        image = Image.fromarray(alignment.read_picture(path, smallest=1).pixels)
    except alignment.PictureError as error:
        raise click.ClickException(str(error)) from error
    if image.width != image.height:
        raise click.ClickException(f"{shown(path)}: {image.width} x {image.height}; an aligned square is needed here")
    if image.width % size == 0:
        return np.asarray(image.reduce(image.width // size))
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))


def read_labels(path, size):
    """uint8 [size, size] of class numbers. Raises ClickException."""
    try:
        with alignment.open_image(path) as image:
            return np.asarray(image.resize((size, size), Image.Resampling.NEAREST))
    except (alignment.PictureError, OSError, ValueError) as error:
        raise click.ClickException(f"{shown(path)}: not a readable label picture ({one_line(error)})") from error
