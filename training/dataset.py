"""The training set: a folder of square pictures of one size, held in memory as bytes.

`training_names` draws the line between training and evaluation: names that also occur in the `exclude` folder are never
read. (The avatars' `matched/` folder plays that part.)
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}


class DatasetError(Exception):
    """The data folder is missing, empty or holds pictures that do not fit. The message names the file."""


def training_names(folder, exclude=None):
    """Sorted file paths in `folder` whose stem does not occur in the folder `exclude`."""
    folder = Path(folder)
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder of training pictures")
    held_out = {path.stem for path in Path(exclude).iterdir()} if exclude else set()
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.stem not in held_out)
    if not paths:
        raise DatasetError(f"{folder}: holds no pictures to train on ({', '.join(sorted(SUFFIXES))})")
    return paths


def load_images(paths, resolution):
    """Read square pictures as uint8 [N, 3, R, R]; larger ones are reduced by a box filter (a whole factor only)."""
    images = torch.empty([len(paths), 3, resolution, resolution], dtype=torch.uint8)
    for index, path in enumerate(paths):
        try:
            with Image.open(path) as file:
                image = file.convert("RGB")
        except Exception as error:
            raise DatasetError(f"{path}: cannot be read ({error}); remove it or fetch it again") from error
        width, height = image.size
        if width != height or width % resolution:
            raise DatasetError(
                f"{path}: is {width}x{height}; the run needs squares of {resolution} or a multiple of it"
            )
        if width != resolution:
            image = image.reduce(width // resolution)
        images[index] = torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy())
    return images


def batch_at(images, position, batch, seed, mirror=True):
    """The float32 batch [batch, 3, R, R] in [-1, 1] that follows `position` pictures.

    Every epoch is a fresh permutation, mirrored at random; the result depends on the arguments only, so a resumed run
    goes on with the very pictures an undisturbed one would have seen.
    """
    index = []
    while len(index) < batch:
        epoch, offset = divmod(position + len(index), len(images))
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))
        index += order[offset : offset + batch - len(index)].tolist()
    x = images[index].float() / 127.5 - 1
    if mirror:
        generator = torch.Generator().manual_seed(seed * 1_000_003 + position + 7)
        flip = torch.rand(batch, generator=generator) < 0.5
        x = torch.where(flip[:, None, None, None], x.flip(3), x)
    return x
