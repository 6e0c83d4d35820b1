"""The paper's ablation of the identity losses: fine-tune with both, without the sketch loss, without the colour loss
and with neither, and measure what each one keeps.

\b
    python scripts/paper/ablation_losses.py configs/demo_rendering128.yaml --out runs/ablation

\b
Runs that are not there yet are trained first (OUT/full, OUT/no_sketch, ...; stopped ones go on). Over the same latents:
identity   dlib's embedding distance between g_real's and g_rendering's picture (what the losses are for)
sketch     Eq. 1, colour: Eq. 2, as the configuration sets them
rendered   feature distance to the rendered training set (the style; metrics/feature_distance.py, not an FID)
The paper shows this ablation in pictures (Fig. 10) and gives no numbers. Writes table.md, table.csv, results.json and
sheet.png (latents in columns, generators in rows).
"""

import subprocess
import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]

VARIANTS = {
    "full": {},
    "no_sketch": {"sketch_weight": 0},
    "no_color": {"color_weight": 0},
    "no_identity": {"sketch_weight": 0, "color_weight": 0},
}
COLUMNS = {
    "identity": "identity (dlib)",
    "sketch": "sketch (Eq. 1)",
    "color": "colour (Eq. 2)",
    "rendered": "to the rendered set",
}
PORTION = 8
SEED = 3  # of the latents


@click.command(help=__doc__)
@click.argument("config", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, for all runs.")
@click.option("--processes", default=1, show_default=True, help="Per training run (torchrun).")
@click.option("--count", default=192, show_default=True, help="Latents.")
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(config, out, overrides, processes, count, device):
    import weights
    from machine.device import pick_device
    from training.config import ConfigError, load_config
    from training.dataset import DatasetError

    try:
        settings = load_config(config, overrides)
        snapshots = {}
        for name, change in VARIANTS.items():
            assignments = [*overrides, *(f"{key}={value}" for key, value in change.items())]
            snapshots[name] = train(config, out / name, assignments, processes, settings.kimg)
        results, pictures = measure(settings, snapshots, count, pick_device(device))
    except (ConfigError, DatasetError, weights.WeightsError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    write(out, results, pictures, settings.g_real, snapshots, count)


def train(config, out, assignments, processes, kimg):
    """The snapshot of a finished run; trains it, or what is left of it, first."""
    snapshot = out / "snapshot.safetensors"
    if snapshot.is_file():
        import weights

        if weights.card(snapshot)["kimg"] >= kimg:
            return snapshot
    launcher = [sys.executable]
    if processes > 1:
        launcher = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={processes}"]
    sets = [part for assignment in assignments for part in ("--set", assignment)]
    done = subprocess.run([*launcher, ROOT / "train.py", config, "--out", out, *sets])
    if done.returncode:
        raise click.ClickException(
            f"{out}: its training ended with exit code {done.returncode}; see what it said above"
        )
    return snapshot


def measure(settings, snapshots, count, device):
    """({name: {column: values}}, {name: pictures}): per-latent values; of `rendered` those of resampled_distances."""
    import torch
    from tqdm import tqdm

    from alignment.evenly import evenly
    from alignment.tensors import to_pixels
    from losses.color import color_loss
    from losses.perceptual import load_perceptual
    from losses.sketch import sketch_loss
    from metrics.feature_distance import pooled_features, resampled_distances
    from metrics.identity import embedding, identity_distance
    from sketch.checkpoints import load_sketch_extractor
    from stylegan2.checkpoints import load_generator
    from training.dataset import Pictures, training_names

    s = settings
    g_real = load_generator(s.g_real).to(device)
    generators = {name: load_generator(path).to(device) for name, path in snapshots.items()}
    embedded, perceptual = load_perceptual().to(device), load_perceptual(s.perceptual_weights_file).to(device)
    extractor = load_sketch_extractor(s.sketch_weights_file).to(device)
    pictures = Pictures(training_names(s.data, s.exclude), s.resolution)
    chosen = evenly(range(len(pictures)), 4 * count)
    real = [
        pooled_features(embedded, pictures[chosen[i : i + PORTION]].to(device).float() / 127.5 - 1).cpu()
        for i in range(0, len(chosen), PORTION)
    ]
    z = torch.randn([count, g_real.z_dim], generator=torch.Generator().manual_seed(SEED)).to(device)

    results = {name: {column: [] for column in COLUMNS} for name in generators}
    rows = {"g_real": []} | {name: [] for name in generators}
    with torch.no_grad():
        for w_plus in tqdm(g_real.mapping(z).split(PORTION), desc="latents"):
            x = g_real.synthesis(w_plus, noise_mode="const")
            rows["g_real"] += list(to_pixels(x))
            faces = [embedding(pixels) for pixels in to_pixels(x)]
            for name, G in generators.items():
                y = G.synthesis(w_plus, noise_mode="const")
                rows[name] += list(to_pixels(y))
                values = results[name]
                values["identity"] += [
                    identity_distance(embedding(p), face) for p, face in zip(to_pixels(y), faces, strict=True)
                ]
                values["rendered"].append(pooled_features(embedded, y).cpu())
                for a, b in zip(x.split(1), y.split(1), strict=True):
                    sketch = sketch_loss(extractor, a, b, s.sketch)
                    color = color_loss(perceptual, a, b, s.color)
                    values["sketch"].append(float(sketch))
                    values["color"].append(float(color))
    real = torch.cat(real)
    for values in results.values():
        values["rendered"] = resampled_distances(torch.cat(values["rendered"]), real)
    return results, rows


def write(out, results, pictures, g_real, snapshots, count):
    import torch

    import weights
    from alignment import write_png
    from alignment.sheet import contact_sheet
    from compare.intervals import number, set_number
    from compare.tables import write_table

    rows = {}
    for name, values in results.items():
        numbers = {COLUMNS[column]: number(values[column]) for column in ("identity", "sketch", "color")}
        rows[name] = numbers | {COLUMNS["rendered"]: set_number(values["rendered"], count)}
    facts = {
        "count": count,
        "seed": SEED,
        "weights": {name: weights.sha256(path) for name, path in ({"g_real": g_real} | snapshots).items()},
        "versions": {"torch": torch.__version__},
        "values": results,
    }
    caption = f"The identity losses: {count} latents, 95 % bootstrap intervals, smaller is closer."
    click.echo(write_table(out, caption, list(COLUMNS.values()), rows, facts))
    columns = range(0, count, max(count // 8, 1))
    write_png(out / "sheet.png", contact_sheet([[(n, p[i]) for i in columns] for n, p in pictures.items()], tile=160))
    click.echo(f"look at {out / 'sheet.png'}")


if __name__ == "__main__":
    main()
