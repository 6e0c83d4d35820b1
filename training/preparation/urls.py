"""What a URL of a list is called: on disk, and in reports that are meant for other people."""

import hashlib
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from alignment import PICTURE_SUFFIXES
from alignment.text import shown


def is_url(name):
    return str(name).lower().startswith(("http://", "https://"))


def split(url):
    """(host, the URL without a login, "user:password" or ""). Raises ValueError, which does not name the URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError("an address that makes no sense") from error
    if not parts.hostname or port == 0:
        raise ValueError("an address without a host")
    login, _, host = parts.netloc.rpartition("@")
    return host, parts._replace(netloc=host).geturl(), login


def public(name):
    """A name for reports: of a URL without login, and with a short hash in place of the query, where tokens are."""
    if not is_url(name):
        return shown(name, 2000)
    try:
        parts = urlsplit(name)
    except ValueError:
        return f"http:...?{_digest(name)}"
    private = f"{parts.query}#{parts.fragment}" if parts.query or parts.fragment else ""
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    return shown(f"{bare}?{_digest(private)}" if private else bare, 2000)


def file_name(url):
    """ab/abcdef... with the suffix of the URL where that is a picture's."""
    digest = hashlib.sha256(url.encode(errors="surrogateescape")).hexdigest()[:32]
    suffix = PurePosixPath(url.split("?")[0].split("#")[0]).suffix.lower()
    return f"{digest[:2]}/{digest}{suffix if suffix in PICTURE_SUFFIXES else ''}"


def _digest(text):
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]
