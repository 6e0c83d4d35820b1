"""Put a folder of aligned portraits through one inversion method, and leave the results in the common form of compared
systems: OUT/NAME.png for every picture, OUT/system.json (system, source, checkpoints, seconds), OUT/sheet.png.

\b
    python scripts/run_system.py latent_optimization faces -o results/latent_optimization
    python scripts/run_system.py restyle faces -o results/restyle --encoder restyle_psp_ffhq_encode.pt

METHOD: latent_optimization (in W+), latent_optimization_w, image2stylegan, pivotal_tuning, tuned_optimization; psp,
e4e, restyle, which need a released encoder. OUT/reconstructions holds what the method itself reached, with the noise
it optimised; OUT/NAME.png is drawn with the generator's own noise. The same command again makes what is missing.
"""

import sys
from pathlib import Path

import click

from compare.inversions import ENCODERS, METHODS

SHOWN = 24  # pictures on the sheet


@click.command(help=__doc__, context_settings={"max_content_width": 110})
@click.argument("method", type=click.Choice(list(METHODS)), metavar="METHOD")
@click.argument("folder", type=click.Path(path_type=Path), metavar="ALIGNED_FOLDER")
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Results folder.")
@click.option("--generator", type=click.Path(path_type=Path), metavar="FILE", help="Whose latents are sought.  "
              "[default: the encoder file's own; for optimisations the embedded g_real]")  # fmt: skip
@click.option("--encoder", type=click.Path(path_type=Path), metavar="FILE", help="Released .pt of psp, e4e or restyle.")
@click.option("--perceptual", type=click.Path(path_type=Path), metavar="FILE", help="For the optimisations' LPIPS; "
              "torchvision's vgg16 .pth, say.  [default: the embedded one]")  # fmt: skip
@click.option("--steps", type=click.IntRange(1), help="Steps or passes.  [default: those of the method]")
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(method, folder, out, generator, encoder, perceptual, steps, device):
    from tqdm import tqdm

    import weights
    from compare.inversions import Inverter, aligned_pictures, invert_folder
    from machine.device import pick_device

    pictures = aligned_pictures(folder)
    if out.resolve() == folder.resolve():
        raise click.UsageError("-o is the folder of the inputs; give another one")
    if METHODS[method].steps == 1 and steps not in (None, 1):
        raise click.UsageError(f"{method} has one pass; leave --steps out")
    if (method in ENCODERS) != (encoder is not None):
        raise click.UsageError(f"{method} {'needs an' if method in ENCODERS else 'takes no'} --encoder")
    try:
        networks, checkpoint = load(method, generator, encoder, perceptual, pick_device(device))
    except weights.WeightsError as error:
        raise click.ClickException(str(error)) from error
    often = 0.1 if sys.stderr.isatty() else 10
    total = len(pictures) * (steps or METHODS[method].steps)
    with tqdm(total=total, unit="step", desc=method, dynamic_ncols=True, mininterval=often) as bar:
        entries = invert_folder(Inverter(method, *networks, checkpoint, steps), pictures, out, bar)
    done = [entry for entry in entries if "error" not in entry]
    if done:
        show(out, done)
        click.echo(f"{len(done)} of {len(entries)} pictures done; look at {out / 'sheet.png'}")
    if len(done) < len(entries):
        raise SystemExit(1 if done else 2)


def load(method, generator, encoder, perceptual, device):
    """((generator, encoder or perceptual network), {role: SHA-256}); raises WeightsError."""
    import weights
    from inversion.encoder_checkpoints import load_encoder
    from losses.perceptual import load_perceptual
    from stylegan2.checkpoints import load_generator

    if method in ENCODERS:
        files = {"encoder": encoder}
        network, into = load_encoder(encoder, method, device)
        if generator is not None:
            files["generator"], into = generator, load_generator(generator, device)
            wanted, found = ((n.num_ws, n.w_dim) for n in (network, into))
            if wanted != found:
                raise weights.WeightsError(
                    f"{generator}: takes w+ {list(found)}, but {encoder} gives {list(wanted)}; give the generator that "
                    "the encoder was trained for"
                )
    else:
        demo = weights.DEMO
        files = {
            "generator": generator or demo / "g_real.safetensors",
            "perceptual": perceptual or demo / "perceptual.safetensors",
        }
        into, network = load_generator(files["generator"], device), load_perceptual(files["perceptual"]).to(device)
    return (into, network), {role: weights.sha256(path) for role, path in files.items()}


def show(out, entries):
    """sheet.png: input, result and reconstruction of pictures evenly spread over the folder."""
    from alignment import read_picture, write_png
    from alignment.evenly import evenly
    from alignment.sheet import contact_sheet

    rows = []
    for entry in evenly(entries, SHOWN):
        file = f"{entry['output']}.png"
        paths = {"": entry["input"], ": result": out / file, ": reconstruction": out / "reconstructions" / file}
        rows.append([(entry["output"] + what, read_picture(path).pixels) for what, path in paths.items()])
    write_png(out / "sheet.png", contact_sheet(rows, tile=192))


if __name__ == "__main__":
    main()
