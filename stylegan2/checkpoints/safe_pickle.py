"""Read a pickle as data. Nothing in the file is executed: every global it names is replaced by an inert stand-in from
an explicit list, and a name outside that list ends the reading.

The pure-Python unpickler is used on purpose: unlike the C one it allocates no more than the file holds.
"""

import io
import pickle
import struct
from collections import OrderedDict
from math import prod

import numpy as np
import torch

from weights import WeightsError

STORAGE_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # first object of an old torch.save stream


class CheckpointError(WeightsError):
    """A checkpoint cannot be read. The message names the file and what was found in it."""


class PersistentObject:
    """Stand-in for an object saved together with its source: class name and attributes, the source is dropped."""

    def __init__(self, meta):
        if not isinstance(meta, dict) or not isinstance(meta.get("state"), dict):
            raise pickle.UnpicklingError("a persistent object without a state")
        self.class_name, self.state = str(meta.get("class_name")), meta["state"]


class AttributeDict(dict):
    """Stand-in for dictionaries with attribute access."""


def load_pickle(path):
    """The object in the pickle file `path`, built of dicts, lists, numbers, strings, tensors and PersistentObjects.

    Raises CheckpointError for anything else.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error
    return loads(data, path)


def loads(data, path):
    """`load_pickle` of bytes; `path` is only named in errors."""
    try:
        return _Unpickler(io.BytesIO(data)).load()
    except CheckpointError:
        raise
    except RecursionError as error:
        raise CheckpointError(f"{path}: nested too deeply for a checkpoint") from error
    except Exception as error:  # damaged data can fail in any operation of the unpickler
        raise CheckpointError(f"{path}: not a checkpoint that can be read safely ({_line(error)})") from error


def state_dict(module):
    """{name: tensor} of a PersistentObject that stands for a torch module (or of nested plain module states)."""
    tensors = {}

    def walk(node, prefix):
        state = node.state if isinstance(node, PersistentObject) else node
        if not isinstance(state, dict):
            raise CheckpointError(f"{prefix or 'network'}: not a module state")
        for group in ("_parameters", "_buffers"):
            for name, tensor in (state.get(group) or {}).items():
                if torch.is_tensor(tensor):
                    tensors[prefix + name] = tensor
        for name, child in (state.get("_modules") or {}).items():
            if child is not None:
                walk(child, f"{prefix}{name}.")

    walk(module, "")
    return tensors


class _Unpickler(pickle._Unpickler):
    """Resolves the globals of network pickles to stand-ins."""

    def find_class(self, module, name):
        module = {"numpy.core.multiarray": "numpy._core.multiarray", "__builtin__": "builtins"}.get(module, module)
        stand_in = _GLOBALS.get((module, name))
        if stand_in is not None:
            return stand_in
        if module == "torch" and name in STORAGE_DTYPES:
            return STORAGE_DTYPES[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not on the list of harmless names")

    def persistent_load(self, pid):
        raise pickle.UnpicklingError("an unexpected external reference")

    def get_extension(self, code):
        raise pickle.UnpicklingError("an extension code")

    dispatch = dict(pickle._Unpickler.dispatch)


def _rebuild_tensor(storage, offset, size, stride, *_):
    if not torch.is_tensor(storage) or storage.ndim != 1:
        raise pickle.UnpicklingError("a tensor without a storage")
    size, stride = [int(v) for v in size], [int(v) for v in stride]
    if len(size) != len(stride) or min([offset, *size, *stride], default=0) < 0:
        raise pickle.UnpicklingError("a tensor of impossible shape")
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if prod(size) and last >= len(storage):
        raise pickle.UnpicklingError("a tensor larger than its storage")
    if prod(size) > len(storage):  # zero strides would blow a few bytes up to any size
        raise pickle.UnpicklingError("a tensor larger than its storage")
    return storage.as_strided(size, stride, offset).clone()


def _rebuild_parameter(data, *_):
    if not torch.is_tensor(data):
        raise pickle.UnpicklingError("a parameter that is no tensor")
    return data


def _load_storage(data):
    """An old torch.save stream that holds one storage: five pickles, then the element count and the raw values."""
    stream = io.BytesIO(data)
    magic, _, _ = (_Unpickler(stream).load() for _ in range(3))
    if magic != LEGACY_MAGIC:
        raise pickle.UnpicklingError("an embedded storage of unknown format")
    reader = _StorageUnpickler(stream)
    dtype = reader.load()
    _Unpickler(stream).load()  # storage keys
    (count,) = struct.unpack("<q", stream.read(8))
    item = torch.empty(0, dtype=dtype).element_size()
    raw = stream.read()
    if count < 0 or len(raw) < count * item:
        raise pickle.UnpicklingError("an embedded storage that ends early")
    return torch.frombuffer(bytearray(raw[: count * item]), dtype=dtype) if count else torch.empty(0, dtype=dtype)


class _StorageUnpickler(_Unpickler):
    def persistent_load(self, pid):
        if not isinstance(pid, tuple) or len(pid) < 2 or pid[0] != "storage" or not isinstance(pid[1], torch.dtype):
            raise pickle.UnpicklingError("an embedded storage of unknown type")
        return pid[1]


class _Dtype:
    """Stand-in for numpy.dtype: only the type string counts, its saved state is ignored."""

    def __init__(self, code, *_):
        self.code = code if code in ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "b1") else None

    def __setstate__(self, state):
        pass


def _numpy_scalar(dtype, data=b""):
    if not isinstance(dtype, _Dtype) or dtype.code is None:
        raise pickle.UnpicklingError("a numpy scalar of unknown type")
    return np.frombuffer(data, dtype="<" + dtype.code, count=1)[0].item()


_GLOBALS = {
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): PersistentObject,
    ("dnnlib.util", "EasyDict"): AttributeDict,
    ("dnnlib", "EasyDict"): AttributeDict,
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch.storage", "_load_from_bytes"): _load_storage,
    ("numpy._core.multiarray", "scalar"): _numpy_scalar,
    ("numpy", "dtype"): _Dtype,
}


def _line(error):
    return (str(error).splitlines() or [type(error).__name__])[0][:200] or type(error).__name__
