"""Sketch extractor files: our own safetensors, and the DeepFaceEditing release, a Jittor pickle of numpy arrays.

The pickle is read as data (weights/pickles.py): nothing in it is executed.
"""

import re
from pathlib import Path

import numpy as np
import torch

import weights
from sketch.network import SketchExtractor
from weights import WeightsError
from weights.files import REMEDY
from weights.networks import filled, state_of
from weights.pickles import Array
from weights.torch_files import read

WHAT = "the DeepFaceEditing sketch generator (photo to sketch)"


def load_sketch_extractor(path=None):
    """The frozen extractor (eval mode, no gradient in its weights) from a file; None means the demo weights.

    Reads native `sketch_extractor` files and the released Jittor pickle (`sketch_generator.pkl`, arrays as they are or
    as `jittor_core.Var`), whose sizes are found from its shapes. Raises WeightsError, naming the file, when it is
    missing, damaged, or holds anything else.
    """
    path = Path(path) if path is not None else weights.DEMO / "sketch.safetensors"
    if weights.is_native(path):
        tensors, config = weights.load(path, "sketch_extractor")
        return filled(path, lambda: SketchExtractor(**config), tensors, "the sketch extractor that it describes")
    tensors = state_of(as_tensors(read(path)), "model.1.weight", path, WHAT)
    config = infer_config(tensors, path)
    return filled(path, lambda: SketchExtractor(**config), tensors, WHAT, norms)


def norms(names):
    """Jittor files may leave the instance normalisations out: 1 and 0, as in a fresh network. A convolution is not one:
    its weight has four axes, and its bias is never left out alone."""
    ones = {name: torch.ones(t.shape) for name, t in names.items() if name.endswith(".weight") and t.ndim == 1}
    biases = [name.removesuffix("weight") + "bias" for name in ones]
    return ones | {name: torch.zeros(names[name].shape) for name in biases if name in names}


def infer_config(tensors, path):
    """Constructor arguments of SketchExtractor from the shapes of its state dict."""
    blocks = {match[1] for key in tensors if (match := re.match(r"model\.(\d{1,3})\.conv_block\.", key))}
    first = tensors.get("model.1.weight")
    if first is None or first.ndim != 4 or tuple(first.shape[1:]) != (3, 7, 7) or not blocks:
        raise WeightsError(f"{path}: does not hold {WHAT}; {REMEDY}")
    # indices: 4 layers before the first down-sampling, 3 for each, then the residual blocks
    return {"ngf": first.shape[0], "n_downsampling": (min(map(int, blocks)) - 4) // 3, "n_blocks": len(blocks)}


def as_tensors(content, depth=3):
    """The same dictionaries, with their arrays of floating-point numbers as tensors."""
    if isinstance(content, Array):
        value = content.value
        number = value is not None and value.dtype.kind == "f"
        return torch.from_numpy(np.array(value, dtype=np.float32)) if number else None
    if isinstance(content, dict) and depth:
        return {key: as_tensors(value, depth - 1) for key, value in content.items()}
    return content
