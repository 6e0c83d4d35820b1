"""The files of a run: what is written for a picture, and how a rerun knows that it is there already.

A picture's folder is complete once its `report.json` is there, which is written last. It holds a fingerprint of the
picture's bytes, the settings and the weights; a rerun skips a picture whose fingerprint is the same.
"""

import hashlib
import json

from weights.files import written_atomically

SHOWN = 12  # frames of a sequence on sheet and page
MOST_ROWS = 100  # pictures on the sheet of a run
FACE_FILES = ("crop.png", "inversion.png", "portrait.png", "mask.png", "result.png", "w_plus.npz")


def fingerprint(path, settings):
    """Hex digest of a file's bytes and the (JSON) settings it is processed with; None when it cannot be read."""
    from alignment import PictureError
    from alignment.formats import read_file

    try:
        digest = hashlib.sha256(read_file(path))
    except (PictureError, OSError):
        return None
    digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
    return digest.hexdigest()


def fingerprint_of(*parts):
    """Hex digest of JSON values; None when one of them is None."""
    if None in parts:
        return None
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def finished(folder, wanted):
    """The report entry that lies in `folder` if it was made for the fingerprint `wanted` and its files are there, else
    None."""
    try:
        entry = json.loads((folder / "report.json").read_text())
        if wanted is None or entry["fingerprint"] != wanted:
            return None
        names = [entry["composite"], "sheet.png"]
        for face in entry["faces"]:
            files = [name for name in FACE_FILES if name != "w_plus.npz"] if face.get("edited") else FACE_FILES
            names += [f"face{face['face']}_{name}" for name in files]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return entry if all((folder / name).is_file() for name in names) else None


def write_entry(folder, entry):
    """The last file of a picture's folder."""
    with written_atomically(folder / "report.json") as unfinished:
        unfinished.write_text(json.dumps(entry, indent=1, allow_nan=False))


def overview_row(out, entry):
    """What the sheet of the whole run shows of a picture, from the files: [(caption, pixels), ...]; what is gone
    meanwhile is left blank."""
    import numpy as np

    from alignment import PictureError, read_picture
    from alignment.sheet import reduced

    def shown(caption, path):
        try:
            return caption, reduced(read_picture(path).pixels)
        except (PictureError, OSError):
            return f"{caption} (gone)", np.full([32, 32, 3], 220, np.uint8)

    folder, face = out / entry["output"], entry["faces"][0]["face"]
    return [
        shown("input", entry["input"]),
        shown("result", folder / entry["composite"]),
        shown("face: input", folder / f"face{face}_crop.png"),
        shown("face: result", folder / f"face{face}_result.png"),
    ]


def write_run(out, report):
    """`report.json`, and of the pictures that were done `sheet.png` and `results.html`.

    Of a sequence these two show SHOWN frames, evenly spaced, and the page the preview, which lies in `out` already. Of
    more than MOST_ROWS pictures the sheet shows so many, evenly spaced.
    """
    from alignment import write_png
    from alignment.evenly import evenly
    from alignment.sheet import contact_sheet

    from .results_page import results_page

    with written_atomically(out / "report.json") as unfinished:
        unfinished.write_text(json.dumps(report, indent=1, allow_nan=False))
    done = [entry for entry in report["pictures"] if "error" not in entry]
    if "sequence" in report and len(done) > SHOWN:
        done = evenly(done, SHOWN)
    if done:
        write_png(out / "sheet.png", contact_sheet([overview_row(out, entry) for entry in evenly(done, MOST_ROWS)]))
    left_out = {entry["output"] for entry in report["pictures"] if "error" not in entry and entry not in done}
    with written_atomically(out / "results.html") as unfinished:
        unfinished.write_text(results_page(out, report, left_out))
