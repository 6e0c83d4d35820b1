"""Preparing a training set: our processes against one plain process that does the published recipe with Pillow.

    python scripts/speed/benchmark.py dataset --out docs/benchmarks

The pictures are JPEG files of 1 to 9 megapixels made from samples/. plain: read, search the picture at its own size
(1600 pixels at most), cut by crop_face (Pillow: quad transform at 4096, Lanczos filter), write PNG as Pillow does by
default. ours: everything `prepare_dataset` does, from starting its processes to zip, review pages and sheet, all that
filters need being measured. CPU seconds are those of the process and all its children; they are what counts where other
jobs share the machine.
"""

import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
SCALES = (1.0, 1.3, 1.6, 2.0)
SIZES = (256, 1024)
MIN_SIDE = 256  # pixels: low enough that every face stays


def compare(pictures, say):
    """Measure every variant in a process of its own. Returns the rows; say: called with every line of the table."""
    rows = []
    say(line(None))
    say("| --- " * 8 + "|")
    with tempfile.TemporaryDirectory() as folder:
        make_pictures(Path(folder), pictures)
        variants = [("plain", 1), *(("ours", workers) for workers in sorted({1, os.cpu_count()}))]
        for size, (variant, workers) in itertools.product(SIZES, variants):
            settings = {"variant": variant, "workers": workers, "size": size, "folder": folder}
            command = [sys.executable, __file__, json.dumps(settings)]
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
            if done.returncode:
                raise RuntimeError(done.stderr.strip().splitlines()[-1])
            row = {"variant": variant, "workers": workers, "size": size, "pictures": pictures}
            row |= json.loads(done.stdout.strip().splitlines()[-1])
            rows.append(row)
            first = next(other for other in rows if other["size"] == size)
            row |= {"faster": first["seconds"] / row["seconds"], "cpu_ratio": row["cpu"] / first["cpu"]}
            say(line(row))
    return rows


def line(row):
    if row is None:
        return "| formulation | processes | crop | pictures | s | pictures/s | of plain's speed | CPU s a picture |"
    return (
        f"| {row['variant']} | {row['workers']} | {row['size']} | {row['pictures']} | {row['seconds']:.1f} | "
        f"{row['pictures'] / row['seconds']:.2f} | {row['faster']:.1f} | {row['cpu'] / row['pictures']:.2f} |"
    )


def make_pictures(folder, count):
    """`count` JPEG files, the same on every machine: the samples at several sizes, each shifted a little."""
    from PIL import Image

    samples = [Image.open(path).convert("RGB") for path in sorted(SAMPLES.glob("*.png"))]
    for index in range(count):
        sample, scale = samples[index % len(samples)], SCALES[index // len(samples) % len(SCALES)]
        width, height = (round(side * scale) for side in sample.size)
        shift = 3 * (index // (len(samples) * len(SCALES)))
        sample.resize((width, height), Image.Resampling.BICUBIC).crop((shift, shift, width, height)).save(
            folder / f"{index:04d}.jpg", quality=92
        )


def plain(folder, out, size):
    """One picture after the other; returns how many faces were cut."""
    from PIL import Image

    from alignment import crop_face, detect_faces, ffhq_quad, read_picture

    count = 0
    for path in sorted(folder.glob("*.jpg")):
        pixels = read_picture(path).pixels
        for face in detect_faces(pixels):
            Image.fromarray(crop_face(pixels, ffhq_quad(face.landmarks), size)).save(out / f"{count:05d}.png")
            count += 1
    return count


def ours(folder, out, size, workers):
    from training.preparation.filters import Limits
    from training.preparation.steps import prepare_dataset

    limits = Limits(min_side=MIN_SIDE, min_sharpness=0, max_yaw=90, max_faces=9, max_difference=-1)
    return prepare_dataset([folder], out, size, "zip", limits, workers=workers)["kept"]


def measure(variant, workers, size, folder):
    with tempfile.TemporaryDirectory() as out:
        started = time.perf_counter()
        if variant == "plain":
            faces = plain(Path(folder), Path(out), size)
        else:
            faces = ours(Path(folder), Path(out), size, workers)
        seconds = time.perf_counter() - started
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {"seconds": seconds, "cpu": sum(u.ru_utime + u.ru_stime for u in usage), "faces": faces}


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))
