"""The page of a user study: which of several pictures of one face looks more real?

This is how the paper measures authenticity. Fig. 6: ten portraits, for each of them the results of all methods
together in random order; Fig. 15: twenty pairs of a display image before and after, on random sides. study_page.html
beside this file asks the questions; here it gets its pictures. compare/study_answers.py reads the answers.
"""

import base64
import hashlib
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from alignment.evenly import evenly
from alignment.formats import PICTURE_SUFFIXES
from alignment.text import one_line, shown
from weights.files import read_json, written_atomically

from .systems import CARD

SHOWN = 900  # pixels on the long side of a picture
MOST_METHODS = 9  # as many as there are number keys
CHECKS = 3  # sets of spoilt pictures but one; who picks a spoilt one is not counted (7 of 8 who guess, in pairs)
REPEATS = 2  # sets that come again the other way round, to see how steady a choice is
QUESTIONS = "Which picture looks more real?", "Which picture looks most real?"  # of two, of more
PAGE = Path(__file__).with_suffix(".html")


class StudyError(Exception):
    """Folders that no study can be made of; the message is one line, 'FOLDER: what is wrong; remedy', safe to print."""

    def __str__(self):
        return shown(super().__str__(), 1000)


def pictures_in(folder):
    """{name: path} of a results folder (compare/systems.py), a folder of inputs, or the out folder of project.py.

    The name is the file's stem, or that of NAME/composite.SUFFIX. Raises StudyError for no folder, no pictures, and two
    pictures of one name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise StudyError(f"{folder}: no such folder; check the path")
    inside = sorted(path for path in folder.glob("*/composite.*") if path.suffix.lower() in PICTURE_SUFFIXES)
    named = [(path.parent.name, path) for path in inside]
    if not named:
        named = [(path.stem, path) for path in sorted(folder.iterdir()) if path.suffix.lower() in PICTURE_SUFFIXES]
    if not named:
        raise StudyError(
            f"{folder}: holds no pictures; give a folder with NAME.png files or an out folder of project.py"
        )
    found = {}
    for name, path in named:
        if name in found:
            raise StudyError(f"{path}: {found[name].name} has the same name; keep one of the two")
        found[name] = path
    return found


def matched(folders, count=None):
    """[(case, {method: path})] for {method: folder}: the pictures of the first folder, found in all others by name.

    count: how many of them, evenly spread; None = all. Raises StudyError when a folder lacks one, and for fewer than
    two methods or more than nine.
    """
    if not 2 <= len(folders) <= MOST_METHODS:
        raise StudyError(f"{len(folders)} methods given; a study compares 2 to {MOST_METHODS}")
    found = {method: pictures_in(folder) for method, folder in folders.items()}
    names = evenly(list(next(iter(found.values()))), count)
    for method, pictures in found.items():
        lacking = [name for name in names if name not in pictures]
        if lacking:
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            first = folders[next(iter(folders))]
            raise StudyError(f"{folders[method]}: no picture {lacking[0]}{more} that {first} has; add or remove it")
    return [(name, {method: pictures[name] for method, pictures in found.items()}) for name in names]


def read_case(paths):
    """[uint8 [H, W, 3]] of one case's {method: path}, all brought to one size: nobody shall see which is which by that.

    The size is the largest among them, at most SHOWN. Raises StudyError for shapes that differ by more than a pixel in
    a hundred, and what read_picture raises.
    """
    from alignment import read_picture

    pictures = [Image.fromarray(read_picture(path).pixels) for path in paths.values()]
    largest = max(pictures, key=lambda picture: picture.width * picture.height)
    for picture, path in zip(pictures, paths.values(), strict=True):
        if abs(picture.width / picture.height / (largest.width / largest.height) - 1) > 0.01:
            shapes = f"{picture.width} x {picture.height}, others {largest.width} x {largest.height}"
            raise StudyError(f"{path}: another shape than the pictures it is compared with ({shapes}); crop them alike")
    scale = min(1, SHOWN / max(largest.size))
    size = tuple(max(1, round(side * scale)) for side in largest.size)
    return [np.asarray(picture.resize(size, Image.Resampling.LANCZOS)) for picture in pictures]


def write_study(out, folders, cases):
    """Write `study.html` and `study.json` into `out`.

    folders: {method: folder}; the first method is the one that the report's histogram is about. cases: an iterable of
    (case, [uint8 [H, W, 3] a method]). Returns the study: what the page knows, without the pictures.
    """
    methods, pictures = list(folders), {}
    for case, pixels in cases:
        pictures[case] = [_embedded(picture) for picture in pixels]
    names = list(pictures)
    study = {
        "question": QUESTIONS[len(methods) > 2],
        "methods": methods,
        "cases": names,
        "repeats": min(REPEATS, len(names)),
    }
    study["checks"] = [
        {"case": names[i * len(names) // CHECKS], "intact": methods[i % len(methods)]} for i in range(CHECKS)
    ]
    study["id"] = hashlib.sha256(json.dumps([study, pictures]).encode()).hexdigest()[:16]
    inside = json.dumps(study | {"pictures": pictures}).replace("<", "\\u003c")  # no name can end the script
    begin, _, end = PAGE.read_text(encoding="utf-8").split("/*STUDY*/")
    with written_atomically(out / "study.html") as unfinished:
        unfinished.write_text(begin + inside + end, encoding="utf-8")
    cards = {method: _card(Path(folder)) for method, folder in folders.items()}
    with written_atomically(out / "study.json") as unfinished:
        unfinished.write_text(json.dumps(study | {"systems": cards}, indent=1))
    return study


def _embedded(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=92)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _card(folder):
    if not (folder / CARD).exists():
        return None
    try:
        return read_json(folder / CARD)
    except ValueError as error:
        raise StudyError(f"{folder / CARD}: not JSON ({one_line(error)}); write it again or remove it") from error
