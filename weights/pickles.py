"""Read a pickle as data. Nothing in the file is executed: every name it asks for is replaced by an inert stand-in from
an explicit list, and a name outside that list ends the reading.

The pure-Python unpickler is used on purpose: it allocates no more than the file holds, and each of its operations can
be held to what a file of plain values needs. Keys of dictionaries are plain, so that nothing nested is ever hashed;
only our own stand-ins take a state; stand-ins themselves cannot be changed.

Over 300 lines, so that what guards a reader lies in one place and can be checked in one reading.
"""

import pickle
import struct
from math import prod

import numpy as np
import torch

STORAGES = {
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
DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in STORAGES.values()}
PLAIN = str | int | float | bytes | None


class Attributes(dict):
    """Stand-in for objects that only carry attributes, such as argparse.Namespace."""


class Array:
    """Stand-in for numpy.ndarray: `value` is the array, once the file has given it a shape and its bytes."""

    value = None

    def fill(self, shape, dtype, fortran, data):
        size = prod(shape) * dtype.itemsize
        if not isinstance(data, bytes | bytearray) or len(data) != size or min(shape, default=0) < 0:
            raise pickle.UnpicklingError("an array whose size is not that of its data")
        self.value = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


class Dtype:
    """Stand-in for numpy.dtype: numbers only; `value` is the real one."""

    def __init__(self, code):
        self.code = code if code in ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "b1") else None
        self.order = "<"

    @property
    def value(self):
        if self.code is None:
            raise pickle.UnpicklingError("an array of something other than numbers")
        return np.dtype(self.order + self.code)


class Unpickler(pickle._Unpickler):
    """Resolves names to stand-ins. size: bytes in the stream. storage: function of a persistent id of torch.save that
    gives a 1-D tensor."""

    def __init__(self, stream, size, known=None, storage=None):
        super().__init__(stream, encoding="latin1")  # as Python 2 wrote strings
        self.known = NAMES | (known or {})
        self.storage = storage
        self.room = size + 2**20  # entries and bytes that may be copied: a file may name the same thing many times

    def copies(self, *values):
        self.room -= sum(len(v) for v in values if isinstance(v, str | bytes | bytearray | list | tuple | dict))
        if self.room < 0:
            raise pickle.UnpicklingError("it repeats its data to more than it holds")

    def find_class(self, module, name):
        module = MODULES.get(module, module)
        if (module, name) in self.known:
            return self.known[module, name]
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise pickle.UnpicklingError(
            f"it asks for {module[:40]}.{name[:40]}, which is not on the list of harmless names"
        )

    def persistent_load(self, pid):
        if self.storage is None:
            raise pickle.UnpicklingError("an unexpected external reference")
        return self.storage(pid)

    def load_reduce(self):
        arguments, function = self.stack.pop(), self.stack[-1]
        if type(arguments) is not tuple or not any(function is f for f in self.known.values()):
            raise pickle.UnpicklingError("it calls something that is not a function")
        if function is Attributes and arguments:
            raise pickle.UnpicklingError("it makes an object of an unknown kind")
        self.copies(*arguments)
        self.stack[-1] = function(*arguments)

    def load_newobj(self):
        arguments, made = self.stack.pop(), self.stack.pop()
        if made is not Attributes or arguments != ():
            raise pickle.UnpicklingError("it makes an object of an unknown kind")
        self.append(Attributes())

    def load_build(self):
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Attributes) and isinstance(state, dict):
            self.copies(state)
            target.update(state)
        elif isinstance(target, Array) and type(state) is tuple and len(state) == 5 and isinstance(state[2], Dtype):
            target.fill(sizes(state[1]), state[2].value, state[3] is True, state[4])
        elif isinstance(target, Dtype) and type(state) is tuple and len(state) > 1 and state[1] in ("<", "|", ">", "="):
            target.order = state[1]
        elif type(target) is not dict:  # the attributes of an OrderedDict are left out
            raise pickle.UnpicklingError("it gives a state to something that takes none")

    def load_setitem(self):
        value, key = self.stack.pop(), self.stack.pop()
        _put(self.stack[-1], [(key, value)])

    def load_setitems(self):
        items = self.pop_mark()
        _put(self.stack[-1], zip(items[::2], items[1::2], strict=True))

    def load_dict(self):
        items = self.pop_mark()
        self.append(_dictionary(zip(items[::2], items[1::2], strict=True)))

    def load_append(self):
        self.load_appends([self.stack.pop()])

    def load_appends(self, items=None):
        items = self.pop_mark() if items is None else items
        if type(self.stack[-1]) is not list:
            raise pickle.UnpicklingError("it adds to something that is not a list")
        self.stack[-1].extend(items)

    def load_bytearray8(self):
        (size,) = struct.unpack("<Q", self.read(8))
        self.append(self.read(size))  # never more than there is

    def load_empty_set(self):
        self.append([])  # a list does: nothing is hashed

    def refuse(self):
        raise pickle.UnpicklingError("an operation that plain data does not need")

    dispatch = dict(pickle._Unpickler.dispatch)
    for opcode in (
        pickle.EXT1,
        pickle.EXT2,
        pickle.EXT4,
        pickle.INST,
        pickle.OBJ,
        pickle.NEWOBJ_EX,
        pickle.FROZENSET,
        pickle.NEXT_BUFFER,
        pickle.READONLY_BUFFER,
    ):
        dispatch[opcode[0]] = refuse
    dispatch |= {
        pickle.EMPTY_SET[0]: load_empty_set,
        pickle.ADDITEMS[0]: load_appends,
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_newobj,
        pickle.BUILD[0]: load_build,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.DICT[0]: load_dict,
        pickle.APPEND[0]: load_append,
        pickle.APPENDS[0]: load_appends,
        pickle.BYTEARRAY8[0]: load_bytearray8,
    }


