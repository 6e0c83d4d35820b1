"""Read arrays of floating-point numbers from .npy and .npz files: never a pickle, and never more than the file
holds."""

import zipfile
from pathlib import Path

import numpy as np

from .files import REMEDY, WeightsError, check_regular, first_line

SHRINK = 16  # floating-point numbers hardly shrink when they are packed: a file that claims more of them is refused
SMALL = 2**26  # bytes, allowed whatever the file's size


def read_arrays(path, *names):
    """The arrays of these names in an .npz, {name: array}, those that are there; of an .npy, {"": array}.

    Raises WeightsError, naming the file, when it is missing, damaged, claims more than it holds, or when one of them is
    not of floating-point numbers.
    """
    check_regular(path, "give an existing file")
    try:
        size = Path(path).stat().st_size
        if Path(path).suffix.lower() != ".npz":
            with open(path, "rb") as file:
                return {"": _read(file, size)}
        with zipfile.ZipFile(path) as archive:
            found = [name for name in names if f"{name}.npy" in archive.namelist()]
            arrays = {}
            for name in found:
                with archive.open(f"{name}.npy") as file:
                    arrays[name] = _read(file, max(SHRINK * size, SMALL))
            return arrays
    except Exception as error:  # damaged data can fail anywhere
        raise WeightsError(f"{path}: no readable file of numbers ({first_line(error, 120)}); {REMEDY}") from error


def _read(file, limit):
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = header(file)
    if dtype.hasobject:
        raise ValueError("a pickled object, as ReStyle's latents.npy; save an array of one picture by itself")
    if dtype.kind != "f":
        raise ValueError("not floating-point numbers")
    size = dtype.itemsize
    for n in shape:
        size *= int(n)
    data = file.read(size) if 0 <= size <= limit else b""
    if len(data) != size:
        raise ValueError("it holds less than it says")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
