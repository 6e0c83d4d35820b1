"""The whole preparation, step by step: list, download, measure and cut, sort out, pack, report."""

import csv
import functools
import hashlib
import json
import os
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from alignment.text import cell, shown
from machine.locks import Busy, only_run_in
from weights.files import remove_unfinished, written_atomically

from . import PreparationError
from .download import fetch_all
from .filters import Rejection, sort_out
from .journal import append, in_processes, is_done, open_journal, read_journal
from .measure import crashed, crop_path, narrowest_box, prepare, thumbnail_path
from .pack import pack_folder, pack_zip
from .review import read_review, write_review
from .sources import list_items
from .urls import public

OWN = ("crops", "downloads", "dataset")  # folders of a preparation
SHOWN = 6  # pictures of each kind on the contact sheet


@contextmanager
def alone_in(out):
    """While the block runs, no other process prepares a set in `out`; what killed runs left unfinished there is gone.
    Raises PreparationError where another is at work."""
    try:
        with only_run_in(out):
            for folder in (out, *(path for name in ("crops", "downloads") for path, _, _ in os.walk(out / name))):
                remove_unfinished(folder)
            yield
    except Busy as error:
        raise PreparationError(shown(error)) from error


def without_own(items, source, out):
    """The items of a source but for what earlier preparations wrote into `out`, where that lies within the source.
    Raises PreparationError, naming the file, where the first one would write over a picture of the source."""
    own, within = os.path.realpath(out), os.path.realpath(source)
    if not os.path.isdir(within) or os.path.commonpath([own, within]) != within:
        return items
    sheet, folders = os.path.join(own, "sheet.png"), tuple(os.path.join(own, name, "") for name in OWN)
    paths = [os.path.realpath(item.path) for item in items]
    if not any(Path(own, "crops").glob("*/journal.jsonl")):  # the first one here
        if sheet in paths:
            said = "would be overwritten by the sheet of the set; rename it, or give another -o"
            raise PreparationError(f"{shown(sheet)}: {said}")
        return items
    return [i for i, path in zip(items, paths, strict=True) if path != sheet and not path.startswith(folders)]


def prepare_dataset(
    sources,  # folders, zips, lists of URLs
    out,  # folder of everything that comes of it
    size,  # side of the crops in pixels
    kind,  # "zip" or "folder"
    limits,  # filters.Limits
    reviews=(),  # files that review.html saved
    workers=None,  # processes; None = one a core
    rate=2.0,  # requests a second to one host
    include=(),  # patterns of files that are wanted, and
    exclude=(),  # of those that are not: maps.choose
):
    """Make OUT/dataset.zip (or OUT/dataset/) and its reports from `sources`; see scripts/prepare_dataset.py. Call it
    within `alone_in(out)`.

    Returns the report. Raises PreparationError when nothing can be done, or nothing stays, and OSError when the disk
    refuses.
    """
    started = time.perf_counter()
    removed = set().union(*map(read_review, reviews))
    notes = []
    listed = [without_own(list_items(source, include, exclude, notes.append), source, out) for source in sources]
    items = list({item.name: item for part in listed for item in part}.values())
    if not items:
        raise PreparationError(f"{shown(out)}: the sources hold only what was made here; name others, or another -o")
    crops = out / "crops" / str(size)
    crops.mkdir(parents=True, exist_ok=True)

    # Download
    failures, missing = {}, sum(item.path is None for item in items)
    if missing:
        items, failures = fetch_all(items, out / "downloads", rate, progress=_bar("downloading", missing))

    # Measure and cut: the long part, in many processes
    records = read_journal(crops / "journal.jsonl", notes.append)
    narrowest = narrowest_box(limits)
    to_do = [item for item in items if not is_done(item, records.get(item.name), narrowest, limits, crops)]
    workers = max(min(workers or _cores(), len(to_do)), 1)
    work = functools.partial(prepare, size=size, limits=limits, folder=crops)
    cutting = time.perf_counter()
    with open_journal(crops / "journal.jsonl") as file:
        for item, record in _bar("cutting", len(to_do))(in_processes(work, to_do, workers)):
            records[item.name] = record or crashed(item, narrowest)
            append(file, records[item.name])
    cutting = time.perf_counter() - cutting

    # Sort out
    kept, rejections = sort_out([records[item.name] for item in items], limits, removed)
    rejections = [Rejection(url, None, "download", detail=reason) for url, reason in failures.items()] + rejections
    write_rejections(out / "rejected.csv", rejections)
    if not kept:
        counts = ", ".join(f"{n} {reason}" for reason, n in Counter(r.reason for r in rejections).most_common())
        raise PreparationError(f"{out}: no face stays ({counts}); see rejected.csv and lower the limits")

    unknown = removed - {face["id"] for record in records.values() for face in record["faces"]}

    # Pack, unless the same pictures lie there already
    labels = {item.name: item.label for item in items}
    labels = [labels[record["name"]] for record, _ in kept]
    labels = None if None in labels else labels
    target = out / ("dataset.zip" if kind == "zip" else "dataset")
    contents = [[face["id"], record["stamp"]] for record, face in kept]
    signature = hashlib.sha256(json.dumps([kind, size, contents, labels]).encode()).hexdigest()
    if not target.exists() or _packed(out / "report.json") != signature:
        (out / "report.json").unlink(missing_ok=True)  # from here on it would describe another set
        pack = pack_zip if kind == "zip" else pack_folder
        pack(target, [crop_path(crops, face["id"]) for _, face in kept], labels, progress=_bar("packing", len(kept)))

    # Report
    pages = write_review(out, kept, crops, progress=_bar("review pages", None))
    write_sheet(out / "sheet.png", kept, rejections, crops)
    report = {
        "dataset": str(target),
        "signature": signature,
        "size": size,
        "pictures": len(items) + len(failures),
        "kept": len(kept),
        "labels": labels is not None,
        "rejected": dict(Counter(rejection.reason for rejection in rejections).most_common()),
        "failed_downloads": {public(url): reason for url, reason in failures.items()},
        "notes": notes,
        "limits": vars(limits),
        "measured": _spread(kept),
        "review": {
            "pages": [str(page) for page in pages],
            "read": [str(path) for path in reviews],
            "unknown": len(unknown),
        },
        "sources": [shown(source) for source in sources],
        "cut_now": len(to_do),
        "cut_per_second": round(len(to_do) / cutting, 3) if to_do else None,
        "workers": workers,
        "seconds": round(time.perf_counter() - started, 2),
    }
    with written_atomically(out / "report.json") as unfinished:
        unfinished.write_text(json.dumps(report, indent=1))
    return report