def _put(target, pairs):
    if not isinstance(target, dict):
        raise pickle.UnpicklingError("it sets an entry of something that is not a dictionary")
    for key, value in pairs:
        if not isinstance(key, PLAIN):
            raise pickle.UnpicklingError("a dictionary whose keys are not plain")
        target[key] = value


def _dictionary(pairs=()):
    result = {}
    _put(result, pairs.items() if isinstance(pairs, dict) else pairs)
    return result


def _empty(*_):
    return {}


def _text(*parts):
    return "/".join(part for part in parts if isinstance(part, str))[:1000]


def sizes(values):
    """A list of whole numbers from 0 on, at most 64, out of a file."""
    few = isinstance(values, list | tuple) and len(values) <= 64
    if not few or not all(isinstance(value, int) and value >= 0 for value in values):
        raise pickle.UnpicklingError("a tensor of impossible shape")
    return list(values)


def rebuilt(storage, offset, size, stride, *_):
    """A tensor over a storage, a 1-D tensor. It shares the storage, and never has more elements than that."""
    if not torch.is_tensor(storage) or storage.ndim != 1:
        raise pickle.UnpicklingError("a tensor without a storage")
    (offset,), size, stride = sizes([offset]), sizes(size), sizes(stride)
    if len(size) != len(stride):
        raise pickle.UnpicklingError("a tensor of impossible shape")
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if prod(size) and last >= len(storage) or prod(size) > len(storage):  # zero strides blow a few bytes up to any size
        raise pickle.UnpicklingError("a tensor larger than its storage")
    return storage.as_strided(size, stride, offset)


def _parameter(data, *_):
    if not torch.is_tensor(data):
        raise pickle.UnpicklingError("a parameter that is no tensor")
    return data


def _scalar(dtype, data=b""):
    value = dtype.value if isinstance(dtype, Dtype) else None
    data = data.encode("latin1") if isinstance(data, str) else data
    if value is None or not isinstance(data, bytes) or len(data) != value.itemsize:
        raise pickle.UnpicklingError("a numpy scalar of unknown type")
    return np.frombuffer(data, value)[0].item()


def _dtype(code, *_):
    return Dtype(code if isinstance(code, str) else None)


def _array(*_):
    return Array()


def _array_from_buffer(data, dtype, shape, order):
    array = Array()
    array.fill(sizes(shape), dtype.value, order == "F", data)
    return array


def _bytes(text, encoding):
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("text of an unknown encoding")
    return text.encode("latin1")


def _variable(array=None, *_):
    if not isinstance(array, Array):
        raise pickle.UnpicklingError("a variable without an array")
    return array


def _list(items=()):
    if not isinstance(items, list | tuple):
        raise pickle.UnpicklingError("a set of something that is no list")
    return list(items)


def _device(*_):
    return None  # all is read to the CPU


MODULES = {
    "numpy.core.multiarray": "numpy._core.multiarray",
    "numpy.core.numeric": "numpy._core.numeric",
    "__builtin__": "builtins",
}
NAMES = {
    ("collections", "OrderedDict"): _dictionary,
    ("collections", "Counter"): _dictionary,
    ("collections", "defaultdict"): _empty,  # its entries follow
    ("builtins", "dict"): "dict",
    ("builtins", "float"): "float",
    ("builtins", "int"): "int",
    ("builtins", "list"): "list",
    ("pathlib", "PosixPath"): _text,
    ("pathlib", "WindowsPath"): _text,
    ("builtins", "set"): _list,
    ("builtins", "frozenset"): _list,
    ("argparse", "Namespace"): Attributes,
    ("_codecs", "encode"): _bytes,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch._utils", "_rebuild_tensor"): rebuilt,
    ("torch._utils", "_rebuild_tensor_v2"): rebuilt,
    ("torch", "Size"): _list,
    ("torch", "device"): _device,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "_reconstruct"): _array,
    ("numpy._core.numeric", "_frombuffer"): _array_from_buffer,
    ("numpy", "ndarray"): "numpy.ndarray",
    ("numpy", "dtype"): _dtype,
    ("jittor_core", "Var"): _variable,
    ("jittor.jittor_core", "Var"): _variable,
    ("jittor", "Var"): _variable,
}
