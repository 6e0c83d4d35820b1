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

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}
MEMORY = 4 * 2**30


class DatasetError(Exception):
    """The training pictures are missing, damaged or do not fit. The message names the file."""


def training_names(source, exclude=None):
    """The pictures in a folder or zip, at any depth, sorted, whose stem does not occur in the folder `exclude`.

    They are `pathlib.Path` or `zipfile.Path`; both have `stem` and `open`. The zip may be one written for
    StyleGAN2-ADA; its `dataset.json` (labels) is not needed. Raises DatasetError.
    """
    source = Path(source)
    if source.is_dir():
        paths = list(source.rglob("*"))
    elif source.is_file():
        if source.suffix.lower() == ".npz":  # a zip, of arrays
            raise DatasetError(f"{source}: holds numbers, such as statistics for FID; give a folder or zip of pictures")
        try:
            archive = zipfile.Path(source)
            paths = [zipfile.Path(archive.root, name) for name in archive.root.namelist()]
        except (zipfile.BadZipFile, OSError) as error:
            raise DatasetError(f"{source}: not a readable zip ({error}); give a folder or zip of pictures") from error
    else:
        raise DatasetError(f"{source}: no such folder or zip of training pictures")
    held_out = {path.stem for path in Path(exclude).iterdir()} if exclude else set()
    paths = [p for p in paths if Path(p.name).suffix.lower() in SUFFIXES and Path(p.name).stem not in held_out]
    if not paths:
        raise DatasetError(f"{source}: holds no pictures to train on ({', '.join(sorted(SUFFIXES))})")
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
    """One picture, uint8 [3, R, R]."""
    try:
        with path.open("rb") as file, Image.open(file) as image:
            image = image.convert("RGB")
    except Exception as error:
        raise DatasetError(f"{path}: cannot be read ({error}); remove it or fetch it again") from error
    _fits(path, image.size, resolution)
    if image.width != resolution:
        image = image.reduce(image.width // resolution)
    return torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy())


def _check_size(path, resolution):
    """As `_decode` refuses, by the header alone."""
    try:
        with path.open("rb") as file, Image.open(file) as image:
            size = image.size
    except Exception as error:
        raise DatasetError(f"{path}: cannot be read ({error}); remove it or fetch it again") from error
    _fits(path, size, resolution)


def _fits(path, size, resolution):
    width, height = size
    if width != height or width % resolution:
        raise DatasetError(f"{path}: is {width}x{height}; the run needs squares of {resolution} or a multiple of it")


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
