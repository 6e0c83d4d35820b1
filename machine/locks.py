"""One run a folder."""

import hashlib
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path


class Busy(Exception):
    """Another run is at work in the folder; the message names it."""


@contextmanager
def only_run_in(folder):
    """While the block runs, no other process of this machine gets into it for the same folder. Raises Busy.

    The lock's file lies with the temporary files, so that nothing is left in the folder; a process that dies, however,
    lets go of it.
    """
    from filelock import FileLock, Timeout

    name = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:24]
    lock = FileLock(Path(tempfile.gettempdir()) / f"lifelike-{os.getuid()}-{name}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise Busy(f"{folder}: another run is at work in this folder; wait for it, or give another one") from error
    try:
        yield
    finally:
        lock.release()
