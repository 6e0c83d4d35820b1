"""Read w+ latents that were kept: our own `w_plus.npz`, what projectors write (`w` in an .npz), an .npy of numbers, and
the `.pt` of PTI, one tensor. Nothing in a file is executed, and no more is read than it holds."""

import zipfile
from pathlib import Path

import numpy as np
import torch

from weights import WeightsError
from weights.files import check_regular, first_line
from weights.torch_files import read

NAMES = ("w_plus", "w")  # of the array in an .npz
REMEDY = "give w+ latents as .npz (under w_plus or w), .npy or .pt; training g_real writes w_plus.npz"


def load_w_plus(path, G):
    """The latents [N, num_ws, w_dim] of a file, float32; one [num_ws, w_dim] becomes [1, num_ws, w_dim].

    Raises ValueError, naming the file, when it is missing or damaged, is not finite, or does not fit G.
    """
    try:
        check_regular(path, REMEDY)
        w_plus = torch.from_numpy(_array(path)) if Path(path).suffix in (".npy", ".npz") else _tensor(path)
    except WeightsError as error:
        raise ValueError(str(error)) from error
    except Exception as error:  # damaged data can fail anywhere
        raise ValueError(f"{path}: no file of w+ latents ({first_line(error, 120)}); {REMEDY}") from error
    w_plus = w_plus[None] if w_plus.ndim == 2 else w_plus
    if w_plus.ndim != 3 or w_plus.shape[1:] != (G.num_ws, G.w_dim) or not len(w_plus):
        shape, wanted = list(w_plus.shape[:6]), f"[N, {G.num_ws}, {G.w_dim}]"
        raise ValueError(f"{path}: holds w+ of shape {shape}, the generator takes {wanted}; give latents of this one")
    if not w_plus.isfinite().all():
        raise ValueError(f"{path}: holds numbers that are not finite; compute these latents again")
    return w_plus


def _tensor(path):
    content = read(path)
    if isinstance(content, dict):
        content = next((content[name] for name in NAMES if torch.is_tensor(content.get(name))), None)
    if not torch.is_tensor(content) or not content.is_floating_point():
        raise ValueError("not a tensor of floating-point numbers")
    return content.detach().float().contiguous()


def _array(path):
    """A float32 array of an .npy or .npz file."""
    size = Path(path).stat().st_size
    if Path(path).suffix == ".npy":
        with open(path, "rb") as file:
            return _npy(file, size)
    with zipfile.ZipFile(path) as archive:
        member = next((f"{name}.npy" for name in NAMES if f"{name}.npy" in archive.namelist()), None)
        if member is None:
            raise ValueError(f"it holds no {' and no '.join(NAMES)}")
        with archive.open(member) as file:
            return _npy(file, max(16 * size, 2**26))  # numbers of latents hardly shrink when they are packed


def _npy(file, limit):
    """Read an array of floating-point numbers of at most `limit` bytes from an open .npy file."""
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = header(file)
    if dtype.hasobject:
        raise ValueError("a pickled object, as ReStyle's latents.npy; save the array of one picture by itself")
    if dtype.kind != "f":
        raise ValueError("not floating-point numbers")
    count = int(np.prod([int(n) for n in shape], dtype=object))
    data = file.read(count * dtype.itemsize) if 0 <= count * dtype.itemsize <= limit else b""
    if len(data) != count * dtype.itemsize:
        raise ValueError("it holds less than it says")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C").astype(np.float32, order="C")
