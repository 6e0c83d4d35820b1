"""Weight files: our own format (safetensors + JSON metadata) and the embedded demo bundle.

A native file holds plain tensors; its metadata says what they are (`kind`), how to build the network (`config`) and
where it came from (`card`). Reading one executes nothing. The demo bundle in `weights/demo` is described file by file
in `weights/README.md`.
"""

import hashlib
import json
from pathlib import Path

from .files import written_atomically

DEMO = Path(__file__).resolve().parent / "demo"


class WeightsError(Exception):
    """A weight file is missing, damaged or of the wrong kind. The message names the file and the remedy."""


def save(path, tensors, *, kind, config, card=None):
    """Write `tensors` (name -> tensor) atomically. `kind` names the network, `config` its constructor arguments,
    `card` (JSON-able dict) data, steps, command and licence."""
    from safetensors.torch import save_file

    metadata = {
        "format": "lifelike",
        "kind": kind,
        "config": json.dumps(config),
        "card": json.dumps(card or {}),
    }
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with written_atomically(path) as unfinished:
        save_file(tensors, unfinished, metadata=metadata)
        unfinished.chmod(0o644)


def load(path, kind):
    """Read a native file of the given `kind`. Returns `(tensors, config)`; half-precision tensors come back as float32.

    Raises WeightsError when the file is missing, damaged, not ours, or of another kind.
    """
    from safetensors import safe_open

    path = Path(path)
    if not path.is_file():
        raise WeightsError(
            f"{path}: no such weight file; give an existing path or leave the option out to use the demo weights"
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except Exception as error:
        raise WeightsError(f"{path}: not a readable safetensors file ({error}); fetch or convert it again") from error
    if metadata.get("format") != "lifelike" or metadata.get("kind") != kind:
        found = metadata.get("kind", "a file without our metadata")
        raise WeightsError(f"{path}: holds {found}, but {kind} is needed here")
    tensors = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    return tensors, json.loads(metadata["config"])


def card(path):
    """The `card` dict stored in a native file's metadata."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return json.loads((file.metadata() or {}).get("card", "{}"))


def sha256(path):
    """Hex SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
