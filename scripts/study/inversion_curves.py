"""How close an inversion comes in how much time: the curves that the presets of project.py are chosen by.

\b
    python scripts/study/inversion_curves.py --data ../shared/avatars --out runs/curves

Schedules: Eq. 4 with several numbers of steps and learning rates, and the presets with tuning (pipeline/presets.py).
Every schedule is run to its end on the same crops, one portrait after the other as project.py does it, because a
schedule that is cut short never gets to its decaying part. LPIPS: the inversion to the crop. to the person: dlib's
distance from g_real's portrait to the true picture, over every 24th identity of `matched/`, from the second on.
Writes table.md, table.csv, results.json and curves.png.
"""

import time
from dataclasses import asdict
from pathlib import Path

import click

STEPS = (60, 120, 250, 500)
RATES = (0.1,)
COLUMNS = ("steps", "seconds a portrait", "share of paper's time", "LPIPS", "to the person (dlib)")


@click.command(help=__doc__)
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--weights", "folder", type=click.Path(exists=True, file_okay=False), help="[default: embedded bundle]")
@click.option("--g-rendering", type=click.Path(path_type=Path), metavar="FILE", help="As for project.py.")
@click.option("--steps", multiple=True, type=int, default=STEPS, show_default=True)
@click.option("--rates", multiple=True, type=float, default=RATES, show_default=True)
@click.option("--count", default=8, show_default=True, type=click.IntRange(1, 8), help="Portraits.")
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(data, out, folder, g_rendering, steps, rates, count, device):
    import numpy as np
    import torch
    from tqdm import tqdm

    import weights
    from alignment.tensors import to_pixels, to_tensor
    from compare.intervals import number
    from compare.paired.data import read_results, stems
    from compare.tables import write_table
    from inversion import Schedule
    from losses.resize import comparable
    from machine.device import pick_device
    from metrics.identity import embedding, identity_distance
    from pipeline import load_bundle
    from pipeline.presets import PRESETS

    bundle = load_bundle(folder, pick_device(device), g_rendering)
    size = bundle.g_rendering.img_resolution
    names = stems(data / "matched")[1::24][:count]

    def read(look):
        return read_results(data / look, names, size)

    targets = to_tensor(read("rendered"), bundle.device)
    people = [embedding(pixels) for pixels in read("matched")]
    schedules = {f"Eq. 4, lr {rate}, {n} steps": Schedule(n, rate) for rate in rates for n in steps}
    schedules |= {f"preset {name}": preset.schedule for name, preset in PRESETS.items() if name != "paper"}

    def on_step(step, lpips):
        bar.update()

    rows, values = {}, {}
    bar = tqdm(total=count * sum(schedule.length for schedule in schedules.values()), unit="step", mininterval=1)
    for name, schedule in schedules.items():
        found = {"seconds": [], "LPIPS": [], "to the person (dlib)": []}
        for target, person in zip(targets.split(1), people, strict=True):
            started = time.perf_counter()
            inversion, portrait = bundle.invert(target, schedule, on_step=on_step)
            (portrait,) = to_pixels(portrait)
            found["seconds"].append(time.perf_counter() - started)
            with torch.no_grad():
                found["LPIPS"].append(bundle.perceptual(comparable(target), comparable(inversion.image)).item())
            found["to the person (dlib)"].append(identity_distance(embedding(portrait), person))
        values[name] = found
        seconds = float(np.mean(found["seconds"]))
        rows[name] = {"steps": schedule.length, "seconds a portrait": seconds}
        rows[name] |= {column: number(found[column]) for column in COLUMNS[3:]}
    bar.close()
    paper = f"Eq. 4, lr 0.1, {PRESETS['paper'].schedule.steps} steps"
    if paper in rows:
        for row in rows.values():
            row["share of paper's time"] = row["seconds a portrait"] / rows[paper]["seconds a portrait"]
    used = {role: weights.sha256(path) for role, path in bundle.files.items()}
    caption = f"{count} evaluation portraits at {size}x{size}, one after the other; mean and 95 % bootstrap interval."
    said = {name: asdict(schedule) for name, schedule in schedules.items()}
    facts = {"names": names, "schedules": said, "values": values, "weights": used}
    click.echo(write_table(out, caption, COLUMNS, rows, facts))
    draw(out / "curves.png", rows, caption)


def draw(path, rows, caption):
    """LPIPS and distance to the person over the time of each schedule."""
    from compare.plots import drawing

    with drawing(path, 1, 2, figsize=(10, 4)) as (figure, [panels]):
        for column, axes in zip(COLUMNS[3:], panels, strict=True):
            for name, row in rows.items():
                x, y = row["seconds a portrait"], row[column]
                reach, shape = [[y.mean - y.low], [y.high - y.mean]], "s" if "preset" in name else "o"
                axes.errorbar(x, y.mean, reach, fmt=shape, capsize=3, label=name)
            axes.set(xlabel="seconds a portrait", ylabel=column)
        panels[1].legend(fontsize=7)
        figure.suptitle(caption, fontsize=8)


if __name__ == "__main__":
    main()