def write_rejections(path, rejections):
    """rejected.csv: one line a face, or picture where `face` is empty, with reason, number and the limit it broke."""
    with written_atomically(path) as unfinished:
        with unfinished.open("w", newline="", encoding="utf-8", errors="replace") as file:
            table = csv.writer(file)
            table.writerow(["picture", "face", "reason", "number", "limit", "detail"])
            for r in rejections:
                detail = f"of {public(r.detail[3:])}" if r.reason == "duplicate" else r.detail
                table.writerow([cell(public(r.name)), r.face or "", r.reason, r.number, r.limit, cell(detail)])


def write_sheet(path, kept, rejections, crops):
    """A contact sheet: some pictures that stay, evenly spread, and some that had to be cut to be judged."""
    from alignment import read_picture, write_png
    from alignment.sheet import contact_sheet

    rows = [
        [(f"kept: {face['yaw']:.0f} deg, sharp {face['sharpness']:.1f}", face["id"]) for _, face in part]
        for part in (_spread_out(kept[start::3], SHOWN) for start in range(3))
        if part
    ]
    for reason in ("blurred", "duplicate", "review"):
        of_it = _spread_out([r for r in rejections if r.reason == reason], SHOWN)
        rows += [[(reason if r.number is None else f"{reason}: {r.number:g}", r.face) for r in of_it]] if of_it else []
    read = [[(caption, thumbnail_path(crops, identity)) for caption, identity in row] for row in rows]
    write_png(path, contact_sheet([[(c, read_picture(p).pixels) for c, p in row] for row in read], tile=192))


def _spread_out(entries, count):
    """At most `count` of them, evenly spread."""
    step = max(len(entries) / count, 1)
    return [entries[int(i * step)] for i in range(min(count, len(entries)))]


def _spread(kept):
    """{measure: [5th percentile, median, 95th percentile]} of the faces that stay: what to set limits by."""
    import numpy as np

    return {
        name: [round(float(v), 2) for v in np.percentile([face[name] for _, face in kept], [5, 50, 95])]
        for name in ("side", "sharpness", "yaw")
    }


def _packed(path):
    """The signature of what was packed last, None when unknown."""
    try:
        return json.loads(Path(path).read_text())["signature"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _bar(what, total):
    return functools.partial(tqdm, desc=what, total=total, dynamic_ncols=True, disable=total == 0)


def _cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
