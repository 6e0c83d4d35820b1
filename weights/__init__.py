"""Weight files: our own format (safetensors + JSON metadata) and the embedded demo bundle.

A native file holds plain tensors; its metadata says what they are (`kind`), how to build the network (`config`) and
where it came from (`card`). Reading one executes nothing. The demo bundle in `weights/demo` is described file by file
in `weights/README.md`. Finding a network by its role: roles.py; other people's files as data: torch_files.py,
pickles.py, arrays.py; putting tensors into networks: networks.py; fetching: downloads.py; writing whole: files.py.
"""

import hashlib
import json
from pathlib import Path

from .files import WeightsError, check_regular, first_line, written_atomically

DEMO = Path(__file__).resolve().parent / "demo"
MAX_SIZE = 2**20  # no count, width or resolution in a network's description is larger


def save(path, tensors, *, kind, config, card=None, half=False):
    """Write `tensors` (name -> tensor) atomically. `kind` names the network, `config` its constructor arguments,
    `card` (JSON-able dict) data, steps, command and licence. half: floating-point tensors are stored as float16."""
    from safetensors.torch import save_file

    metadata = {
        "format": "lifelike",
        "kind": kind,
        "config": json.dumps(config),
        "card": json.dumps(card or {}),
    }
    if half:
        tensors = {name: t.half() if t.is_floating_point() else t for name, t in tensors.items()}
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with written_atomically(path) as unfinished:
        save_file(tensors, unfinished, metadata=metadata)
        sort_metadata(unfinished)
        unfinished.chmod(0o644)


def sort_metadata(path):
    """safetensors writes metadata in another order every time; with this the same content is the same file."""
    with open(path, "r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        file.seek(8)
        file.write(text.ljust(length))


def is_native(path):
    """Whether a file is one of ours, by its name or its first bytes; the others are read by weights/torch_files.py."""
    if Path(path).suffix == ".safetensors":
        return True
    check_regular(path, "give an existing path")
    with open(path, "rb") as file:
        head = file.read(9)
    return head[4:] == b"\0\0\0\0{"  # safetensors: the length of its header, 8 bytes, and JSON


def describe(path, kind):
    """The `config` of a native file of the given `kind`; its tensors are not read. Raises WeightsError when the file is
    missing, damaged, not ours, or of another kind."""
    from safetensors import safe_open

    check_regular(path, "give an existing path")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except Exception as error:
        reason = first_line(error, 100)
        raise WeightsError(f"{path}: not a readable safetensors file ({reason}); fetch or convert it again") from error
    if metadata.get("format") != "lifelike" or metadata.get("kind") != kind:
        found = metadata.get("kind", "a file without our metadata")[:40]
        raise WeightsError(f"{path}: holds {found}, but {kind} is needed here")
    try:
        config = json.loads(metadata["config"])
    except (KeyError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: its description is missing or damaged; fetch or convert it again") from error
    if not isinstance(config, dict) or not _harmless(config):
        raise WeightsError(f"{path}: its description is not one of a network; fetch or convert it again")
    return config


def load(path, kind, only=""):
    """Read a native file of the given `kind`. Returns `(tensors, config)`; half-precision tensors come back as float32.

    only: what the names of the tensors to read begin with. Raises WeightsError as `describe` does, and when a number is
    not finite.
    """
    from safetensors import safe_open

    config = describe(path, kind)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys() if name.startswith(only)}
    except Exception as error:
        raise WeightsError(f"{path}: is damaged ({first_line(error, 100)}); fetch or convert it again") from error
    tensors = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    check_finite(path, tensors)
    return tensors, config


def check_finite(path, tensors):
    """Raises WeightsError if one of `tensors` (name -> tensor) holds a NaN or an infinity."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            what = "numbers that are not finite (a run that diverged, or a damaged file)"
            raise WeightsError(f"{path}: {name[:60]} holds {what}; take another snapshot or fetch it again")


def _harmless(config, depth=4):
    """Whether a description holds plain values of a size that networks have, not so many and not too deep."""
    if isinstance(config, dict | list):
        values = list(config.values()) if isinstance(config, dict) else config
        return depth > 0 and len(values) <= 100 and all(_harmless(value, depth - 1) for value in values)
    return not isinstance(config, int | float) or abs(config) <= MAX_SIZE  # NaN compares as false


def card(path):
    """The `card` dict stored in a native file's metadata; empty where it is none."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        text = (file.metadata() or {}).get("card", "{}")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def sha256(path):
    """Hex SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
