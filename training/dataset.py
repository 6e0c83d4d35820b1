"""The training set: square pictures of one size in a folder or a zip, decoded when they are needed.

A set that fits into MEMORY bytes is decoded once and kept; a larger one is read by threads, one batch ahead of the
training. `training_names` draws the line between training and evaluation: names that also occur in the `exclude` folder
are never read. (The avatars' `matched/` folder plays that part.)
"""

import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from alignment import PictureError, open_image, read_picture
from alignment.formats import read_file, read_member
from alignment.listing import left_out_line, pictures_in, sort_names
from alignment.text import shown

MEMORY = 4 * 2**30
MOST_BYTES = 2**28  # of one picture file


class DatasetError(Exception):
    """The training pictures are missing, damaged or do not fit. The message names the file."""


def training_names(source, exclude=None, tell=lambda line: None):
    """The pictures in a folder or zip, at any depth, sorted, whose stem does not occur in the folder `exclude`.

    They are `pathlib.Path` or `zipfile.Path`; both have `stem` and `open`. The zip may be one written for
    StyleGAN2-ADA; its `dataset.json` (labels) is not needed. tell: is given a line about files that look like pictures
    and are not taken. Raises DatasetError.
    """
    source = Path(source)
    try:
        if source.is_dir():
            paths, left_out = pictures_in(source, deep=True)
        elif source.suffix.lower() == ".npz":  # a zip, of arrays
            raise DatasetError(f"{source}: holds numbers, such as statistics for FID; give a folder or zip of pictures")
        elif source.is_file():
            archive = zipfile.Path(source)
            names, left_out = sort_names(name for name in archive.root.namelist() if not name.endswith("/"))
            paths = [zipfile.Path(archive.root, name) for name in names]
        else:
            raise DatasetError(f"{source}: no such folder or zip of training pictures")
    except (zipfile.BadZipFile, OSError, NotImplementedError, UnicodeDecodeError) as error:
        kind = "folder" if source.is_dir() else "zip"
        raise DatasetError(f"{source}: not a readable {kind} ({error}); give a folder or zip of pictures") from error
    try:
        held_out = {path.stem for path in Path(exclude).iterdir()} if exclude else set()
    except OSError as error:
        raise DatasetError(
            f"{exclude}: `exclude` is no folder to be read ({error.strerror}); name one or none"
        ) from error
    paths = [path for path in paths if Path(path.name).stem not in held_out]
    line = left_out_line(left_out)
    if line:
        tell(f"{source}: {line}")
    if not paths:
        raise DatasetError(f"{source}: holds no pictures to train on{'; ' + line if line else ''}")
    return sorted(paths, key=str)


class Pictures:
    """`pictures[[3, 1, 4]]` is uint8 [3, 3, R, R]; `len(pictures)` how many there are.

    paths: from `training_names`. Pictures larger than `resolution` are reduced by a box filter (a whole factor only).
    All sizes are checked at once. Raises DatasetError, then or when a picture turns out to be damaged.
    """

    def __init__(self, paths, resolution, memory=MEMORY):
        self.paths, self.resolution = paths, resolution
        self.threads = ThreadPoolExecutor(os.cpu_count())
        self.kept = None
        if len(paths) * 3 * resolution**2 <= memory:
            self.kept = load_images(paths, resolution)
        else:
            _complain(self.threads.map(lambda path: _problem(_check_size, path, resolution), paths), len(paths))

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, indices):
        if self.kept is not None:
            return self.kept[indices]
        return torch.stack(list(self.threads.map(lambda i: _decode(self.paths[i], self.resolution), indices)))


def load_images(paths, resolution):
    """Decode all of `paths` into uint8 [N, 3, R, R]; reduced and refused as `Pictures` does."""
    images = torch.empty([len(paths), 3, resolution, resolution], dtype=torch.uint8)

    def load(index):
        images[index] = _decode(paths[index], resolution)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        _complain(threads.map(lambda index: _problem(load, index), range(len(paths))), len(paths))
    return images


def batch_at(images, position, batch, seed, mirror=True, share=None):
    """The float32 batch [batch, 3, R, R] in [-1, 1] that follows `position` pictures; of it only `share`, if given.

    images: Pictures or uint8 [N, 3, R, R]. Every epoch is a fresh permutation, mirrored at random; the result depends
    on the arguments only, so a resumed run goes on with the very pictures an undisturbed one would have seen.
    """
    index = []
    while len(index) < batch:
        epoch, offset = divmod(position + len(index), len(images))
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))
        index += order[offset : offset + batch - len(index)].tolist()
    flip = torch.rand(batch, generator=torch.Generator().manual_seed(seed * 1_000_003 + position + 7)) < 0.5
    if share is not None:
        index, flip = share.of(index), share.of(flip)
    x = images[index].float() / 127.5 - 1
    return torch.where(flip[:, None, None, None], x.flip(3), x) if mirror else x


def batches(images, position, batch, seed, mirror, share):
    """`batch_at` for position, position + batch, ... without end; the next one is read while one is used."""
    with ThreadPoolExecutor(1) as reader:
        following = None
        while True:
            present = following or reader.submit(batch_at, images, position, batch, seed, mirror, share)
            position += batch
            following = reader.submit(batch_at, images, position, batch, seed, mirror, share)
            yield present.result()


def _decode(path, resolution):
    """One picture, uint8 [3, R, R], as everything here sees it (alignment.read_picture)."""
    try:
        pixels = read_picture(path, _content(path), smallest=1).pixels
    except PictureError as error:
        raise _unreadable(path, error) from error
    _fits(path, pixels.shape[1::-1], resolution)
    if len(pixels) != resolution:
        pixels = np.asarray(Image.fromarray(pixels).reduce(len(pixels) // resolution))
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())


def _content(path):
    """The bytes of a file or member. Raises PictureError."""
    if isinstance(path, Path):
        return read_file(path)
    try:
        return read_member(path.root, path.at, MOST_BYTES)
    except Exception as error:  # damaged, encrypted, vanished: zipfile has many
        raise PictureError(f"{path}: {error}; remove it") from error


def _check_size(path, resolution):
    """As `_decode` refuses, by the header alone."""
    try:
        with path.open("rb") as file, open_image(path, file) as image:
            size = image.size
    except Exception:  # not by Pillow alone, or not at all
        _decode(path, resolution)
    else:
        _fits(path, size, resolution)


def _unreadable(path, error):
    why = str(error).removeprefix(f"{shown(path, 2000)}: ").split("; ")[0]
    return DatasetError(f"{shown(path)}: cannot be read ({why}); remove it or fetch it again")


def _fits(path, size, resolution):
    width, height = size
    if width != height or width % resolution:
        raise DatasetError(
            f"{shown(path)}: is {width}x{height}; the run needs squares of {resolution} or a multiple of it"
        )


def _problem(function, *arguments):
    """The DatasetError a call ends with, or None."""
    try:
        function(*arguments)
    except DatasetError as error:
        return error


def _complain(problems, count):
    """One error for all pictures that cannot be used."""
    problems = [problem for problem in problems if problem is not None]
    if problems:
        shown = "\n  ".join(map(str, problems[:10]))
        more = f"\n  and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise DatasetError(f"{len(problems)} of {count} training pictures cannot be used:\n  {shown}{more}")
