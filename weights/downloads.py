"""Fetch one published file: under a name of its own until it is whole, checked before anything can find it, and never
waited for without end."""

import os
import re
import shutil
import tempfile
import threading
import time
from pathlib import Path

import weights

from .files import WeightsError, check_regular, first_line, written_atomically

PATIENCE = 60  # seconds in which at least PATIENCE * SLOWEST bytes must come, from the first request on
SLOWEST = 1000  # bytes a second
LARGEST = 4 * 2**30  # bytes; the largest published file here has 0.6 GB
PAGE = re.compile(rb"\s*(<!doctype|<html|<\?xml|\{)", re.IGNORECASE)  # what servers answer in place of a file


class DownloadError(Exception):
    """A file cannot be fetched, or is not the one that was wanted. The message names it and the remedy."""


def fetch(name, entry, path, look, recorded=None):
    """Download an entry of the manifest to `path`, whole and checked or not at all; returns its SHA-256.

    look: function of a path that raises WeightsError unless it can be read as such a file; for those of which no whole
    SHA-256 is known. recorded: its SHA-256 at the first download, or None. Raises DownloadError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    by_hand = f"or put a file fetched by hand at {path}"
    folder = Path(tempfile.mkdtemp(prefix=".fetch-", dir=path.parent))
    try:
        try:
            watched(lambda: _get(entry, folder / path.name), folder)
        except ImportError as error:
            missing = f"{error.name} is missing; pip install -e .[download]"
            raise DownloadError(f"{name}: {missing}, {by_hand}") from error
        except Exception as error:  # every library has network errors of its own
            reason = first_line(error, 160)
            raise DownloadError(f"{name}: could not be downloaded ({reason}); try again, {by_hand}") from error
        digest = check(name, entry, folder / path.name, look, recorded, f"try again later, {by_hand}")
        os.replace(folder / path.name, path)
        return digest
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_unfinished(folder):
    """Delete what downloads that were killed left in `folder`; only while nobody else downloads into it."""
    for path in folder.glob(".fetch-*"):
        shutil.rmtree(path, ignore_errors=True)


def _get(entry, file):
    if "url" in entry:
        import pooch

        pooch.HTTPDownloader(progressbar=True, timeout=30)(entry["url"], str(file), None)
    elif "drive" in entry:
        import gdown

        if gdown.download(id=entry["drive"], output=str(file)) is None:
            raise OSError("the download was refused")
    else:
        raise OSError(f"no direct link is known, see {entry.get('page', 'its authors')}")


def watched(get, folder):
    """Run get(), which writes into `folder`, in a thread of its own: neither a server that sends a byte a second nor
    Ctrl-C holds the run. Raises what it raises, and OSError when it is given up."""
    failure = []

    def run():
        try:
            get()
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    since, before = time.monotonic(), 0
    while thread.is_alive():
        thread.join(0.1)
        size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
        if size > LARGEST:
            raise OSError(f"more than {LARGEST >> 30} GiB came")
        if time.monotonic() - since > PATIENCE:
            if size - before < SLOWEST * PATIENCE:
                raise OSError(f"fewer than {SLOWEST} bytes a second came")
            since, before = time.monotonic(), size
    if failure:
        raise failure[0]


def check(name, entry, path, look, recorded, remedy):
    """The SHA-256 of a file of the manifest. Raises DownloadError when it contradicts the manifest or the first
    download, or when what is in it cannot be such a file (`look`: see `fetch`)."""
    try:
        check_regular(path, remedy)
        with open(path, "rb") as file:
            head = file.read(512)
        if not head or PAGE.match(head):
            raise WeightsError(f"{name}: the answer is {'a web page' if head else 'empty'}, not the file; {remedy}")
        found = weights.sha256(path)
        for expected in (entry.get("sha256"), entry.get("sha256_prefix"), recorded):
            if expected and not found.startswith(expected):
                said = f"SHA-256 {found[:16]}... is not the expected {expected[:16]}"
                raise WeightsError(f"{name}: {said}; {remedy}")
        if not any((entry.get("sha256"), recorded)):
            look(path)
    except OSError as error:
        raise DownloadError(f"{name}: cannot be read ({first_line(error)}); {remedy}") from error
    except WeightsError as error:
        raise DownloadError(str(error)) from error
    return found


def read_lock(path):
    """{name: SHA-256} of the files that were downloaded before. Raises DownloadError for a damaged file."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text()) if path.is_file() else {}
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise DownloadError(f"{path}: cannot be read ({first_line(error, 80)}); mend or delete it") from error
    if not isinstance(content or {}, dict) or not all(isinstance(v, str) for v in (content or {}).values()):
        raise DownloadError(f"{path}: holds something other than hashes; mend or delete it")
    return content or {}


def write_lock(path, hashes):
    import yaml

    with written_atomically(path) as unfinished:
        unfinished.write_text(yaml.safe_dump(hashes))
