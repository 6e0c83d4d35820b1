"""Read w+ latents that were kept: our own `w_plus.npz`, what projectors write (`w` in an .npz), an .npy, and the `.pt`
of PTI, one tensor. Nothing in a file is executed, and no more is read than it holds."""

from pathlib import Path

import numpy as np
import torch

from weights import WeightsError
from weights.arrays import read_arrays
from weights.torch_files import read

NAMES = ("w_plus", "w")  # in an .npz, or in a dictionary of a .pt
REMEDY = "give w+ latents as .npz (under w_plus or w), .npy or .pt; training g_real writes w_plus.npz"


def load_w_plus(path, G):
    """The latents [N, num_ws, w_dim] of a file, float32; one [num_ws, w_dim] becomes [1, num_ws, w_dim].

    Raises ValueError, naming the file, when it is missing or damaged, is not finite, or does not fit G.
    """
    try:
        w_plus = _array(path) if Path(path).suffix.lower() in (".npy", ".npz") else _tensor(path)
    except WeightsError as error:
        raise ValueError(str(error)) from error
    if w_plus is None:
        raise ValueError(f"{path}: holds no {' and no '.join(NAMES)} of floating-point numbers; {REMEDY}")
    w_plus = w_plus[None] if w_plus.ndim == 2 else w_plus
    if w_plus.ndim != 3 or w_plus.shape[1:] != (G.num_ws, G.w_dim) or not len(w_plus):
        shape, wanted = list(w_plus.shape[:6]), f"[N, {G.num_ws}, {G.w_dim}]"
        raise ValueError(f"{path}: holds w+ of shape {shape}, the generator takes {wanted}; give latents of this one")
    if not w_plus.isfinite().all():
        raise ValueError(f"{path}: holds numbers that are not finite; compute these latents again")
    return w_plus


def _array(path):
    array = next(iter(read_arrays(path, *NAMES).values()), None)
    return None if array is None else torch.from_numpy(array.astype(np.float32, order="C"))


def _tensor(path):
    content = read(path)
    if isinstance(content, dict):
        content = next((content[name] for name in NAMES if torch.is_tensor(content.get(name))), None)
    if not torch.is_tensor(content) or not content.is_floating_point():
        return None
    return content.detach().float().contiguous()
