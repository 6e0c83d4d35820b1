"""The paper's ablation of the inversion (Sec. 5.3.3, Fig. 12): aligned rendered portraits are inverted into g_rendering
by every method, and g_real draws the latents.

\b
    python scripts/paper/ablation_inversion.py faces -o runs/inversion
    python scripts/paper/ablation_inversion.py faces -o runs/inversion --results HyperStyle=hyperstyle/experiment

\b
LPIPS, L2      of the reconstruction by g_rendering to the input; of other tools' results, which are reconstructions,
               of the result itself
identity       dlib's embedding distance between the portrait and the input
seconds        a portrait, by the machine that made it
Writes table.md, table.csv, results.json and sheet.png (inputs in columns, methods in rows); the portraits of METHOD are
in OUT/METHOD, and the same command again makes what is missing. The defaults are a quick look: the paper has 500 steps.
"""

import sys
from pathlib import Path

import click

from compare.arguments import named_paths
from compare.inversions import ENCODERS, METHODS, OPTIMISATIONS

COLUMNS = ("LPIPS", "L2", "identity", "seconds")
SHOWN = 8  # inputs on the sheet
# Sec. 4 gives the time on an RTX 3080 Ti at 1024x1024; Fig. 12 compares e4e, ReStyle-e4e, I2S and theirs by eye only.
PUBLISHED = {"latent_optimization": {"seconds": 27.6}}


@click.command(help=__doc__, context_settings={"max_content_width": 110})
@click.argument("folder", type=click.Path(path_type=Path), metavar="ALIGNED_FOLDER")
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Output folder.")
@click.option(
    "--weights",
    "weights_folder",
    type=click.Path(exists=True, file_okay=False),
    help="As for project.py.  [default: embedded bundle]",
)
@click.option("--g-rendering", type=click.Path(path_type=Path), metavar="FILE", help="As for project.py.")
@click.option(
    "--encoder",
    "encoders",
    multiple=True,
    metavar="METHOD=FILE",
    callback=named_paths,
    help="Add psp, e4e or restyle with an encoder trained for g_rendering; may be repeated.",
)
@click.option(
    "--results",
    multiple=True,
    metavar="NAME=FOLDER",
    callback=named_paths,
    help="Add what another tool made of the same inputs (compare/systems.py); may be repeated.",
)
@click.option("--count", default=4, show_default=True, type=click.IntRange(1), help="Inputs, evenly spread.")
@click.option("--steps", default=25, show_default=True, type=click.IntRange(1), help="Of every optimisation.")
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(folder, out, weights_folder, g_rendering, encoders, results, count, steps, device):
    from tqdm import tqdm

    import weights
    from alignment.evenly import evenly
    from compare.inversions import Inverter, aligned_pictures, invert_folder
    from compare.systems import read_system
    from machine.device import pick_device
    from pipeline import load_bundle

    for name in encoders:
        if name not in ENCODERS:
            raise click.UsageError(f"--encoder {name}=...: no encoder method; there are {', '.join(ENCODERS)}")
    for name in results:
        if name in METHODS or name == "input":
            raise click.UsageError(f"--results {name}=...: a row of that name is ours; choose another name")
    if out.resolve() == folder.resolve():
        raise click.UsageError("-o is the folder of the inputs; give another one")
    everything = aligned_pictures(folder)
    chosen = evenly(everything, count)
    pictures = readable(chosen)
    if not pictures:
        raise click.ClickException(f"{folder}: none of the pictures can be used; give aligned portraits")
    others = {name: read_system(path, [p for p, _ in everything]) for name, path in results.items()}
    try:
        bundle = load_bundle(weights_folder, pick_device(device), g_rendering)
        networks = {name: bundle.perceptual for name in OPTIMISATIONS}
        networks |= {name: load_fitting(path, name, bundle) for name, path in encoders.items()}
    except weights.WeightsError as error:
        raise click.ClickException(str(error)) from error

    used = {name: weights.sha256(bundle.files[name]) for name in ("g_real", "g_rendering", "perceptual")}
    used_encoders = {name: weights.sha256(path) for name, path in encoders.items()}
    often = 0.1 if sys.stderr.isatty() else 10
    made = {}
    for method, network in networks.items():
        checkpoint = used | ({"encoder": used_encoders[method]} if method in encoders else {})
        taken = METHODS[method].steps if method in encoders else steps
        with tqdm(total=len(pictures) * taken, unit="step", desc=method, mininterval=often) as bar:
            inverter = Inverter(method, bundle.g_rendering, network, checkpoint, taken, draw=bundle.g_real)
            entries = invert_folder(inverter, pictures, out / method, bar)
        made[method] = {entry["output"]: entry for entry in entries}
        for entry in entries:
            if "error" in entry:  # a full disk, say: a mean over fewer inputs would not compare
                raise click.ClickException(entry["error"])
    rows, values, sheet = measure(pictures, out, made, others, bundle)
    write(out, rows, values, sheet, pictures, steps, used | used_encoders)
    if len(pictures) < len(chosen):
        raise SystemExit(1)


