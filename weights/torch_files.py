"""Read what torch.save wrote, in any of its three layouts, or a plain pickle, as data: nothing in a file is executed,
and no more is allocated than the file holds (weights/pickles.py)."""

import io
import os
import pickle
import struct
import tarfile
import zipfile
from contextlib import contextmanager

import torch

from .files import REMEDY, WeightsError, check_regular, first_line
from .pickles import Unpickler, sizes

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # first object of an old torch.save stream


def read(path, known=None):
    """The object in a torch file or a pickle, tensors on the CPU; see `loads` for what may be in it.

    Raises WeightsError, naming the file, when it is missing, damaged, or holds anything else.
    """
    check_regular(path, "give an existing path")
    with refusing(path), open(path, "rb") as file:
        head = file.read(262)
        if head.startswith(b"PK"):
            return _read_zip(path, known)
        if head[257:262] == b"ustar":
            return _read_tar(path)
        file.seek(0)
        size = os.fstat(file.fileno()).st_size
        return _content(_Stream(file, size), size, known)


def loads(data, path, known=None):
    """The object in `data` (bytes of a pickle): dicts, lists, tuples, strings, numbers, tensors, arrays (`Array`) and
    what `known` makes, {(module, name): function}. `path` is only named in errors. Raises WeightsError.
    """
    with refusing(path):
        return _content(io.BytesIO(data), len(data), known)


@contextmanager
def refusing(path):
    """Any failure inside becomes a WeightsError that names `path`: damaged data can fail anywhere."""
    try:
        yield
    except WeightsError:
        raise
    except (RecursionError, MemoryError) as error:
        raise WeightsError(f"{path}: nested too deeply or too large for a checkpoint; {REMEDY}") from error
    except Exception as error:
        reason = "it ends early" if isinstance(error, EOFError) else first_line(error, 120)
        raise WeightsError(f"{path}: not a checkpoint that can be read safely ({reason}); {REMEDY}") from error


def _content(stream, size, known):
    """A pickle, or the layout of torch.save before 2020: pickles one after the other, then the numbers."""
    content = Unpickler(stream, size, _known(known)).load()
    return _read_legacy(stream, size, known) if type(content) is int and content == LEGACY_MAGIC else content


def _known(known):
    return {("torch.storage", "_load_from_bytes"): _load_storage} | (known or {})


class _Stream:
    """A file that is never asked for more bytes than it has: Python would set memory aside for them."""

    def __init__(self, file, size):
        self.file, self.size = file, size

    def read(self, count):
        return self.file.read(max(0, min(count, self.size - self.file.tell())))

    def readline(self):
        return self.file.readline()


def _read_zip(path, known):
    """The current layout: a zip, not compressed, of data.pkl and one file for each storage."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: info for info in archive.infolist()}
        stored = all(info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1 for info in members.values())
        if not stored or sum(info.file_size for info in members.values()) > os.path.getsize(path):
            raise pickle.UnpicklingError("a compressed zip, which torch does not write")
        roots = [name.removesuffix("data.pkl") for name in members if name.split("/")[1:] == ["data.pkl"]]
        if len(roots) != 1:
            raise pickle.UnpicklingError("a zip that is no torch file")
        root = roots[0]
        if root + "constants.pkl" in members:
            raise pickle.UnpicklingError("a TorchScript program, not weights")
        if root + "byteorder" in members and archive.read(root + "byteorder") != b"little":
            raise pickle.UnpicklingError("written on a machine of the other byte order")
        storages = {}

        def storage(pid):
            dtype, key, count = _storage_id(pid)
            if key not in storages:
                info = members[f"{root}data/{key}"]
                if info.file_size != count * dtype.itemsize:
                    raise pickle.UnpicklingError("a storage whose size is not that of its data")
                data = bytearray(archive.read(info))
                storages[key] = torch.frombuffer(data, dtype=dtype) if count else torch.empty(0, dtype=dtype)
            if storages[key].dtype != dtype:
                raise pickle.UnpicklingError("a storage of two types")
            return storages[key]

        with archive.open(root + "data.pkl") as stream:
            return Unpickler(stream, members[root + "data.pkl"].file_size, _known(known), storage).load()


def _read_tar(path):
    """The layout before 2017, which torch itself still reads, tensors only; looked through first."""
    with tarfile.open(path, "r:") as archive:
        members = archive.getmembers()
        if not all(m.isreg() for m in members) or sum(m.size for m in members) > os.path.getsize(path):
            raise pickle.UnpicklingError("a tar with more than files in it")
        data = archive.extractfile("pickle").read()
        Unpickler(io.BytesIO(data), len(data), storage=lambda pid: torch.empty(0)).load()
    return torch.load(path, map_location="cpu", weights_only=True)


def _storage_id(pid):
    """(dtype, key, number of elements) that torch.save wrote for a storage."""
    if type(pid) is not tuple or len(pid) < 5 or pid[0] != "storage" or not isinstance(pid[1], torch.dtype):
        raise pickle.UnpicklingError("a storage of unknown type")
    if not isinstance(pid[2], str) or (len(pid) > 5 and pid[5] is not None):
        raise pickle.UnpicklingError("a storage of unknown kind")
    return pid[1], pid[2], *sizes([pid[4]])


def _read_legacy(stream, size, known=None, embedded=False):
    """The object of an old torch.save stream whose magic number has been read: protocol version, system, the object,
    the keys of its storages, and their element counts and values. `size`: bytes in the stream.

    embedded: a stream inside a pickle, which holds one storage in place of the object.
    """
    for _ in range(2):
        Unpickler(stream, size).load()
    storages, free = {}, size

    def storage(pid):
        nonlocal free
        dtype, key, count = _storage_id(pid)
        if key not in storages:
            free -= count * dtype.itemsize
            if free < 0:
                raise pickle.UnpicklingError("a storage larger than the file")
            storages[key] = torch.empty(count, dtype=dtype)
        return storages[key]

    content = Unpickler(stream, size, _known(known), storage).load()
    keys = Unpickler(stream, size).load()
    if type(keys) is not list or not all(isinstance(key, str) for key in keys) or set(keys) != set(storages):
        raise pickle.UnpicklingError("storages that do not fit the tensors")
    for key in keys:
        target = storages[key]
        (count,) = struct.unpack("<q", stream.read(8))
        raw = stream.read(target.numel() * target.element_size())
        if count != target.numel() or len(raw) != count * target.element_size():
            raise pickle.UnpicklingError("a storage that ends early")
        if count:
            target.copy_(torch.frombuffer(bytearray(raw), dtype=target.dtype))
    if embedded and (not torch.is_tensor(content) or content.ndim != 1):
        raise pickle.UnpicklingError("an embedded storage that is none")
    return content


def _load_storage(data):
    stream = io.BytesIO(data)
    if Unpickler(stream, len(data)).load() != LEGACY_MAGIC:
        raise pickle.UnpicklingError("an embedded storage of unknown format")
    return _read_legacy(stream, len(data), embedded=True)
