"""Train the demo's two generators from a packed data set in given minutes, as on a borrowed GPU.

    python scripts/demo/pack_data.py ../shared/avatars256 ../shared/avatars -o PACK
    python scripts/demo/train_demo.py --data PACK --device cuda --minutes 25 --out runs/demo --parts PARTS

g_real at 64, 128 and 256 pixels, each first as an autoencoder, then as a GAN with reconstruction beside it, then
g_rendering by Eq. 3. Every run gets its share of the minutes and ends with its learning rate at zero. OUT keeps what is
needed to go on; --parts gets the same in files of at most 15 MiB after every run, and is where a machine with an empty
OUT goes on from. A second command with more minutes divides them among the runs that are left. At the end OUT/weights
holds g_real.safetensors, g_rendering.safetensors and start.safetensors (the encoder of g_real's reconstructions, where
the inversion starts); copy them to weights/demo if they measure better.
"""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts.demo import parts as carried  # noqa: E402
from scripts.demo.pack_data import unpack  # noqa: E402

LICENCE = "Apache-2.0; trained on CC0 renders"
KEPT_FREE = 0.06  # of the minutes: for writing at the end

SETTINGS = dict(
    z_dim=192, w_dim=192, mapping_layers=4, channel_base=4096, channel_max=192, num_fp16_res=4,
    lr=2.5e-3, lr_rampdown=0.4, pl_weight=0, ema_rampup=0.05, ada_kimg=100, tf32=True,
    metrics_pictures=0, snapshot_kimg=1e6, keep_snapshots=1,
)  # fmt: skip
REAL = dict(pairing=True, reconstruction_weight=30)
RENDERING = dict(sketch_reduction="mean", sketch_weight=10, color_weight=30)  # demo_rendering128.yaml says why


@dataclass(frozen=True)
class Part:
    """One run of the recipe."""

    name: str
    look: str
    size: int
    share: float  # of the minutes
    warm_start: float = 0.0  # share of the run in which it is an autoencoder


def recipe(sizes):
    """The runs, in order: g_real at each of the sizes, then g_rendering at the last."""
    shares = {1: [0.85], 2: [0.3, 0.55], 3: [0.15, 0.25, 0.45]}[len(sizes)]
    warm = [0.5, 0.3, 0.15]
    real = [Part(f"real{size}", "real", size, shares[i], warm[i]) for i, size in enumerate(sizes)]
    return [*real, Part(f"rendering{sizes[-1]}", "rendered", sizes[-1], 0.15)]