def readable(pictures):
    """The [(path, name)] that can be used; each of the others is named."""
    from alignment import PictureError
    from compare.inversions import read_aligned

    found = []
    for path, name in pictures:
        try:
            read_aligned(path)
            found.append((path, name))
        except PictureError as error:
            click.echo(f"error: {error}", err=True)
    return found


def load_fitting(path, method, bundle):
    """The encoder in a file; raises WeightsError when its w+ is not that of the generators."""
    from inversion.encoder_checkpoints import load_encoder
    from weights import WeightsError

    encoder = load_encoder(path, method, bundle.device)[0]
    wanted, found = ((network.num_ws, network.w_dim) for network in (bundle.g_rendering, encoder))
    if wanted != found:
        raise WeightsError(
            f"{path}: gives w+ {list(found)}, g_rendering takes {list(wanted)}; train it for g_rendering"
        )
    return encoder


def measure(pictures, out, made, others, bundle):
    """({row: {column: Number}}, {row: {column: [values]}}, {row: {name: pixels}}) of ours and of others."""
    from alignment import PictureError
    from alignment.tensors import to_tensor
    from compare.intervals import number
    from compare.inversions import read_aligned
    from losses.resize import comparable
    from metrics.identity import embedding, identity_distance

    size = bundle.g_real.img_resolution
    inputs = {name: read_aligned(path, size) for path, name in pictures}
    faces = {name: embedding(pixels) for name, pixels in inputs.items()}

    def distances(name, portrait, reconstruction):
        a, b = (to_tensor(pixels[None], bundle.device) for pixels in (inputs[name], reconstruction))
        return {
            "LPIPS": float(bundle.perceptual(comparable(a), comparable(b))),
            "L2": float((a - b).square().mean()),
            "identity": identity_distance(faces[name], embedding(portrait)),
        }

    sheet, values = {"input": inputs}, {}
    for method, entries in made.items():
        pixels = {name: read_aligned(out / method / f"{name}.png", size) for name in inputs}
        again = {name: read_aligned(out / method / "reconstructions" / f"{name}.png", size) for name in inputs}
        measured = [distances(name, pixels[name], again[name]) for name in inputs]
        values[method] = {column: [row[column] for row in measured] for column in COLUMNS[:3]}
        values[method]["seconds"] = [entries[name]["seconds"] for name in inputs]
        sheet[method] = pixels
    for row, (system, files) in others.items():
        try:
            pixels = {name: read_aligned(files[name], size) for name in inputs if name in files}
        except PictureError as error:
            raise click.ClickException(str(error)) from error
        measured = [distances(name, pixels[name], pixels[name]) for name in pixels]
        values[row] = {column: [row[column] for row in measured] for column in COLUMNS[:3]}
        values[row]["seconds"] = [] if system.seconds is None else [system.seconds]
        sheet[row] = pixels
    rows = {
        row: {column: number(found) if len(found) > 1 else found[0] if found else None for column, found in of.items()}
        for row, of in values.items()
    }
    return rows, values, sheet


def write(out, rows, values, sheet, pictures, steps, used):
    import numpy as np
    import torch

    from alignment import write_png
    from alignment.evenly import evenly
    from alignment.sheet import contact_sheet
    from compare.tables import write_table

    caption = (
        f"{len(pictures)} portraits, {steps} steps (pivotal tuning: {steps} for the pivot and {steps} for the "
        "generator); mean and 95 % bootstrap interval, smaller is closer. The portraits of pivotal tuning are those of "
        "its pivots, because only g_rendering is tuned. The paper shows this ablation as a figure, without numbers."
    )
    facts = {
        "inputs": [path.name for path, _ in pictures],
        "steps": steps,
        "sha256": used,
        "torch": torch.__version__,
        "values": values,
    }
    click.echo(write_table(out, caption, COLUMNS, rows, facts, PUBLISHED))
    shown = [name for _, name in evenly(pictures, SHOWN)]
    blank = np.full((8, 8, 3), 250, np.uint8)  # an input that another tool has no result for
    tiles = [[(row, pixels.get(name, blank)) for name in shown] for row, pixels in sheet.items()]
    write_png(out / "sheet.png", contact_sheet(tiles, tile=160))
    click.echo(f"look at {out / 'sheet.png'}")


if __name__ == "__main__":
    main()
