"""Files that appear whole or not at all, and messages that fit into one line."""

import errno
import json
import math
import os
import re
import secrets
import shutil
import stat
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = re.compile(r"\..+\.[0-9a-f]{16}\.part(\.[^.]*)?", re.DOTALL)  # names of files that are being written

MOST_JSON = 2**26  # bytes of a JSON file that somebody gives us
LONGEST_NUMBER = 300  # digits: as many as a float has room for
NO_ROOM = 2**20  # bytes: with fewer left, a write that failed failed for want of room

REMEDY = "fetch it again, or give another file"


class WeightsError(Exception):
    """A weight file is missing, damaged or of the wrong kind. The message names the file and the remedy, in one line
    that is safe to print."""

    def __init__(self, message):
        super().__init__(printable(message))


def printable(text, longest=None):
    """`text` in one line, cut to `longest` characters: what is not printable (control characters, escapes, what turns
    the direction of text or shows nothing) appears as \\x1b, \\n, \\u202e, \\udc80 ..."""
    text = str(text) if longest is None else str(text)[: longest + 1]
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return escaped if longest is None or len(escaped) <= longest else escaped[: longest - 3] + "..."


def first_line(error, limit=200):
    """What an exception says, for the end of a message of our own: its first line, or its type where it says nothing;
    printable, at most `limit` characters."""
    lines = str(error).strip().splitlines()
    return printable(lines[0].strip() if lines else type(error).__name__, limit)


@contextmanager
def written_atomically(path):
    """Yields a temporary path beside `path` to write to; it becomes `path` when the block ends without an error.

    Missing folders are made. After an error, or a crash, whatever `path` held before is untouched. The temporary file
    is there already, empty: created under a name that nobody can guess, so never through a link that somebody planted.
    Where the disk is full, OSError is raised, whatever the writer's own error is.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem[:40]}.{secrets.token_hex(8)}.part{path.suffix[:16]}")
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield unfinished
        os.replace(unfinished, path)
    except Exception as error:  # libraries have errors of their own for a write that failed
        if isinstance(error, OSError) or shutil.disk_usage(path.parent).free >= NO_ROOM:
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
    finally:
        unfinished.unlink(missing_ok=True)


def cache_folder():
    """Where what can be made again is kept: LIFELIKE_CACHE, or `lifelike` in the user's cache."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lifelike"
    return Path(os.environ.get("LIFELIKE_CACHE") or default)


def remove_unfinished(folder):
    """Delete what runs that were killed left behind in `folder`, if it is there (not in folders below). Call it only
    where no other process can be writing there, as under the folder's lock."""
    for path in Path(folder).iterdir() if Path(folder).is_dir() else ():
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


def read_json(path):
    """What a JSON file from elsewhere holds. Raises ValueError, which does not name the file, for one that is missing,
    no regular file, larger than 64 MiB, no UTF-8, no JSON, or holds a number that is none to a float."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("no regular file")
        if status.st_size > MOST_JSON:
            raise ValueError(f"{status.st_size >> 20} MiB, over {MOST_JSON >> 20}")
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot be read: {getattr(error, 'strerror', None) or first_line(error)}") from error
    try:
        return json.loads(text, parse_int=_whole, parse_float=_real, parse_constant=_real)
    except RecursionError as error:
        raise ValueError("not JSON: nested too deeply") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {first_line(error)}") from error


def _whole(digits):
    if len(digits) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _real(text):
    number = float(text)  # of NaN and Infinity, too, which are no JSON
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no finite number")
    return number
