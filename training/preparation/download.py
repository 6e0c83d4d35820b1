"""Fetch pictures from a list of URLs, politely: known by name, slowly, and never the same one twice.

Requests to one host start at least `1 / rate` seconds apart. What may be a passing trouble (429, 5xx, a broken
connection) is tried again after 1, 2, 4 ... seconds, or as long as the host asks in Retry-After. What came and is a
picture is kept, so a later run asks only for the rest. Nothing a server says ends the run or keeps it waiting for long.
"""

import base64
import functools
import http.client
import queue
import random
import socket
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace
from urllib.parse import quote, unquote

from alignment import PictureError, open_image
from alignment.text import shown
from weights.files import written_atomically

from .sources import MOST_BYTES
from .urls import file_name, split

USER_AGENT = "lifelike-prepare-dataset/0.1 (one picture at a time; collects a training set from a published list)"
PASSING = {408, 425, 429, 500, 502, 503, 504}
TIMEOUT = 30  # seconds without a byte
PATIENCE = 20  # seconds, after which SLOWEST counts
SLOWEST = 1024  # bytes a second, on average
LONGEST = 600  # seconds for one file
LONGEST_WAIT = 120  # seconds between two attempts, whatever the host asks for
AT_ONCE = 8


class TooSlow(Exception):
    """A server that would keep us waiting."""


def fetch_all(items, folder, rate=2.0, attempts=4, progress=lambda items: items):
    """Give every item without a path one, downloading into `folder` what is not there yet.

    rate: requests a second to one host. progress: wraps an iterator with one step a download (tqdm).
    Returns (items with paths in the order given, {url: reason} of those that failed). Raises OSError when the folder
    cannot be written. Ctrl-C ends all waiting at once: the threads are daemons, nobody waits for them.
    """
    paths = {item.name: folder / file_name(item.name) for item in items if item.path is None}
    waiting = [url for url, path in paths.items() if not is_kept(path)]
    to_do, done, failures, turns = queue.SimpleQueue(), queue.SimpleQueue(), {}, Turns(rate)
    for url in waiting:
        to_do.put(url)

    def work():
        while not turns.stop.is_set():
            try:
                url = to_do.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((url, fetch(url, paths[url], turns, attempts)))
            except BaseException as error:  # a full disk: for the caller
                done.put((url, error))
                return

    for _ in range(min(AT_ONCE, len(waiting))):
        threading.Thread(target=work, daemon=True).start()
    try:
        for _ in progress(range(len(waiting))):
            url, outcome = done.get()
            if isinstance(outcome, BaseException):
                raise outcome
            if outcome:
                failures[url] = outcome
    finally:
        turns.stop.set()
    there = []
    for item in items:
        if item.path is not None:
            there.append(item)
        elif item.name not in failures:
            path = paths[item.name]
            there.append(replace(item, path=path, stamp=str(path.stat().st_size)))
    return there, failures


def fetch(url, path, turns, attempts):
    """Download one URL to `path`, whole or not at all. Returns None, or why it failed, fit to be shown."""
    try:
        host, address, login = split(url)
        quoted = quote(address, safe="%/:=&?~#+!$,;'@()*[]")
        request = urllib.request.Request(quoted, headers={"User-Agent": USER_AGENT})
        if login:  # for this host alone, not for where it redirects to
            token = base64.b64encode(unquote(login).encode()).decode()
            request.add_unredirected_header("Authorization", f"Basic {token}")
    except ValueError as error:
        return shown(error, 200)
    for attempt in range(attempts):
        turns.wait(host)
        asked_for = 0.0
        try:
            content, kind = _get(request, turns.stop)
            with open_image(url, content):
                pass
        except urllib.error.HTTPError as error:
            reason = f"HTTP {error.code} {shown(error.reason, 100)}"
            if error.code not in PASSING:
                return reason
            asked_for = seconds(error.headers.get("Retry-After"))
        except PictureError:  # an error page with status 200, say
            return f"not a picture ({shown(kind, 50)})"
        except TooSlow as error:
            return str(error)
        except (ValueError, http.client.InvalidURL) as error:  # an address that makes no sense, or too many bytes
            return shown(error, 200)
        except (OSError, http.client.HTTPException) as error:
            reason = shown(getattr(error, "reason", None) or str(error) or type(error).__name__, 200)
        else:
            with written_atomically(path) as unfinished:
                unfinished.write_bytes(content)
            return None
        wait = min(max(asked_for, 2**attempt * random.uniform(1, 1.25)), LONGEST_WAIT)
        if attempt + 1 < attempts and pause(turns.stop, wait):
            return "stopped"
    return f"{reason} ({attempts} attempts)"


