"""The paper's table of datasets: how much do generators, fine-tuned on different sets of pictures, preserve?

\b
    python scripts/paper/table_datasets.py --out runs/datasets --generator DRFHQ=drfhq.pkl --generator DHF=dhf.pt
    python scripts/paper/table_datasets.py --out runs/datasets --portraits ../shared/avatars/rendered --steps 100

Mean LPIPS and L2 (mean squared difference, pictures in [-1, 1]) over pairs. The paper has "150 pairs of images for the
frameworks" and does not say of what. Without --portraits a pair is g_real(w) and generator(w) of one latent: what
fine-tuning preserves. With it, it is a rendered portrait and what the whole method makes of it, by inversion into the
generator (Eq. 4) and g_real. LPIPS is VGG-16's where weights/downloads holds it (python scripts/download_weights.py
vgg16), else the embedded network's, whose distances compare with each other only; both see at most 256x256 pixels.

A row a generator that reads the w+ of g_real: ours, official .pkl, rosinality's .pt. Inversions are kept, so a run that
was stopped goes on. Writes table.md, table.csv, results.json and sheet.png (pairs in columns, generators in rows).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from compare.arguments import named_paths

VGG, EMBEDDED = "LPIPS (VGG-16)", "LPIPS (embedded)"
PUBLISHED = {  # Table 3 of the paper (2 of its first version), 150 pairs at 1024x1024
    "DRFHQ (Ours)": {VGG: 0.135, "L2": 0.048},
    "Diverse Human Faces": {VGG: 0.176, "L2": 0.062},
}
PORTION = 10  # pairs at a time, of pictures up to 256 pixels; fewer of larger ones


@dataclass(frozen=True)
class Lpips:
    """name: heading of the column. sha256: of the file. network: losses/perceptual.py."""

    name: str
    sha256: str
    network: Callable


@dataclass(frozen=True)
class Pairs:
    """name, first: what the pictures of all generators are compared with. second: {generator's name: its pictures}.
    first and second are callables as in metrics/features.py: (start, stop) -> [stop - start, 3, R, R] in [-1, 1].
    what: for the caption. sources: for the JSON."""

    name: str
    first: Callable
    second: dict
    count: int
    what: str
    sources: dict


@click.command(help=__doc__)
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--g-real", type=click.Path(path_type=Path), help="[default: the embedded one]")
@click.option(
    "--generator",
    "generators",
    multiple=True,
    metavar="NAME=FILE",
    callback=named_paths,
    help="A row; may be given several times.  [default: the embedded g_rendering]",
)
@click.option("--portraits", type=click.Path(path_type=Path), help="Folder or zip of rendered FFHQ crops.")
@click.option("--steps", default=500, show_default=True, type=click.IntRange(1), help="Of Eq. 4, for --portraits.")
@click.option("--pairs", "count", default=150, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=3, show_default=True, help="Of the latents.")
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(out, g_real, generators, portraits, steps, count, seed, device):
    import weights
    from compare.generators import load_rows
    from machine import processes
    from machine.device import pick_device
    from training.dataset import DatasetError

    device = str(processes.start(pick_device(device)))
    try:
        rows = load_rows(g_real, generators, device)
        lpips = load_lpips(device)
        if portraits is None:
            pairs = latent_pairs(rows, count, seed, device)
        else:
            pairs = portrait_pairs(rows, portraits, count, lpips, {"steps": steps, "lr": 0.1}, device)
        table(out, pairs, rows, lpips)
    except (DatasetError, weights.WeightsError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    processes.stop()


def load_lpips(device):
    """VGG-16's LPIPS if its weights are there, else the embedded network's."""
    import weights
    from losses.perceptual import load_perceptual

    downloaded = Path(weights.__file__).parent / "downloads" / "vgg16-397923af.pth"
    name, file = (VGG, downloaded) if downloaded.is_file() else (EMBEDDED, weights.DEMO / "perceptual.safetensors")
    return Lpips(name, weights.sha256(file), load_perceptual(file).to(device))


def latent_pairs(rows, count, seed, device):
    """g_real(w) beside every generator(w)."""
    from compare.generators import drawn, latents

    w_plus = latents(rows["g_real"], count, seed, device)
    second = {name: drawn(row, w_plus, device) for name, row in rows.items()}
    what = f"g_real(w) and generator(w) of {count} latents"
    return Pairs("g_real", second.pop("g_real"), second, count, what, {"seed": seed})


def portrait_pairs(rows, source, count, lpips, schedule, device):
    """Rendered portraits, evenly spread over a folder or zip, beside g_real's picture of what each inversion
    (Eq. 4) finds."""
    import torch

    from alignment.evenly import evenly
    from compare.generators import drawn
    from inversion import latent_optimization
    from machine import processes
    from metrics.features import in_portions, kept
    from training.dataset import Pictures, training_names

    real = rows["g_real"]
    paths = training_names(source)
    chosen = evenly(range(len(paths)), count)
    pictures = Pictures([paths[i] for i in chosen], real.generator.img_resolution)

    def portraits(start, stop):
        return pictures[list(range(start, stop))].to(device).float() / 127.5 - 1

    second = {}
    for name, row in rows.items():
        if name == "g_real":
            continue

        def invert(start, stop, row=row):
            target = portraits(start, stop)
            pixels = hashlib.sha256(pictures[list(range(start, stop))].numpy().tobytes()).hexdigest()
            key = {"inversion of": pixels, "generator": row.sha256, "perceptual": lpips.sha256} | schedule
            with torch.enable_grad():
                return kept(
                    key,
                    None,
                    lambda: latent_optimization(row.generator, target, lpips.network, **schedule).w_plus.cpu(),
                )

        w_plus = in_portions(invert, len(pictures), portion(real.generator), processes, f"invert into {name}")
        second[name] = drawn(real, w_plus, device)
    what = f"{len(pictures)} rendered portraits and what the method makes of them ({schedule['steps']} steps)"
    sources = {"portraits": str(source), "names": [path.name for path in pictures.paths], "schedule": schedule}
    return Pairs("portrait", portraits, second, len(pictures), what, sources)


def portion(generator):
    """How many pictures are worked on at a time: as many as fit into the memory of those of 256 pixels."""
    return max(PORTION * 256**2 // max(generator.img_resolution, 256) ** 2, 1)


def table(out, pairs, rows, lpips):
    """Measure every generator's pairs, in the processes torchrun started; the first writes."""
    import torch

    from alignment import write_png
    from alignment.sheet import contact_sheet
    from alignment.tensors import to_pixels
    from compare.generators import SHOWN
    from compare.intervals import number
    from compare.tables import write_table
    from losses.resize import comparable
    from machine import processes
    from metrics.features import in_portions

    values = {}
    for name, generate in pairs.second.items():

        def differences(start, stop, generate=generate):
            x, y = (pictures(start, stop).clamp(-1, 1) for pictures in (pairs.first, generate))
            l2 = (x - y).square().mean([1, 2, 3])
            return torch.stack([lpips.network(comparable(x), comparable(y)), l2], dim=1).cpu()  # [n, 2]

        at_a_time = portion(rows["g_real"].generator)
        measured = in_portions(differences, pairs.count, at_a_time, processes, name).T.tolist()
        values[name] = dict(zip((lpips.name, "L2"), measured, strict=True))
    if processes.rank() > 0:
        return

    cells = {name: {column: number(v) for column, v in columns.items()} for name, columns in values.items()}
    size = rows["g_real"].generator.img_resolution
    caption = (
        f"Datasets at {size}x{size}: pairs of {pairs.what}; mean and 95 % bootstrap interval, smaller = closer. "
        "The paper's are 150 pairs at 1024x1024; it does not say of what."
    )
    facts = {
        "count": pairs.count,
        **pairs.sources,
        "weights": {name: {"file": str(row.file), "sha256": row.sha256} for name, row in rows.items()},
        "networks": {lpips.name: lpips.sha256},
        "versions": {"torch": torch.__version__},
        "values": values,
    }
    click.echo(write_table(out, caption, list(dict.fromkeys([lpips.name, "L2", VGG])), cells, facts, PUBLISHED))
    shown = {pairs.name: pairs.first} | pairs.second
    columns = min(SHOWN, pairs.count)
    sheet = [[(name, picture) for picture in to_pixels(generate(0, columns))] for name, generate in shown.items()]
    write_png(out / "sheet.png", contact_sheet(sheet, tile=160))
    click.echo(f"look at {out / 'sheet.png'}")


if __name__ == "__main__":
    main()
