"""A folder as numbered files of at most 15 MiB, to be carried off a borrowed machine and joined again."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

from weights.files import written_atomically

SIZE = 15 * 2**20


def split(folder, parts, names):
    """Write the files `names` (relative to `folder`; missing ones are skipped) to `parts`/state-NNN.part and
    index.json, which comes last: without it the parts do not count."""
    parts = Path(parts)
    parts.mkdir(parents=True, exist_ok=True)
    (parts / "index.json").unlink(missing_ok=True)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in names:
            if (Path(folder) / name).is_file():
                archive.add(Path(folder) / name, name)
    data = stream.getbuffer()
    pieces = [data[start : start + SIZE] for start in range(0, len(data), SIZE)]
    for old in parts.glob("state-*.part"):
        old.unlink()
    for number, piece in enumerate(pieces):
        (parts / f"state-{number:03d}.part").write_bytes(piece)
    index = {"parts": len(pieces), "sha256": hashlib.sha256(data).hexdigest()}
    with written_atomically(parts / "index.json") as unfinished:
        unfinished.write_text(json.dumps(index))


def join(parts, folder):
    """Put the files that `split` wrote back below `folder`; False when `parts` holds none. Raises ValueError, naming
    the folder, when some are missing or damaged."""
    parts = Path(parts)
    if not (parts / "index.json").is_file():
        return False
    index = json.loads((parts / "index.json").read_text())
    files = [parts / f"state-{number:03d}.part" for number in range(index["parts"])]
    data = b"".join(file.read_bytes() for file in files if file.is_file())
    if hashlib.sha256(data).hexdigest() != index["sha256"]:
        raise ValueError(f"{parts}: parts are missing or damaged ({index['parts']} belong together); bring them again")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.extractall(folder, filter="data")
    return True