@click.command(help=__doc__, context_settings={"max_content_width": 110})
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path), help="PACK.")
@click.option("--minutes", default=25.0, show_default=True, type=click.FloatRange(0, min_open=True))
@click.option("--device", default="cuda", show_default=True, type=click.Choice(["cuda", "cpu"]))
@click.option("--out", default="runs/demo", show_default=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--parts", type=click.Path(file_okay=False, path_type=Path), help="Folder for the state in small files.")
@click.option("--size", default=256, show_default=True, type=click.Choice([64, 128, 256]), help="Of the generators.")
@click.option("--batch", type=click.IntRange(4), help="Pictures a step.  [default: 64 on a GPU, 8 on the CPU]")
def main(data, minutes, device, out, parts, size, batch):
    from stylegan2.precision import bfloat16_share
    from training.dataset import DatasetError
    from training.stopping import Stopped

    sizes = [side for side in (64, 128, 256) if side <= size]
    settings = SETTINGS | {"batch": batch or (64 if device == "cuda" else 8)}
    settings["cpu_bfloat16"] = device == "cpu" and bfloat16_share() < 1
    try:
        left = make(data, out, parts, minutes * 60, device, sizes, settings)
    except Stopped as stop:
        click.echo(str(stop), err=True)
        raise SystemExit(128 + stop.signal) from stop
    except (DatasetError, ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"wrote {out / 'weights'}" if not left else f"left to do: {', '.join(left)}; the same command goes on")


def make(data, out, parts, seconds, device, sizes, settings):
    """Do as much of the recipe as fits into `seconds`. Returns the names of the runs that are left."""
    from scripts.demo import timed

    end = time.monotonic() + (1 - KEPT_FREE) * seconds
    out.mkdir(parents=True, exist_ok=True)
    if parts is not None and not (out / "progress.json").is_file():
        carried.join(parts, out)
    progress = read_progress(out)
    runs = recipe(sizes)
    left = [run for run in runs if run.name not in progress]
    while left and time.monotonic() < end:
        run = left[0]
        time_left = end - time.monotonic()
        mine = time_left * run.share / sum(other.share for other in left)
        began = time.monotonic()
        config = configuration(run, runs, data, out, settings)
        kimg = timed.run(config, out / run.name, device, mine, run.warm_start)
        progress[run.name] = {"kimg": kimg, "seconds": round(time.monotonic() - began), "device": device}
        click.echo(f"{run.name}: {kimg:g} kimg in {progress[run.name]['seconds']} s")
        (out / "progress.json").write_text(json.dumps(progress, indent=1))
        if parts is not None:
            carried.split(out, parts, state_files(runs, progress))
        left = left[1:]
    if not left:
        export(out, runs, progress)
    return [run.name for run in left]


def trained(runs, look):
    """The last run of a look."""
    return [run for run in runs if run.look == look][-1]


def pictures_of(look, run, data, out):
    """Folder of the pictures of one look at the size of a run."""
    return unpack(data / f"{look}.zip", out / "pictures" / f"{look}-{run.size}", run.size)


def configuration(run, runs, data, out, settings):
    """The TrainingConfig of a run: starts from the one before it."""
    from training.config import TrainingConfig

    before = runs[runs.index(run) - 1] if runs.index(run) else None
    pictures = pictures_of(run.look, run, data, out)
    common = settings | dict(data=str(pictures), resolution=run.size, r1_gamma=0.2 * (run.size / 64))
    if run.look == "real":
        start = str(out / before.name / "snapshot.safetensors") if before else None
        return TrainingConfig(**common, **REAL, init=start)
    # Eq. 1 and 2 at the picture's own size; the blur is the paper's (13 and 10 at 256), in shares of the picture
    size = dict(sketch_size=run.size, color_size=run.size, color_sigma=10 * run.size / 256)
    size["color_kernel"] = 2 * round((13 * run.size / 256 - 1) / 2) + 1
    start = dict(g_real=str(out / before.name / "snapshot.safetensors"), w_plus=str(out / before.name / "w_plus.npz"))
    return TrainingConfig(**common, **RENDERING, **size, **start)


def read_progress(out):
    file = out / "progress.json"
    return json.loads(file.read_text()) if file.is_file() else {}


def state_files(runs, progress):
    """What a machine with an empty OUT needs to go on: of the last finished run, whatever the next starts from."""
    names = ["progress.json"]
    for run in runs:
        if run.name in progress:
            names += [f"{run.name}/snapshot.safetensors", f"{run.name}/w_plus.npz", f"{run.name}/samples-last.png"]
            names += [f"{run.name}/start.safetensors"]
    return names


def export(out, runs, progress):
    """OUT/weights/: g_real (with the D to fine-tune from), g_rendering and the encoder, in half precision, with their
    cards. The same files again from the same runs."""
    import weights
    from inversion.start import KIND
    from stylegan2 import checkpoints
    from training.snapshots import without_paths

    for look, name in (("real", "g_real"), ("rendered", "g_rendering")):
        path = out / trained(runs, look).name / "snapshot.safetensors"
        networks = checkpoints.load(path)
        for network in networks.values():
            full_precision(network)
        card = card_of(look, progress) | weights.card(path)
        card["config"] = without_paths(card["config"])
        if name == "g_rendering":
            del networks["D"]
        checkpoints.save(out / "weights" / f"{name}.safetensors", networks, card, half=True)
    path = out / trained(runs, "real").name / "start.safetensors"
    tensors, config = weights.load(path, KIND)
    card = card_of("real", progress) | weights.card(path)
    weights.save(out / "weights" / "start.safetensors", tensors, kind=KIND, config=config, card=card, half=True)


def card_of(look, progress):
    return {
        "data": f"avatars, {look}/, without the identities from 003440 on",
        "command": "python scripts/demo/train_demo.py",
        "licence": LICENCE,
        "runs": progress,
    }


def full_precision(network):
    """Stored networks compute in float32: half precision was for the training only."""
    settings = network.config.get("synthesis_kwargs", network.config)
    settings["num_fp16_res"] = 0


if __name__ == "__main__":
    main()
