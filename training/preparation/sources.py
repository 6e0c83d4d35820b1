"""What there is to prepare: folders (any depth), zip files and lists of URLs, as one list of items.

Members of a zip are read into memory and never unpacked, so their names lead nowhere, whatever they are.
"""

import csv
import functools
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from alignment import PictureError

from . import PreparationError

PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
LISTS = {".csv", ".txt"}
MOST_BYTES = 2**28  # of one picture file; more is no portrait but an accident, or an attack on memory


@dataclass(frozen=True)
class Item:
    """One picture. A URL has no path until it is downloaded."""

    name: str  # what reports call it: path, path of the zip / member, or URL
    path: Path | None  # the file on disk, or the zip that holds it
    member: str | None = None  # name inside the zip
    label: int | None = None
    stamp: str = ""  # changes when the content does


def list_items(source):
    """The items of one source, sorted by name (URLs: in the order of the list).

    source: a folder, a .zip, or a .csv or .txt list of URLs. Labels come from the dataset.json of a folder or zip, or
    the column `label` of a CSV. Raises PreparationError when the source is missing, empty or not what its name says.
    """
    source = Path(source)
    if source.is_dir():
        items = _in_folder(source)
    elif not source.is_file():
        raise PreparationError(f"{source}: no such folder, zip or list; check the path")
    elif source.suffix.lower() == ".zip":
        items = _in_zip(source)
    elif source.suffix.lower() in LISTS:
        items = _in_list(source)
    else:
        raise PreparationError(f"{source}: give a folder, a .zip, or a .csv or .txt list of URLs")
    if not items:
        what = "URLs" if source.suffix.lower() in LISTS else f"pictures ({', '.join(sorted(PICTURES))})"
        raise PreparationError(f"{source}: holds no {what}; check that it is the right one")
    return items


def read_bytes(item):
    """The bytes of an item's file. Raises PictureError when there are none to be had."""
    try:
        if item.member is None:
            size = item.path.stat().st_size
        else:
            file = _opened_zip(item.path)
            size = file.getinfo(item.member).file_size
        if size > MOST_BYTES:
            raise PictureError(
                f"{item.name}: {size / 2**20:.0f} MiB, over {MOST_BYTES >> 20}; reduce the picture first"
            )
        return item.path.read_bytes() if item.member is None else file.read(item.member)
    except PictureError:
        raise
    except Exception as error:  # damaged, encrypted, compressed by an unknown method, vanished: zipfile has many
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise PictureError(f"{item.name}: cannot be read ({reason}); save or download it again") from error


def _in_folder(folder):
    paths = sorted(p for p in folder.rglob("*") if _is_picture(p.relative_to(folder).as_posix()) and p.is_file())
    labels = _labels(folder / "dataset.json", (folder / "dataset.json").read_text) if paths else {}
    items = []
    for path in paths:
        status = path.stat()
        label = labels.get(path.relative_to(folder).as_posix())
        items.append(Item(str(path), path, None, label, f"{status.st_size}-{status.st_mtime_ns}"))
    return items


def _in_zip(source):
    try:
        with zipfile.ZipFile(source) as file:
            members = sorted(file.infolist(), key=lambda info: info.filename)
            members = [info for info in members if _is_picture(info.filename) and not info.is_dir()]
            labels = _labels(f"{source}/dataset.json", lambda: file.read("dataset.json")) if members else {}
    except (zipfile.BadZipFile, OSError) as error:
        raise PreparationError(f"{source}: not a readable zip ({error}); download it again") from error
    return [
        Item(f"{source}/{info.filename}", source, info.filename, labels.get(info.filename), f"{info.CRC:08x}")
        for info in members
    ]


def _in_list(source):
    try:
        text = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PreparationError(f"{source}: cannot be read as UTF-8 text ({error}); save the list again") from error
    if source.suffix.lower() == ".txt":
        lines = [line.strip() for line in text.splitlines()]
        rows = [(line, None) for line in lines if line and not line.startswith("#")]
    else:
        table = csv.DictReader(text.splitlines(), skipinitialspace=True)
        columns = {(name or "").strip().lower(): name for name in table.fieldnames or []}
        if "url" not in columns:
            raise PreparationError(f"{source}: has no column `url`; name it so in the first line")
        label = columns.get("label")
        rows = [((row[columns["url"]] or "").strip(), row[label] if label else None) for row in table]
        rows = [row for row in rows if row[0]]
    items = []
    for url, label in rows:
        if not url.lower().startswith(("http://", "https://")):
            raise PreparationError(f"{source}: {url[:80]!r} is not an http(s) URL; one is needed in every line")
        try:
            items.append(Item(url, None, None, int(label) if label not in (None, "") else None))
        except ValueError as error:
            raise PreparationError(f"{source}: label {label!r} is not a whole number; correct it") from error
    return items


def _is_picture(name):
    """Is it a picture by its name? Hidden files and what macOS leaves in zips are not."""
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") and part not in (".", "..") or part == "__MACOSX" for part in path.parts)
    return path.suffix.lower() in PICTURES and not hidden


def _labels(name, read):
    """{file name: label} of a dataset.json in the layout of StyleGAN2-ADA, or {} where there is none."""
    try:
        return {file: label for file, label in json.loads(read())["labels"] or []}
    except (FileNotFoundError, KeyError):
        return {}
    except (ValueError, TypeError) as error:
        raise PreparationError(f'{name}: is not {{"labels": [[name, label], ...]}} ({error}); remove it') from error


@functools.lru_cache(maxsize=8)
def _opened_zip(path):
    """The zip, opened once in each process."""
    return zipfile.ZipFile(path)
