"""Names of outputs, made from names of inputs: safe on every file system, predictable, and no two of them one.

Inputs come from anywhere, so their names may hold anything: separators of another system, names of devices, control
characters, bytes that are no text, the names of the reports beside the results, or letters that differ to people and
not to the file system (case, composed and decomposed accents).
"""

import hashlib
import os
import unicodedata
from pathlib import Path

from .formats import PICTURE_SUFFIXES

LONGEST = 150  # bytes of UTF-8 in a name: room for suffixes, temporary names and deep folders (file systems allow 255)
RESERVED = {  # what stands beside the results of a run
    "report", "results", "sheet", "preview", "texture", "summary", "camera", "mesh", "latents", "study", "composite",
    "frames",
}  # fmt: skip
RESERVED_SUFFIXES = {".json", ".jsonl", ".html", ".csv", ".lock", ".part", ".npz", ".md", ".yaml", ".log", ".tmp"}
DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"}  # of Windows
DEVICES |= {f"{kind}{number}" for kind in ("com", "lpt") for number in "0123456789¹²³"}
FORBIDDEN = set('<>:"/\\|?*')  # on one file system or another


def output_names(paths):
    """One name a path, in order: its stem made safe, with its suffix where the stems of two are one, then numbered.

    Two names count as one when they are on a file system that folds case or normalises Unicode. A name depends on the
    other paths only where stems are shared, and on their order only where even the file names are.
    """
    paths = [Path(path) for path in paths]
    stems = [safe_name(path.stem) for path in paths]
    shared = _counted(stems)
    wanted = [safe_name(p.name) if shared[folded(s)] > 1 else s for p, s in zip(paths, stems, strict=True)]
    own = _counted(wanted)
    used = {folded(name) for name in wanted if own[folded(name)] == 1}  # these keep their names
    names = []
    for name in wanted:
        if own[folded(name)] > 1:
            number, first = 1, name
            while folded(name) in used:
                number += 1
                name = f"{first}-{number}"
            used.add(folded(name))
        names.append(name)
    return names


def safe_name(name):
    """A file or folder name like `name` that can be written anywhere and read by anyone. Most names are their own.

    One that had to be changed ends with six digits of a hash, so that two of these do not become one.
    """
    raw = name.encode(errors="surrogatepass")
    name = raw.decode(errors="replace")
    safe = unicodedata.normalize("NFC", name)
    safe = "".join("_" if c in FORBIDDEN or not _writable(c) else c for c in safe)
    safe = safe.strip(" ").rstrip(". ")
    if safe.startswith((".", "-", "~")):  # hidden, an option of a command, a home
        safe = "_" + safe[1:]
    if safe.split(".")[0].strip().lower() in DEVICES:  # whatever follows the first point
        safe = "_" + safe
    if not safe.strip("_. "):
        safe = "picture"
    if safe != unicodedata.normalize("NFC", name) or is_reserved(safe) or len(safe.encode()) > LONGEST:
        digest = hashlib.sha256(raw).hexdigest()[:6]
        safe = f"{safe.encode()[: LONGEST - 7].decode(errors='ignore').rstrip('. ')}-{digest}"
    return safe


def is_reserved(name):
    """Would a folder of this name stand in the way of a report, or be taken for one?"""
    stem, suffix = os.path.splitext(name.lower())
    return suffix in RESERVED_SUFFIXES or (stem in RESERVED and suffix in ("", *PICTURE_SUFFIXES))


def folded(name):
    """What a file system that folds case and normalises Unicode makes of a name: equal means the same file."""
    once = unicodedata.normalize("NFKD", str(name)).casefold()
    return unicodedata.normalize("NFKD", once).rstrip(". ")


def _counted(names):
    counts = {}
    for name in names:
        counts[folded(name)] = counts.get(folded(name), 0) + 1
    return counts


def _writable(c):
    return c.isprintable() and c != "\ufffd"
