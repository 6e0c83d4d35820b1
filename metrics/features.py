"""Features of thousands of pictures: computed in portions, shared among processes, and kept on disk.

A `Measure` turns pictures into features and compares them. `set_measure` compares sets: FID where the Inception weights
are there, else the embedded network's feature distance, under its own name (metrics/likeness.py: the measures of one
face). `processes` is machine.processes when torchrun may have started several of us, or None for one process: each
computes every n-th portion, and all get the whole, the same as one process would.
"""

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

import weights
from weights import WeightsError
from weights.arrays import read_arrays
from weights.files import cache_folder, written_atomically

from . import fid
from .feature_distance import frechet_distance, pooled_features

SIDES = (64, 256)  # the embedded network sees smaller pictures enlarged, and larger ones reduced, to these


@dataclass(frozen=True)
class Measure:
    """name: a table's heading. sha256: of the network's file. extract: [N, 3, R, R] in [-1, 1], on any
    device, -> [N, C] on the CPU. compare: of two such, [N, C] and [M, C]."""

    name: str
    sha256: str
    extract: Callable
    compare: Callable


def set_measure(device="cpu"):
    """FID if the Inception weights are there, else the embedded feature distance: compare() gives one float."""
    from losses.perceptual import load_perceptual
    from losses.resize import downsample

    if fid.FILE.is_file():
        network = fid.load_inception(fid.FILE, device)
        extract = lambda images: fid.inception_features(network, images.to(device))  # noqa: E731
        return Measure("FID", weights.sha256(fid.FILE), extract, fid.fid)
    network = load_perceptual().to(device, memory_format=torch.channels_last)

    def extract(images):
        side = min(max(images.shape[2], SIDES[0]), SIDES[1])
        return pooled_features(network, downsample(images.to(device), side)).cpu()

    digest = weights.sha256(weights.DEMO / "perceptual.safetensors")
    return Measure("feature distance (embedded)", digest, extract, frechet_distance)


def features_of_files(measure, pictures, portion=16, processes=None, label="pictures"):
    """Features [N, C] of a set of files; computed once for the same contents, resolution and network.

    pictures: training.dataset.Pictures (its `paths`, its `resolution`, and pictures[list], uint8 [n, 3, R, R]).
    The rows stand in the order of the paths, unless the same contents were met before under other names.
    """

    def extract(start, stop):
        return measure.extract(pictures[list(range(start, stop))].float() / 127.5 - 1)

    key = {"pictures": contents(pictures.paths, processes), "resolution": pictures.resolution}
    return kept(
        key | _names(measure), processes, lambda: in_portions(extract, len(pictures), portion, processes, label)
    )


def features_of_generator(measure, generate, count=50_000, key=None, portion=16, processes=None, label="generator"):
    """Features [count, C] of the pictures that a callable draws.

    generate(start, stop) -> pictures number start to stop, [stop - start, 3, R, R] in [-1, 1]; the same at every call.
    key: {name: plain value} that says all about these pictures (weights' SHA-256, seed); None keeps nothing on disk.
    """

    def compute():
        return in_portions(lambda *share: measure.extract(generate(*share)), count, portion, processes, label)

    if key is None:
        return compute()
    return kept(key | {"count": count} | _names(measure), processes, compute)


@torch.no_grad()
def in_portions(function, count, portion, processes=None, label=""):
    """function(0, p), function(p, 2 p), ... up to `count`, tensors, shared among the processes and joined in order."""
    from tqdm import tqdm

    rank, size = (0, 1) if processes is None else (processes.rank(), processes.world_size())
    often = 0.1 if sys.stderr.isatty() else 10  # seconds: no flood of lines in a log file
    mine = []
    for start in tqdm(range(0, count, portion)[rank::size], label, disable=rank > 0, mininterval=often):
        mine.append((start, function(start, min(start + portion, count))))
    parts = mine if processes is None else processes.gathered(mine)
    return torch.cat([part for _, part in sorted(parts, key=lambda item: item[0])])


def contents(paths, processes=None):
    """SHA-256 of a set of files: of their sorted SHA-256, so that neither names nor order count.

    paths: pathlib.Path or zipfile.Path.
    """

    def digests(start, stop):
        found = [hashlib.sha256(path.read_bytes()).digest() for path in paths[start:stop]]
        return torch.tensor([list(digest) for digest in found], dtype=torch.uint8)  # [n, 32]

    rows = in_portions(digests, len(paths), 256, processes, "contents")
    return hashlib.sha256(b"".join(sorted(bytes(row) for row in rows.tolist()))).hexdigest()


def kept(key, processes, compute):
    """compute(), a tensor, or its result from disk if a call with the same `key` has been made before.

    key: {name: plain value} of all the result depends on. Results lie in ~/.cache/lifelike/features (LIFELIKE_CACHE
    or XDG_CACHE_HOME move it), one .npy each, written whole or not at all; a damaged one is computed anew. Deleting the
    folder is always safe.
    """
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    path = cache_folder() / "features" / f"{name}.npy"
    try:
        found = torch.from_numpy(read_arrays(path)[""].copy())
    except WeightsError:  # absent, or damaged
        found = None
    everywhere = [found is not None] if processes is None else processes.gathered([found is not None])
    if all(everywhere):
        return found
    found = compute()
    if processes is None or processes.rank() == 0:
        with written_atomically(path) as unfinished:
            np.save(unfinished, found.numpy())
    return found


def _names(measure):
    return {"measure": measure.name, "network": measure.sha256}
