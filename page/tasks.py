"""What the worker processes do. Every task gets the Networks, emit(...) for news on the way (which raises Cancelled
where the user wants no more of it), and its own arguments; pictures lie in files, in a folder of the user's session.

A picture's folder holds the picture, or the frames of a sequence, and `out`, the very folder that project.py writes.
"""

import os
import time
import zipfile
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

from .command import options_of
from .workers import Refused

MOST_PIXELS = 40_000_000  # of a picture on the page
SHOWN = 1024  # pixels on the long side of the picture on which faces are pointed out
OFTEN = 0.4  # seconds between two previews
MOST_KEPT = 3  # faces whose layers are kept in memory: some 50 MB each in a picture of 1024 pixels


class Networks:
    """The Bundle of a process, loaded when it is first needed, and what of the last pictures is kept in memory."""

    def __init__(self, weights, device, g_rendering=None):
        self.weights, self.device, self.g_rendering = weights, device, g_rendering
        self.opened = {}  # folder -> Opened, the latest last

    @cached_property
    def bundle(self):
        from machine.device import pick_device
        from pipeline import load_bundle

        return load_bundle(self.weights, str(pick_device(self.device)), self.g_rendering)


def warm(networks, emit):
    """Load what the first picture will need."""
    import cv2  # noqa: F401
    import scipy.ndimage  # noqa: F401

    from alignment.detect import _detector

    _detector()
    return networks.bundle.size


def look(networks, emit, folder, name, shown):
    """Read a picture and find its faces: {"size", "notes", "faces": [{"quad", "notes"}], "usual": {preset: finish}};
    writes a JPEG of it to `shown`. Raises PictureError, or Refused where it is too large for the page."""
    from alignment import AlignmentError, find_faces, open_image, read_picture
    from pipeline.presets import PRESETS

    with inside(folder):
        with open_image(name) as image:
            width, height = image.size
        if width * height > MOST_PIXELS:
            raise Refused(f"{name}: {width} x {height} pixels, over {MOST_PIXELS // 10**6} million; reduce it first")
        picture = read_picture(name)
    try:
        found = find_faces(picture.pixels)
    except AlignmentError:
        found = []
    write_jpeg(shown, picture.pixels, SHOWN)
    usual = {name: asdict(preset.finish) for name, preset in PRESETS.items()}
    return {
        "size": picture.pixels.shape[1::-1],
        "usual": {name: {n: finish[n] for n in ("strength", "detail", "blend")} for name, finish in usual.items()},
        "notes": list(picture.notes),
        "faces": [{"quad": face.quad.tolist(), "notes": list(face.notes)} for face in found],
    }


def invert(networks, emit, job):
    """The run of project.py; the slow half, unless it was done before. Emits ("step", done, all, lpips) and
    ("preview", JPEG bytes). Returns `described` of it."""
    schedule = options_of(job).preset.schedule
    drawn, last = [None], [0.0, 0]  # the generator's latest picture; when the last preview was made, steps so far
    pictures = len(job.names)
    hook = networks.bundle.g_rendering.synthesis.register_forward_hook(
        lambda module, inputs, image: drawn.__setitem__(0, image.detach())
    )

    def on_step(path, faces, step, lpips):
        tuning = schedule.tuning.steps if schedule.tuning else 0
        per_picture = schedule.steps + faces * tuning
        last[1] += 1
        emit("step", last[1], per_picture * pictures, float(lpips.mean()))
        if time.monotonic() - last[0] > OFTEN:
            last[0] = time.monotonic()
            emit("preview", jpeg_of(drawn[0]))

    emit("step", 0, schedule.length * pictures, None)
    try:
        return run(networks, job, on_step)
    finally:
        hook.remove()


def save(networks, emit, job, target):
    """The run of project.py once more, which only finishes, and all it wrote as a zip in `target`."""
    described = run(networks, job)
    folder = Path(job.folder)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted((folder / "out").rglob("*")):
            archive.write(path, path.relative_to(folder))
    return described


