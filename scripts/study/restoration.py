"""Which form of the difference of the two generators, and how long an inversion, gives the best picture?

\b
    python scripts/study/restoration.py --data ../shared/avatars --out runs/restoration

For identities of `matched/` that lie between those of the paired benchmark (and, like these, were never trained on)
every schedule is inverted once and kept in OUT/inversions; then every finish is a row: measures of the paired benchmark
against the truth, at the generators' size, the whole crop being finished, and the sharpness, the energy of the
Laplacian inside the face over that of the input. Writes table.md, table.csv, results.json and sheet.png into OUT; the
same command again inverts only what is missing.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np

SCHEDULES = {  # steps of Eq. 4, steps of tuning and its learning rate
    "25": (25, 0, None),
    "50": (50, 0, None),
    "100": (100, 0, None),
    "25 + 25 at 1e-3": (25, 25, 1e-3),
    "25 + 25 at 2e-3": (25, 25, 2e-3),
    "20 + 30 at 1e-3": (20, 30, 1e-3),
    "15 + 35 at 2e-3": (15, 35, 2e-3),
    "100 + 100 at 1e-3": (100, 100, 1e-3),
}
BEFORE = "100 + 100 at 1e-3"  # the default before the difference was taken
COLUMNS = ("LPIPS (face)", "L2 (face)", "dlib distance", "landmarks", "authenticity", "sharpness")


# Finishes: f(picture x, portrait R, reconstruction G: float32 [S, S, 3], sRGB 0 to 255; labels [S, S]) -> the same


def plain(d, sigma=0.0, colours=0.0):
    """R + d (x - G), the difference blurred by sigma pixels, what is not grey in it by `colours`."""

    def finish(x, real, rendering, labels):
        difference = blurred(real - rendering, sigma)
        grey = difference @ np.float32([[0.299], [0.587], [0.114]])  # [S, S, 1]
        difference = grey + blurred(difference - grey, colours)
        return (1 - d) * real + d * (x + difference)

    return finish


def ratio(sigma):
    """x R / G in linear light, the quotient blurred and kept between 1/3 and 3."""

    def finish(x, real, rendering, labels):
        x, real, rendering = ((np.clip(p / 255, 0, 1)) ** 2.2 for p in (x, real, rendering))
        quotient = blurred((real + 0.02) / (rendering + 0.02), sigma).clip(1 / 3, 3)
        return 255 * np.clip((x + 0.02) * quotient - 0.02, 0, 1) ** (1 / 2.2)

    return finish


def local_maps(sigma, guide, noise=100.0):
    """Affine maps of colours, fitted in a Gaussian window around each pixel and themselves blurred: from G to R, then
    applied to x (bilateral guided upsampling, Chen et al. 2016), or from x to x + R - G (guided filter, He et al.)."""

    def finish(x, real, rendering, labels):
        start = x if guide == "picture" else rendering
        centre, change = blurred(start, sigma), real - rendering
        spread = products(start, start, sigma)
        slope = np.linalg.solve(spread + noise * np.eye(3, dtype=np.float32), products(start, change, sigma))
        offset = blurred(change, sigma) - np.einsum("hwi,hwij->hwj", centre, slope)
        slope = blurred(slope.reshape(*x.shape[:2], 9), sigma).reshape(slope.shape)
        return x + np.einsum("hwi,hwij->hwj", x, slope) + blurred(offset, sigma)

    return finish


def bands(finest, sigma=1.0):
    """R + (x - G), of whose finest band only a share is taken (Laplacian bands)."""

    def finish(x, real, rendering, labels):
        residual = x - rendering
        return real + blurred(residual, sigma) + finest * (residual - blurred(residual, sigma))

    return finish


def where_outlines_agree(sigma, steepness=0.15):
    """x + R - G, faded out where the brightness of R and G rises in another direction (a gate against ghosts)."""

    def finish(x, real, rendering, labels):
        a, b = (np.stack(np.gradient(blurred(p.mean(axis=2, keepdims=True), 1.0)[..., 0])) for p in (real, rendering))
        difference = np.linalg.norm(a - b, axis=0)
        gate = np.exp(-steepness * blurred(difference[..., None], sigma))
        return x + gate * blurred(real - rendering, sigma)

    return finish


def chosen(d=1.0, s=1.0, finest=None, light=None):
    """What postprocess/restoration.py does; finest, light: other values of its constants."""

    def finish(x, real, rendering, labels):
        from postprocess import restoration

        kept = restoration.FINEST, restoration.LIGHT
        restoration.FINEST, restoration.LIGHT = finest or kept[0], light or kept[1]
        try:
            change = restoration.change_of_style(real, rendering, labels)
        finally:
            restoration.FINEST, restoration.LIGHT = kept
        return x + s * (restoration.restored(x, real, change, d) - x)

    return finish


FINISHES = {
    "d = 0 (Eq. 5)": plain(0),
    "d = 1/2": plain(0.5),
    "d = 1": plain(1),
    "blurred by 1 pixel": plain(1, 1),
    "blurred by 2 pixels": plain(1, 2),
    "colours blurred by 3": plain(1, 0, 3),
    "colours blurred by 6": plain(1, 0, 6),
    "half of the finest band": bands(0.5),
    "quotient in linear light, 1 pixel": ratio(1),
    "guided filter, 1.5 pixels": local_maps(1.5, "picture"),
    "guided filter, 6 pixels": local_maps(6, "picture"),
    "affine maps from G to R, 1.5 pixels": local_maps(1.5, "generators"),
    "affine maps from G to R, 6 pixels": local_maps(6, "generators"),
    "gate where outlines differ, 1 pixel": where_outlines_agree(1),
    "Oklab, with g_real's light": chosen(light=100.0),
    "Oklab, the picture's light (chosen)": chosen(),
    "chosen, blurred by 1.5 pixels": chosen(finest=1.5),
    "chosen, d = 1/2": chosen(0.5),
    "chosen, s = 1.2": chosen(s=1.2),
}


def blurred(planes, sigma):
    """Gaussian blur of [S, S, C] by sigma pixels."""
    import cv2

    return cv2.GaussianBlur(planes, (0, 0), sigma).reshape(planes.shape) if sigma else planes


def products(a, b, sigma):
    """Local covariances [S, S, 3, 3] of a and b, [S, S, 3] each."""
    both = np.concatenate([blurred(a[..., i, None] * b, sigma) for i in range(3)], axis=2).reshape(*a.shape[:2], 3, 3)
    return both - blurred(a, sigma)[..., :, None] * blurred(b, sigma)[..., None, :]


def between_the_evaluated(data, size, count, evaluated=24):
    """`count` Portraits of `matched/`, each in the middle between two that the paired benchmark evaluates."""
    from alignment.evenly import evenly
    from compare.paired.data import Portraits, find, read_labels, read_picture, stems

    names = stems(data / "matched")
    known = [names.index(name) for name in evenly(names, evaluated)]
    middles = [names[(a + b + 1) // 2] for a, b in zip(known[:-1], known[1:], strict=True)]
    names = evenly(middles, count)
    inputs, truths = (np.stack([read_picture(find(data / k, n), size) for n in names]) for k in ("rendered", "matched"))
    return Portraits(names, inputs, truths, np.stack([read_labels(find(data / "parsing", n), size) for n in names]))


def inversions(folder, schedule, portraits, bundle, used, bar):
    """(portraits, reconstructions: uint8 [N, S, S, 3]), one after the other as project.py does it; kept in `folder`."""
    from alignment.tensors import to_pixels, to_tensor
    from weights.files import written_atomically

    used = {role: used[role] for role in bundle.used(schedule)}
    made_with = json.dumps({"schedule": asdict(schedule), "names": portraits.names, "weights": used}, sort_keys=True)
    file = folder / f"{hashlib.sha256(made_with.encode()).hexdigest()[:16]}.npz"
    if file.is_file():
        bar.update(len(portraits.names) * schedule.length)
        with np.load(file) as kept:
            return kept["real"], kept["rendering"]
    real, rendering = [], []
    for pixels in portraits.inputs:
        target = to_tensor(pixels[None], bundle.device)
        found, portrait = bundle.invert(target, schedule, on_step=lambda *_: bar.update())
        real.append(to_pixels(portrait)[0])
        rendering.append(to_pixels(found.image)[0])
    real, rendering = np.stack(real), np.stack(rendering)
    folder.mkdir(parents=True, exist_ok=True)
    with written_atomically(file) as unfinished, open(unfinished, "wb") as stream:
        np.savez_compressed(stream, real=real, rendering=rendering)
    return real, rendering


@click.command(help=__doc__)
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--weights", "folder", type=click.Path(exists=True, file_okay=False), help="[default: embedded bundle]")
@click.option("--g-rendering", type=click.Path(path_type=Path), metavar="FILE", help="As for project.py.")
@click.option("--count", default=12, show_default=True, type=click.IntRange(1, 23), help="Identities.")
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(data, out, folder, g_rendering, count, device):
    from tqdm import tqdm

    import weights
    from alignment import write_png
    from alignment.sheet import contact_sheet
    from compare.intervals import number
    from compare.paired.authenticity import described, train_judge
    from compare.paired.measures import Ruler
    from compare.tables import write_table
    from inversion import Schedule, Tuning
    from machine.device import pick_device
    from metrics.sharpness import sharpness
    from pipeline import PRESETS, load_bundle
    from postprocess.masks import inner_face

    bundle = load_bundle(folder, pick_device(device), g_rendering)
    portraits = between_the_evaluated(data, bundle.g_real.img_resolution, count)
    inner = inner_face(portraits.labels)
    used = {role: weights.sha256(path) for role, path in bundle.files.items()}
    schedules = {
        name: Schedule(steps, tuning=Tuning(more, rate) if more else None)
        for name, (steps, more, rate) in SCHEDULES.items()
    } | {"preset fast": PRESETS["fast"].schedule}
    made = {}
    with tqdm(total=count * sum(schedule.length for schedule in schedules.values()), unit="step", mininterval=1) as bar:
        for name, schedule in schedules.items():
            made[name] = inversions(out / "inversions", schedule, portraits, bundle, used, bar)

    judge = train_judge(data, portraits.inputs.shape[1], out / "authenticity.safetensors", bundle.device)
    ruler = Ruler(portraits, bundle.perceptual, portraits.labels, bundle.device, judge)
    rows, values, shown = {}, {}, {}

    def measure(name, pixels, schedule=None):
        measured = ruler(pixels).values | {"sharpness": np.array(list(map(sharpness, pixels, portraits.inputs, inner)))}
        values[name] = {column: measured[column].tolist() for column in COLUMNS}
        rows[name] = {c: number(measured[c]) for c in COLUMNS}
        rows[name]["steps"] = None if schedule is None else schedules[schedule].length
        shown[name] = pixels

    def finished(schedule, finish):
        crops = (a.astype(np.float32) for a in (portraits.inputs, *made[schedule]))
        results = [finish(*each) for each in zip(*crops, portraits.labels, strict=True)]
        return np.clip(np.rint(results), 0, 255).astype(np.uint8)

    measure("input", portraits.inputs)
    measure("truth", portraits.truths)
    measure("the default before: Eq. 5", finished(BEFORE, FINISHES["d = 0 (Eq. 5)"]), BEFORE)
    for name, finish in tqdm(FINISHES.items(), desc="finishes"):
        measure(name, finished("preset fast", finish), "preset fast")
    for name in tqdm(schedules, desc="schedules"):
        measure(f"chosen, {name}", finished(name, chosen()), name)

    caption = (
        f"{count} identities at {portraits.inputs.shape[1]} pixels, none of them evaluated or trained on; finishes of "
        "the inversion by the preset fast, then the chosen finish of other schedules: closeness to the true picture, "
        "mean and 95 % bootstrap interval. Smaller is better, but for authenticity, and sharpness, where 1 is the "
        f"input's. Authenticity on {described(judge.report)}."
    )
    facts = {"names": portraits.names, "schedules": SCHEDULES, "values": values, "weights": used}
    click.echo(write_table(out, caption, ("steps", *COLUMNS), rows, facts))
    columns = (
        "input",
        "the default before: Eq. 5",
        "d = 1",
        "affine maps from G to R, 1.5 pixels",
        "Oklab, the picture's light (chosen)",
        "chosen, s = 1.2",
        "truth",
    )
    write_png(out / "sheet.png", contact_sheet([[(c, shown[c][i]) for c in columns] for i in range(count)], tile=192))


if __name__ == "__main__":
    main()