def is_kept(path):
    """Is a picture there already? (Earlier versions kept error pages.)"""
    try:
        with path.open("rb") as file, open_image(path, file):
            return True
    except (OSError, PictureError):
        return False


class Turns:
    """Hands out starting times to one host that lie at least 1 / rate seconds apart. stop: an Event that ends waits."""

    def __init__(self, rate):
        self.pause = 1 / rate
        self.free_at = {}
        self.lock = threading.Lock()
        self.stop = threading.Event()

    def wait(self, host):
        with self.lock:
            now = time.monotonic()
            start = max(self.free_at.get(host, now), now)
            self.free_at[host] = start + self.pause
        pause(self.stop, start - now)


def pause(stop, seconds):
    """Wait, unless told to stop; returns whether it was."""
    return stop.wait(seconds)


def seconds(header):
    """Retry-After in seconds; a date, or anything else, is not worth the trouble and counts as nothing asked."""
    text = (header or "").strip()
    return float(min(int(text), LONGEST_WAIT)) if text.isascii() and text.isdigit() and len(text) < 1000 else 0.0


def _get(request, stop):
    """(content, its kind as the server says). Raises what urllib raises, ValueError for too many bytes, and TooSlow."""
    progress = {"socket": None, "bytes": 0, "late": False}
    finished, started = threading.Event(), time.monotonic()

    def watch():
        """Cut the connection of a server that is too slow: it may send a byte a second in header, chunk or body."""
        while not finished.wait(PATIENCE / 20):
            taken = time.monotonic() - started
            late = taken > LONGEST or (taken > PATIENCE and progress["bytes"] < SLOWEST * taken)
            if (late or stop.is_set()) and progress["socket"] is not None:
                progress["late"] = True
                try:
                    progress["socket"].shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # gone already
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        with _opener(progress).open(request, timeout=TIMEOUT) as answer:
            parts = []
            while part := answer.read1(2**16):
                parts.append(part)
                progress["bytes"] += len(part)
                if progress["bytes"] > MOST_BYTES:
                    raise ValueError(f"over {MOST_BYTES >> 20} MiB")
            content, announced = b"".join(parts), answer.headers.get("Content-Length", "")
            kind = answer.headers.get_content_type()
    except (OSError, http.client.HTTPException):
        if not progress["late"]:
            raise
        content = b""
    finally:
        finished.set()
        if progress["socket"] is not None:
            progress["socket"].close()
    if progress["late"]:
        raise TooSlow(f"under {SLOWEST} bytes a second, or over {LONGEST // 60} minutes: given up")
    if announced.isascii() and announced.isdigit() and len(content) < int(announced[:15]):
        raise http.client.IncompleteRead(content, int(announced[:15]) - len(content))
    if not content:
        raise http.client.HTTPException("an empty answer")
    return content, kind


def _opener(progress):
    """urllib's opener for http and https alone, which leaves a second handle of its socket in progress["socket"]."""

    def connect(*arguments, **options):
        made = socket.create_connection(*arguments, **options)
        if progress["socket"] is not None:
            progress["socket"].close()  # of the address that redirected here
        progress["socket"] = made.dup()
        return made

    def connection(kind, *arguments, **options):
        made = kind(*arguments, **options)
        made._create_connection = connect
        return made

    class Http(urllib.request.HTTPHandler):
        def http_open(self, request):
            return self.do_open(functools.partial(connection, http.client.HTTPConnection), request)

    class Https(urllib.request.HTTPSHandler):
        def https_open(self, request):
            return self.do_open(functools.partial(connection, http.client.HTTPSConnection), request)

    class Redirects(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, request, file, code, message, headers, url):
            if not url.lower().startswith(("http://", "https://")):
                raise urllib.error.HTTPError(request.full_url, code, "leads to no http(s) address", headers, file)
            return super().redirect_request(request, file, code, message, headers, url)

    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        Http,
        Https,
        Redirects,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener
