"""What there is to prepare: folders (any depth), zip files and lists of URLs, as one list of items.

Members of a zip are read into memory and never unpacked, so their names lead nowhere, whatever they are.
"""

import csv
import functools
import json
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path

from alignment import PictureError
from alignment.formats import read_file, read_member
from alignment.listing import left_out_line, pictures_in, sort_names
from alignment.text import one_line, shown

from . import PreparationError
from .maps import choose
from .urls import is_url

LISTS = {".csv", ".txt"}
MOST_BYTES = 2**28  # of one picture file; more is no portrait but an accident, or an attack on memory
MOST_LABELS = 2**26  # bytes of a dataset.json: a million pictures


@dataclass(frozen=True)
class Item:
    """One picture. A URL has no path until it is downloaded."""

    name: str  # what reports call it: path, path of the zip / member, or URL
    path: Path | None  # the file on disk, or the zip that holds it
    member: str | None = None  # name inside the zip
    label: int | None = None
    stamp: str = ""  # changes when the content does


def list_items(source, include=(), exclude=(), tell=lambda line: None):
    """The items of one source, sorted by name (URLs: in the order of the list).

    source: a folder, a .zip, or a .csv or .txt list of URLs. include, exclude: patterns for the files of folders and
    zips (maps.choose). tell: is given a line about pictures that are not taken. Labels come from the dataset.json of a
    folder or zip, or the column `label` of a CSV. Raises PreparationError when the source is missing, empty or not what
    its name says.
    """
    source = Path(source)
    left_out = []
    if source.is_dir():
        items, left_out = _in_folder(source, include, exclude)
    elif not source.is_file():
        raise PreparationError(f"{shown(source)}: no such folder, zip or list; check the path")
    elif source.suffix.lower() == ".zip":
        items, left_out = _in_zip(source, include, exclude)
    elif source.suffix.lower() in LISTS:
        items = _in_list(source)
    else:
        raise PreparationError(f"{shown(source)}: give a folder, a .zip, or a .csv or .txt list of URLs")
    line = left_out_line(left_out)
    if line:
        tell(f"{shown(source)}: {line}")
    if not items:
        what = "URLs" if source.suffix.lower() in LISTS else "pictures"
        raise PreparationError(f"{shown(source)}: holds no {what}; {line or 'check that it is the right one'}")
    return items


def read_bytes(item):
    """The bytes of an item's file. Raises PictureError when there are none to be had."""
    try:
        if item.member is not None:
            return read_member(_opened_zip(item.path), item.member, MOST_BYTES)
        size = item.path.stat().st_size
        if size > MOST_BYTES:
            raise ValueError(f"{size / 2**20:.0f} MiB, over {MOST_BYTES >> 20}")
        return read_file(item.path)
    except PictureError:
        raise
    except Exception as error:  # damaged, encrypted, compressed by an unknown method, vanished: zipfile has many
        raise PictureError(f"{item.name}: cannot be read ({one_line(error)}); save or download it again") from error


def _in_folder(folder, include, exclude):
    try:
        paths, left_out = pictures_in(folder, deep=True)
    except OSError as error:
        raise PreparationError(f"{shown(folder)}: cannot be read ({error.strerror}); check permissions") from error
    by_name = {path.relative_to(folder).as_posix(): path for path in paths}
    names, unwanted = choose(list(by_name), include, exclude)
    labels = _labels(folder / "dataset.json", lambda: _small_file(folder / "dataset.json")) if names else {}
    items = []
    for name in names:
        status = by_name[name].stat()
        items.append(
            Item(str(by_name[name]), by_name[name], None, labels.get(name), f"{status.st_size}-{status.st_mtime_ns}")
        )
    return items, left_out + unwanted


def _in_zip(source, include, exclude):
    try:
        with zipfile.ZipFile(source) as file:
            members = {info.filename: info for info in file.infolist() if not info.is_dir()}
            names, left_out = sort_names(sorted(members))
            names, unwanted = choose(names, include, exclude)
            read = lambda: read_member(file, "dataset.json", MOST_LABELS)  # noqa: E731
            labels = _labels(f"{source}/dataset.json", read) if names else {}
    except (zipfile.BadZipFile, OSError, RuntimeError, UnicodeDecodeError) as error:  # encrypted, an unknown method
        raise PreparationError(f"{shown(source)}: not a readable zip ({one_line(error)}); download it again") from error
    items = [Item(f"{source}/{n}", source, n, labels.get(n), f"{members[n].CRC:08x}") for n in names]
    return items, left_out + unwanted


def _in_list(source):
    try:
        text = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, MemoryError) as error:
        raise PreparationError(
            f"{shown(source)}: cannot be read as UTF-8 text ({error}); save the list again"
        ) from error
    if source.suffix.lower() == ".txt":
        lines = [line.strip() for line in text.splitlines()]
        rows = [(line, None) for line in lines if line and not line.startswith("#")]
    else:
        try:
            table = csv.DictReader(text.splitlines(), skipinitialspace=True)
            columns = {(name or "").strip().lower(): name for name in table.fieldnames or []}
            if "url" not in columns:
                raise PreparationError(f"{shown(source)}: has no column `url`; name it so in the first line")
            label = columns.get("label")
            rows = [((row[columns["url"]] or "").strip(), row[label] if label else None) for row in table]
        except csv.Error as error:
            raise PreparationError(f"{shown(source)}: not a CSV file ({error}); save the list again") from error
        rows = [row for row in rows if row[0]]
    items = []
    for url, label in rows:
        if not is_url(url):
            raise PreparationError(f"{shown(source)}: {url[:80]!r} is not an http(s) URL; one is needed in every line")
        try:
            items.append(Item(url, None, None, int(label) if label not in (None, "") else None))
        except ValueError as error:
            raise PreparationError(
                f"{shown(source)}: label {label[:40]!r} is not a whole number; correct it"
            ) from error
    return items


def _labels(name, read):
    """{file name: label} of a dataset.json in the layout of StyleGAN2-ADA, or {} where there is none."""
    try:
        labels = json.loads(read())["labels"] or []
        found = {file: label for file, label in labels}
        odd = [label for label in found.values() if type(label) is not int or label < 0]
        if odd:
            raise ValueError(f"{str(odd[0])[:40]!r} is no class")
        return found
    except (FileNotFoundError, KeyError):
        return {}
    except Exception as error:  # damaged, encrypted, compressed by an unknown method, no JSON, nested: there are many
        remedy = f'is not {{"labels": [[name, number], ...]}} ({one_line(error)}); remove it'
        raise PreparationError(f"{shown(name)}: {remedy}") from error


def _small_file(path):
    """The bytes of a dataset.json. Raises FileNotFoundError, and ValueError where it is too long or no file."""
    status = path.stat()
    if status.st_size > MOST_LABELS or not stat.S_ISREG(status.st_mode):
        raise ValueError(f"over {MOST_LABELS >> 20} MiB, or no file")
    return path.read_bytes()


@functools.lru_cache(maxsize=8)
def _opened_zip(path):
    """The zip, opened once in each process."""
    return zipfile.ZipFile(path)
