"""The files of a run: what is written for a picture, and how a rerun knows that it is there already.

A picture's folder is complete once its `report.json` is there, which is written last. It holds a fingerprint of the
picture's bytes, the settings and the weights; a rerun skips a picture whose fingerprint is the same.
"""

import hashlib
import json

from weights.files import written_atomically

SHOWN = 12  # frames of a sequence on sheet and page
PIXELS = ("crop", "inversion", "portrait", "mask", "w_plus")  # of a face's dict: into files, not into the report


def fingerprint(path, settings):
    """Hex digest of a file's bytes and the (JSON) settings it is processed with; None when it cannot be read."""
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256")
    except OSError:
        return None
    digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
    return digest.hexdigest()


def finished(folder, wanted):
    """The report entry that lies in `folder` if it was made for the fingerprint `wanted`, else None."""
    try:
        entry = json.loads((folder / "report.json").read_text())
    except (OSError, ValueError):
        return None
    return entry if wanted is not None and entry.get("fingerprint") == wanted else None


def write_entry(folder, entry):
    """The last file of a picture's folder."""
    with written_atomically(folder / "report.json") as unfinished:
        unfinished.write_text(json.dumps(entry, indent=1))


def write_results(folder, picture, result, faces):
    """Write the pictures and latents of one input into `folder`; returns (name of the composite's file, the report
    entries of its faces)."""
    import numpy as np

    from alignment import to_rgb8, write_original, write_png
    from postprocess.sheet import contact_sheet

    folder.mkdir(parents=True, exist_ok=True)
    for stale in (*folder.glob("face*_*"), *folder.glob("composite.*"), folder / "report.json"):
        stale.unlink(missing_ok=True)
    rows, entries = [], []
    before, after = picture.pixels, to_rgb8(result)
    for face in faces:
        top, bottom, left, right = neighbourhood(face["quad"], before.shape)
        row = [("input", face["crop"]), ("inversion by g_rendering", face["inversion"]),
               ("portrait by g_real", face["portrait"]), ("soft mask", face["mask"][top:bottom, left:right]),
               ("in the picture: before", before[top:bottom, left:right]),
               ("in the picture: after", after[top:bottom, left:right])]  # fmt: skip
        rows.append(row)
        for name in ("crop", "inversion", "portrait", "mask"):
            write_png(folder / f"face{face['face']}_{name}.png", face[name])
        with written_atomically(folder / f"face{face['face']}_w_plus.npz") as unfinished:
            np.savez(unfinished, w_plus=face["w_plus"])
        entries.append({k: v for k, v in face.items() if k not in PIXELS})
    rows.append([("before", before), ("after", after)])
    written = write_original(folder / "composite", picture.original, result)
    write_png(folder / "sheet.png", contact_sheet(rows))
    return written.name, entries


def neighbourhood(quad, shape):
    """(top, bottom, left, right) of the picture around a face crop, a tenth of its side larger on every side."""
    xs, ys = [p[0] for p in quad], [p[1] for p in quad]
    pad = 0.1 * (max(xs) - min(xs))
    top, bottom = max(int(min(ys) - pad), 0), min(int(max(ys) + pad), shape[0])
    left, right = max(int(min(xs) - pad), 0), min(int(max(xs) + pad), shape[1])
    return top, bottom, left, right


def overview_row(out, entry):
    """What the sheet of the whole run shows of a picture, from the files: [(caption, pixels), ...]."""
    import numpy as np
    from PIL import Image

    from alignment import read_picture

    folder, face = out / entry["output"], entry["faces"][0]["face"]
    small = [read_picture(path).pixels for path in (entry["input"], folder / entry["composite"])]
    crops = [np.asarray(Image.open(folder / f"face{face}_{name}.png")) for name in ("crop", "portrait")]
    captions = ("input", "result", "face: input", "face: result")
    return list(zip(captions, (*small, *crops), strict=True))


def write_run(out, report):
    """`report.json`, and of the pictures that were done `sheet.png` and `results.html`.

    Of a sequence these two show SHOWN frames, evenly spaced, and the page the preview, which lies in `out` already.
    """
    from alignment import write_png
    from postprocess.results_page import results_page
    from postprocess.sheet import contact_sheet

    with written_atomically(out / "report.json") as unfinished:
        unfinished.write_text(json.dumps(report, indent=1))
    done = [entry for entry in report["pictures"] if "error" not in entry]
    if "sequence" in report and len(done) > SHOWN:
        done = [done[i] for i in sorted({round(i * (len(done) - 1) / (SHOWN - 1)) for i in range(SHOWN)})]
    if done:
        write_png(out / "sheet.png", contact_sheet([overview_row(out, entry) for entry in done]))
    left_out = {entry["output"] for entry in report["pictures"] if "error" not in entry and entry not in done}
    with written_atomically(out / "results.html") as unfinished:
        unfinished.write_text(results_page(out, report, left_out))
