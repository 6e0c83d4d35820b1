"""How close an inversion comes in how much time: the curves that the presets of project.py are chosen by.

    python scripts/inversion_curves.py --data ../shared/avatars --out docs/benchmarks

Every schedule (number of steps and learning rate) is run to its end on the same crops, because a schedule that is cut
short never gets to its decaying part. Writes inversion-curves.{png,md,json}. The crops are of identities that are used
neither for training nor for evaluation tables: every 24th of `matched/`, from the second on.
"""

import json
import sys
import time
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

STEPS = (60, 120, 250, 500, 1000)
RATES = (0.05, 0.1, 0.2)


@click.command(help=__doc__)
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--weights", "folder", type=click.Path(exists=True, file_okay=False), help="[default: embedded bundle]")
@click.option("--steps", multiple=True, type=int, default=STEPS, show_default=True)
@click.option("--rates", multiple=True, type=float, default=RATES, show_default=True)
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(data, out, folder, steps, rates, device):
    import numpy as np
    from PIL import Image
    from tqdm import tqdm

    import weights
    from inversion import latent_optimization
    from project import load_bundle, to_tensor

    bundle = load_bundle(folder, weights.pick_device(device))
    size = bundle.g_rendering.img_resolution
    names = sorted(path.stem for path in (data / "matched").iterdir())[1::24]
    crops = []
    for name in names:
        image = Image.open(data / "rendered" / f"{name}.jpg").convert("RGB")
        crops.append(np.asarray(image.reduce(image.width // size) if image.width > size else image))
    target = to_tensor(np.stack(crops), bundle.device)

    rows = []
    bar = tqdm(total=sum(steps) * len(rates), unit="step")
    for rate in rates:
        for count in steps:
            started = time.perf_counter()
            inversion = latent_optimization(
                bundle.g_rendering, target, bundle.perceptual, steps=count, lr=rate, on_step=lambda *_: bar.update()
            )
            seconds = (time.perf_counter() - started) / len(names)
            lpips = bundle.perceptual(target, inversion.image).tolist()
            rows.append({"lr": rate, "steps": count, "seconds": seconds, "lpips": lpips})
    bar.close()
    write(out, rows, names, size)


def write(out, rows, names, size):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    from metrics.paired import bootstrap_mean
    from scripts.benchmark import _machine

    out.mkdir(parents=True, exist_ok=True)
    lines = ["| learning rate | steps | s a portrait | LPIPS |", "| --- " * 4 + "|"]
    figure, axes = plt.subplots(figsize=(6, 4))
    for rate in sorted({row["lr"] for row in rows}):
        chosen = [row for row in rows if row["lr"] == rate]
        axes.plot([r["steps"] for r in chosen], [np.mean(r["lpips"]) for r in chosen], "o-", label=f"lr {rate}")
        for row in chosen:
            mean, low, high = bootstrap_mean(row["lpips"])
            lines.append(f"| {rate} | {row['steps']} | {row['seconds']:.1f} | {mean:.4f} [{low:.4f}, {high:.4f}] |")
    axes.set(xscale="log", xlabel="steps of the whole schedule", ylabel="LPIPS to the crop")
    axes.set_xticks(sorted({row["steps"] for row in rows}), sorted({str(row["steps"]) for row in rows}, key=int))
    axes.minorticks_off()
    axes.set_title(f"Inversion at {size}x{size}, {len(names)} portraits")
    axes.legend()
    figure.tight_layout()
    figure.savefig(out / "inversion-curves.png", dpi=110)
    table = "\n".join(lines)
    click.echo(table)
    machine = _machine("cpu")
    (out / "inversion-curves.md").write_text(
        f"# Inversion: closeness against time\n\n{machine}; {len(names)} portraits at {size}x{size}, side by side\n"
        f"\n{table}\n\n![curves](inversion-curves.png)\n"
    )
    (out / "inversion-curves.json").write_text(json.dumps({"machine": machine, "names": names, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
