"""Fetch pictures from a list of URLs, politely: known by name, slowly, and never the same one twice.

Requests to one host start at least `1 / rate` seconds apart. What may be a passing trouble (429, 5xx, a broken
connection) is tried again after 1, 2, 4 ... seconds, or as long as the host asks in Retry-After. What came is kept, so
a later run asks only for the rest.
"""

import hashlib
import http.client
import random
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import PurePosixPath
from urllib.parse import quote, urlsplit

from weights.files import written_atomically

from .sources import MOST_BYTES, PICTURES

USER_AGENT = "lifelike-prepare-dataset/0.1 (one picture at a time; collects a training set from a published list)"
PASSING = {408, 425, 429, 500, 502, 503, 504}
TIMEOUT = 30  # seconds without a byte
LONGEST_WAIT = 120  # seconds between two attempts, whatever the host asks for
HOSTS_AT_ONCE = 8


def fetch_all(items, folder, rate=2.0, attempts=4, progress=lambda items: items):
    """Give every item without a path one, downloading into `folder` what is not there yet.

    rate: requests a second to one host. progress: wraps the iterator of finished downloads (tqdm).
    Returns (items with paths in the order given, {url: reason} of those that failed). Raises OSError when the folder
    cannot be written.
    """
    turns, failures, paths = Turns(rate), {}, {}
    waiting = []
    for url in dict.fromkeys(item.name for item in items if item.path is None):
        paths[url] = path = folder / _file_name(url)
        if not path.is_file():
            waiting.append(url)
    with ThreadPoolExecutor(HOSTS_AT_ONCE) as pool:
        started = {pool.submit(fetch, url, paths[url], turns, attempts): url for url in waiting}
        try:
            for done in progress(as_completed(started)):
                reason = done.result()
                if reason:
                    failures[started[done]] = reason
        except BaseException:  # a full disk, Ctrl-C: begin no more
            pool.shutdown(cancel_futures=True)
            raise
    there = []
    for item in items:
        if item.path is not None:
            there.append(item)
        elif item.name not in failures:
            path = paths[item.name]
            there.append(replace(item, path=path, stamp=str(path.stat().st_size)))
    return there, failures


def fetch(url, path, turns, attempts):
    """Download one URL to `path`, whole or not at all. Returns None, or why it failed in a few words."""
    request = urllib.request.Request(quote(url, safe="%/:=&?~#+!$,;'@()*[]"), headers={"User-Agent": USER_AGENT})
    for attempt in range(attempts):
        turns.wait(urlsplit(url).netloc)
        asked_for = 0.0
        try:
            content = _get(request)
        except urllib.error.HTTPError as error:
            reason = f"HTTP {error.code} {error.reason}"
            if error.code not in PASSING:
                return reason
            asked_for = _seconds(error.headers.get("Retry-After"))
        except (OSError, http.client.HTTPException) as error:
            reason = str(getattr(error, "reason", None) or error or type(error).__name__)
        except ValueError as error:  # an address that makes no sense, or too many bytes
            return str(error)
        else:
            with written_atomically(path) as unfinished:
                unfinished.write_bytes(content)
            return None
        if attempt + 1 < attempts:
            time.sleep(min(max(asked_for, 2**attempt * random.uniform(1, 1.25)), LONGEST_WAIT))
    return f"{reason} ({attempts} attempts)"


class Turns:
    """Hands out starting times to one host that lie at least 1 / rate seconds apart."""

    def __init__(self, rate):
        self.pause = 1 / rate
        self.free_at = {}
        self.lock = threading.Lock()

    def wait(self, host):
        with self.lock:
            now = time.monotonic()
            start = max(self.free_at.get(host, now), now)
            self.free_at[host] = start + self.pause
        time.sleep(start - now)


def _get(request):
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        content = answer.read(MOST_BYTES + 1)
        announced = answer.headers.get("Content-Length")
    if len(content) > MOST_BYTES:
        raise ValueError(f"over {MOST_BYTES >> 20} MiB")
    if announced and announced.isdigit() and len(content) < int(announced):
        raise http.client.IncompleteRead(content, int(announced) - len(content))
    if not content:
        raise http.client.HTTPException("an empty answer")
    return content


def _file_name(url):
    """ab/abcdef... with the suffix of the URL where that is a picture's."""
    digest = hashlib.sha256(url.encode()).hexdigest()[:32]
    suffix = PurePosixPath(urlsplit(url).path).suffix.lower()
    return f"{digest[:2]}/{digest}{suffix if suffix in PICTURES else ''}"


def _seconds(header):
    """Retry-After in seconds; a date is not worth the trouble and counts as nothing asked."""
    return float(header) if header and header.strip().isdigit() else 0.0