def run(networks, job, on_step=None):
    """jobs.folder.run in the job's folder, with the options of its project.py line. Raises Refused where no picture
    could be done."""
    from jobs import folder
    from jobs.inputs import find_pictures, natural_order

    options = options_of(job)
    with inside(job.folder):
        pictures = find_pictures([Path(name) for name in job.inputs])
        pictures = natural_order(pictures) if job.sequence else pictures
        folder.check_writable("out")
        report = folder.run(pictures, "out", networks.bundle, options, on_step=on_step)
    done = [entry for entry in report.pictures if "error" not in entry]
    if not done:
        raise Refused(report.pictures[0]["error"])
    return {
        "entries": [
            {
                "output": entry["output"],
                "composite": entry["composite"],
                "faces": [{"face": face["face"], "warnings": face["warnings"]} for face in entry["faces"]],
            }
            for entry in done
        ],
        "errors": [entry["error"] for entry in report.pictures if "error" in entry],
    }


@contextmanager
def inside(folder):
    """In that folder meanwhile, so that names in messages and reports are the user's, not paths of this machine."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


# -- the fast half: the inversion that lies in the folder, finished otherwise


class Opened:
    """An inversion that lies in a folder, in memory, with the layers that no slider changes."""

    def __init__(self, job, number):
        import json

        from alignment import read_picture
        from pipeline.kept import RECORD, kept

        folder = Path(job.folder)
        out = folder / "out" / job.outputs[number]
        self.stamp = (out / RECORD).stat().st_mtime_ns
        with inside(folder):
            picture = read_picture(job.names[number])
        self.inverted = kept(out, picture, json.loads((out / RECORD).read_text())["fingerprint"])
        self.prepared = {}  # which faces are registered -> [Prepared]

    def put_back(self, networks, finish):
        """(composite's samples, [Placed])."""
        from pipeline.projector import prepare, put_back, to_register

        registered = to_register(self.inverted, finish)
        if registered not in self.prepared:
            self.prepared = {registered: prepare(self.inverted, networks.bundle, registered)}
        return put_back(self.inverted, self.prepared[registered], finish)


def opened(networks, job, number):
    """The Opened of a job's picture, kept in memory for the next call."""
    key = (job.folder, number)
    one = networks.opened.pop(key, None)
    out = Path(job.folder) / "out" / job.outputs[number]
    from pipeline.kept import RECORD

    if one is None or one.stamp != (out / RECORD).stat().st_mtime_ns:
        one = Opened(job, number)
    networks.opened[key] = one
    while len(networks.opened) > 1 and sum(len(o.inverted.found) for o in networks.opened.values()) > MOST_KEPT:
        networks.opened.pop(next(iter(networks.opened)))
    return one


def finish(networks, emit, job, number, before, after):
    """The finish of a job as two JPEGs of full size: the picture, and the picture with real faces."""
    from alignment import to_rgb8

    one = opened(networks, job, number)
    samples, _ = one.put_back(networks, options_of(job).preset.finish)
    if not os.path.exists(before):
        write_jpeg(before, one.inverted.picture.pixels)
    write_jpeg(after, to_rgb8(samples))


def composite(networks, emit, job, number, target):
    """The composite in the picture's own format; `target` without suffix. Returns the file's path."""
    from alignment import write_original

    one = opened(networks, job, number)
    samples, _ = one.put_back(networks, options_of(job).preset.finish)
    return str(write_original(target, one.inverted.picture.original, samples))


def judge(networks, emit, job, number):
    """{face: [warnings]} of the finish of a job."""
    from alignment import crop_face, to_rgb8
    from pipeline.projector import measure

    one, bundle = opened(networks, job, number), networks.bundle
    finish = options_of(job).preset.finish
    samples, placed = one.put_back(networks, finish)
    pixels, warnings = to_rgb8(samples), {}
    for i, face in enumerate(one.inverted.found):
        result = crop_face(pixels, face.quad, bundle.size)
        warnings[face.index] = measure(one.inverted, i, placed[i], result, bundle, finish.of(face.index)).warnings
    return warnings


def write_jpeg(path, pixels, longest=None):
    """Write uint8 [H, W, 3] for the browser, at most `longest` on a side."""
    from PIL import Image

    from weights.files import written_atomically

    image = Image.fromarray(pixels)
    if longest:
        image.thumbnail((longest, longest))
    with written_atomically(path) as unfinished:
        image.save(unfinished, format="JPEG", quality=95, subsampling=0)


def jpeg_of(images):
    """The bytes of a JPEG of what a generator drew, float [N, 3, R, R] in [-1, 1], side by side."""
    import io

    import numpy as np
    from PIL import Image

    from alignment.tensors import to_pixels

    file = io.BytesIO()
    Image.fromarray(np.concatenate(list(to_pixels(images)), axis=1)).save(file, format="JPEG", quality=85)
    return file.getvalue()
