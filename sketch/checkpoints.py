"""Sketch extractor files: our own safetensors, and the DeepFaceEditing release, a Jittor pickle of numpy arrays.

The pickle is read by an unpickler that may rebuild numpy arrays and nothing else, so nothing in it is executed.
"""

import pickle
import re
from pathlib import Path

import weights
from sketch.network import SketchExtractor
from weights import WeightsError

ARRAY_GLOBALS = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


def load_sketch_extractor(path=None):
    """The frozen extractor (eval mode, no gradient in its weights) from a file; None means the demo weights.

    Reads native `sketch_extractor` files and the released Jittor pickle (`sketch_generator.pkl`), whose sizes are found
    from its shapes. Raises WeightsError, naming the file, when it is missing, damaged, or holds anything else.
    """
    path = Path(path) if path is not None else weights.DEMO / "sketch.safetensors"
    if path.suffix == ".pkl":
        tensors = read_jittor_pickle(path)
        config = infer_config(tensors, path)
    else:
        tensors, config = weights.load(path, "sketch_extractor")
    try:
        network = SketchExtractor(**config)
        wanted = network.state_dict()
        if path.suffix == ".pkl":  # Jittor files may leave the norms out: 1 and 0, as a fresh network has them
            norms = {key for key, value in wanted.items() if is_norm(key, wanted)}
            tensors = {key: wanted[key] for key in norms} | tensors
        network.load_state_dict(tensors)
    except (TypeError, RuntimeError, ValueError) as error:
        raise WeightsError(f"{path}: does not fit the sketch extractor ({error})") from error
    return network.eval().requires_grad_(False)


def is_norm(key, state):
    """Whether a state-dict key belongs to an instance normalisation (its weight has one axis, a convolution's four)."""
    return state[key.rpartition(".")[0] + ".weight"].ndim == 1


def infer_config(tensors, path):
    """Constructor arguments of SketchExtractor from the shapes of its state dict."""
    blocks = {match[1] for key in tensors if (match := re.match(r"model\.(\d+)\.conv_block\.", key))}
    first = tensors.get("model.1.weight")
    if first is None or first.ndim != 4 or tuple(first.shape[1:]) != (3, 7, 7) or not blocks:
        raise WeightsError(f"{path}: is not the DeepFaceEditing sketch generator (photo to sketch)")
    # indices: 4 layers before the first down-sampling, 3 for each, then the residual blocks
    return {"ngf": first.shape[0], "n_downsampling": (min(map(int, blocks)) - 4) // 3, "n_blocks": len(blocks)}


class ArrayUnpickler(pickle.Unpickler):
    """Rebuilds dicts, strings, numbers and numpy arrays; refuses every other global."""

    def find_class(self, module, name):
        if (module, name) not in ARRAY_GLOBALS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def read_jittor_pickle(path):
    """A Jittor module file -> {key: float32 tensor}. A trailer (hash and marker) after the pickle is ignored.

    Raises WeightsError when the file is missing, damaged, or is more than a dict of numeric arrays.
    """
    import numpy as np
    import torch

    try:
        with open(path, "rb") as file:
            arrays = ArrayUnpickler(file).load()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); give an existing path") from error
    except Exception as error:  # a hostile pickle can raise anything
        raise WeightsError(f"{path}: refused, not a plain pickle of numpy arrays ({error})") from error
    if not isinstance(arrays, dict) or not arrays:
        raise WeightsError(f"{path}: refused, holds {type(arrays).__name__} where a dict of arrays is needed")
    tensors = {}
    for key, value in arrays.items():
        if not isinstance(key, str) or not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            raise WeightsError(f"{path}: refused, entry {key!r} is not an array of floating-point numbers")
        tensors[key] = torch.from_numpy(np.ascontiguousarray(value, dtype=np.float32))
    return tensors
