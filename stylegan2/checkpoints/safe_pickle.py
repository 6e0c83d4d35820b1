"""Pickles of the official StyleGAN2-ADA release as data: networks saved together with their source code, which is
dropped unread. What else a pickle may hold: weights/pickles.py."""

import torch

from weights import WeightsError, torch_files
from weights.pickles import Attributes

CheckpointError = WeightsError  # one kind of error for all weight files
MAX_MODULES = 10_000


class PersistentObject:
    """Stand-in for an object saved together with its source: class name and attributes, the source is dropped. Without
    attributes it is read, and cannot be built: it may stand beside what is wanted."""

    def __init__(self, meta):
        meta = meta if isinstance(meta, dict) else {}
        name, state = meta.get("class_name"), meta.get("state")
        self.class_name = name if isinstance(name, str) else ""
        self.state = state if isinstance(state, dict) else {}


KNOWN = {
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): PersistentObject,
    ("dnnlib.util", "EasyDict"): Attributes,
    ("dnnlib", "EasyDict"): Attributes,
}


def load_pickle(path):
    """The object in the file `path`, a pickle or what torch.save wrote, built of dicts, lists, numbers, strings,
    tensors and PersistentObjects. Raises CheckpointError for anything else."""
    return torch_files.read(path, KNOWN)


def loads(data, path):
    """`load_pickle` of bytes; `path` is only named in errors."""
    return torch_files.loads(data, path, KNOWN)


def state_dict(module):
    """{name: tensor} of a PersistentObject that stands for a torch module (or of nested plain module states)."""
    tensors, left = {}, MAX_MODULES

    def walk(node, prefix):
        nonlocal left
        left -= 1
        state = node.state if isinstance(node, PersistentObject) else node
        if not isinstance(state, dict) or left < 0:
            raise ValueError("not a module state")
        for group in ("_parameters", "_buffers"):
            for name, tensor in (state.get(group) or {}).items():
                if torch.is_tensor(tensor):
                    tensors[f"{prefix}{name}"] = tensor
        for name, child in (state.get("_modules") or {}).items():
            if child is not None:
                walk(child, f"{prefix}{name}.")

    walk(module, "")
    return tensors
