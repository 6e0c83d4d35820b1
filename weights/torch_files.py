"""Read what torch.save wrote, in any of its three layouts, or a plain pickle, as data: nothing in a file is executed, and
no more is allocated than the file holds (weights/pickles.py)."""

import os
import pickle
import tarfile
import zipfile

import torch

from .files import REMEDY, WeightsError, check_regular
from .pickles import LEGACY_MAGIC, Unpickler, read_legacy, refusing, storage_id


def read(path, known=None):
    """The object in a torch file or a pickle, tensors on the CPU; see `pickles.loads` for what may be in it.

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
        stream = _Stream(file, size)
        content = Unpickler(stream, known).load()
        return read_legacy(stream, size, known) if content == LEGACY_MAGIC and type(content) is int else content


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
            dtype, key, count = storage_id(pid)
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
            return Unpickler(stream, known, storage).load()


def _read_tar(path):
    """The layout before 2017, which torch itself still reads, tensors only; looked through first."""
    with tarfile.open(path, "r:") as archive:
        members = archive.getmembers()
        if not all(m.isreg() for m in members) or sum(m.size for m in members) > os.path.getsize(path):
            raise pickle.UnpicklingError("a tar with more than files in it")
        Unpickler(archive.extractfile("pickle"), storage=lambda pid: torch.empty(0)).load()
    return torch.load(path, map_location="cpu", weights_only=True)


def state_of(content, anchor, path, what):
    """{name: tensor} of the network in `content`, as people save it: as it is, or one or two dictionaries deeper
    ({"state_dict": ...}), with any prefix before all names ("module.", "_orig_mod.").

    anchor: the name of a tensor that every such network has, by which it is found. Tensors that do not stand under the
    same prefix are left out. Raises WeightsError, naming `path` and `what` was looked for.
    """
    layer = [content] if isinstance(content, dict) else []
    for _ in range(3):
        for state in layer[:100]:
            names = [n for n, t in state.items() if isinstance(n, str) and torch.is_tensor(t)]
            found = [name for name in names if name == anchor or name.endswith("." + anchor)]
            if found:
                prefix = min(found, key=len).removesuffix(anchor)
                return {name.removeprefix(prefix): state[name] for name in names if name.startswith(prefix)}
        layer = [value for state in layer[:100] for value in state.values() if isinstance(value, dict)]
    found = f"a {type(content).__name__}"
    if isinstance(content, dict):
        names = [str(name)[:30] for name in list(content)[:3] if isinstance(name, str | int)]
        found = f"{len(content)} entries ({', '.join(names)}{', ...' if len(content) > 3 else ''})"
    raise WeightsError(f"{path}: does not hold {what}: found {found}, expected a tensor {anchor}; {REMEDY}")
