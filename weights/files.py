"""Files that appear whole or not at all, and messages that fit into one line."""

import os
import re
import secrets
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = re.compile(r"\..+\.[0-9a-f]{16}\.part(\.[^.]*)?", re.DOTALL)  # names of files that are being written

REMEDY = "fetch it again, or give another file"


class WeightsError(Exception):
    """A weight file is missing, damaged or of the wrong kind. The message names the file and the remedy, in one line
    that is safe to print."""

    def __init__(self, message):
        super().__init__(printable(message))


def printable(text):
    """`text` in one line without control characters, escapes and the like: these appear as \\x1b, \\n, \\ud800 ..."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def first_line(error, limit=200):
    """What an exception says, for the end of a message of our own: its first line, or its type where it says nothing;
    printable, at most `limit` characters."""
    lines = str(error).strip().splitlines()
    line = printable(lines[0] if lines else type(error).__name__)
    return line if len(line) <= limit else line[: limit - 3] + "..."


@contextmanager
def written_atomically(path):
    """Yields a temporary path beside `path` to write to; it becomes `path` when the block ends without an error.

    Missing folders are made. After an error, or a crash, whatever `path` held before is untouched. The temporary file
    is there already, empty: created under a name that nobody can guess, so never through a link that somebody planted.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem[:40]}.{secrets.token_hex(8)}.part{path.suffix[:16]}")
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def cache_folder():
    """Where what can be made again is kept: LIFELIKE_CACHE, or `lifelike` in the user's cache."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lifelike"
    return Path(os.environ.get("LIFELIKE_CACHE") or default)


def remove_unfinished(folder):
    """Delete what runs that were killed left behind in `folder` (not in folders below). Call it only where no other
    process can be writing there, as under the folder's lock."""
    for path in Path(folder).iterdir():
        if UNFINISHED.fullmatch(path.name) and (path.is_file() or path.is_symlink()):
            path.unlink(missing_ok=True)


def check_regular(path, remedy):
    """Raises WeightsError unless `path` is an existing regular file (or a link to one): pipes and devices never end."""
    try:
        regular, there = Path(path).is_file(), os.path.lexists(path)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: cannot be read ({first_line(error)}); {remedy}") from error
    if not regular:
        raise WeightsError(f"{path}: {'no regular file' if there else 'no such weight file'}; {remedy}")
