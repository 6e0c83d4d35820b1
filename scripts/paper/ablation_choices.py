"""What the paper leaves open, tried both ways: the effect of each choice that docs/reproduction.md lists.

\b
    python scripts/paper/ablation_choices.py --data ../shared/avatars --out runs/choices

OUT/inversion: Eq. 4 with other learning rates, with the noise maps left alone, and with an LPIPS whose channels
all weigh the same; over evaluation identities, as in benchmark_paired.py between g_real's portrait and the truth.
OUT/sketch: Eq. 1 between g_real(w) and g_rendering(w), as sum and as mean, with S seeing [-1, 1] or [0, 1]; agreement:
Spearman's rank correlation with the first row over latents. Each: table.md, table.csv, results.json, sheet.png.
"""

import copy
from pathlib import Path

import click

INVERSION = ("LPIPS of the inversion", "LPIPS (face)", "L2 (face)", "dlib distance")
SKETCH = ("sum, batch mean", "mean", "agreement")
LATENTS = 32


@click.command(help=__doc__)
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--weights", "folder", type=click.Path(exists=True, file_okay=False), help="[default: embedded bundle]")
@click.option("--g-rendering", type=click.Path(path_type=Path), metavar="FILE", help="As for project.py.")
@click.option("--count", default=6, show_default=True, type=click.IntRange(2), help="Evaluation identities.")
@click.option("--steps", default=100, show_default=True, type=click.IntRange(1))
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(data, out, folder, g_rendering, count, steps, device):
    import weights
    from compare.paired.data import evaluation_portraits
    from compare.paired.methods import sketch_file
    from machine.device import pick_device
    from pipeline import load_bundle

    try:
        bundle = load_bundle(folder, pick_device(device), g_rendering)
    except weights.WeightsError as error:
        raise click.ClickException(str(error)) from error
    portraits = evaluation_portraits(data, bundle.g_real.img_resolution, count)
    used = {role: weights.sha256(path) for role, path in bundle.files.items()}
    click.echo(inversions(bundle, portraits, steps, out, {"weights": used, "steps": steps, "names": portraits.names}))
    sketch = sketch_file(folder)
    click.echo(sketches(bundle, sketch, out, {"weights": used | {"sketch": weights.sha256(sketch)}, "seed": 3}))


def inversions(bundle, portraits, steps, out, facts):
    """The table of Eq. 4's choices, in Markdown."""
    import torch
    from tqdm import tqdm

    from alignment import write_png
    from alignment.sheet import contact_sheet
    from alignment.tensors import to_pixels, to_tensor
    from compare.intervals import number
    from compare.tables import write_table
    from inversion import latent_optimization, regenerate
    from losses.resize import comparable
    from metrics.face_distance import face_l2, face_lpips
    from metrics.identity import embedding, identity_distance
    from postprocess.masks import face_mask

    even = copy.deepcopy(bundle.perceptual)
    if hasattr(even, "linear"):  # the embedded network's; VGG's are buffers
        for channel_weights in even.linear:
            channel_weights.fill_(channel_weights.mean())
    choices = {
        "as the paper preset": {},
        "disturbance of w+ 0.0044": {"disturbance": 0.0044},
        "learning rate 0.05": {"lr": 0.05},
        "learning rate 0.2": {"lr": 0.2},
        "noise maps left alone": {"noise_weight": None},
        "LPIPS with even channel weights": {"perceptual": even},
    }
    target, truth = (to_tensor(pixels, bundle.device) for pixels in (portraits.inputs, portraits.truths))
    mask = torch.from_numpy(face_mask(portraits.labels)).to(bundle.device)
    people = [embedding(pixels) for pixels in portraits.truths]
    rows, values, sheet = {}, {}, [[("input", pixels) for pixels in portraits.inputs]]
    bar = tqdm(total=steps * len(choices), unit="step", mininterval=1)
    for name, options in choices.items():
        options = {"perceptual": bundle.perceptual, "steps": steps} | options
        bar.set_description(name)
        inversion = latent_optimization(bundle.g_rendering, target, on_step=lambda *_: bar.update(), **options)
        images = regenerate(bundle.g_real, inversion)
        with torch.no_grad():
            reached = bundle.perceptual(comparable(target), comparable(inversion.image))
            found = (reached, face_lpips(bundle.perceptual, images, truth, mask), face_l2(images, truth, mask))
        pixels = to_pixels(images)
        distances = [identity_distance(embedding(p), person) for p, person in zip(pixels, people, strict=True)]
        values[name] = dict(zip(INVERSION, [*(v.tolist() for v in found), distances], strict=True))
        rows[name] = {column: number(values[name][column]) for column in INVERSION}
        sheet.append([(name, p) for p in pixels])
    bar.close()
    sheet.append([("truth", pixels) for pixels in portraits.truths])
    write_png(out / "inversion" / "sheet.png", contact_sheet(sheet, tile=160))
    caption = f"Eq. 4, {steps} steps, {len(people)} evaluation identities; mean and 95 % bootstrap interval."
    return write_table(out / "inversion", caption, INVERSION, rows, facts | {"values": values})


def sketches(bundle, file, out, facts):
    """The table of Eq. 1's readings, in Markdown."""
    import torch
    from scipy.stats import spearmanr

    from alignment import write_png
    from alignment.sheet import contact_sheet
    from alignment.tensors import to_pixels
    from compare.intervals import number
    from compare.tables import write_table
    from losses.sketch import SketchSpec, sketch_loss
    from sketch.checkpoints import load_sketch_extractor

    extractor = load_sketch_extractor(file).to(bundle.device)
    size = bundle.g_real.img_resolution
    z = torch.randn([LATENTS, bundle.g_real.z_dim], generator=torch.Generator().manual_seed(3)).to(bundle.device)
    readings = {"S sees [-1, 1]": extractor, "S sees [0, 1]": lambda x: extractor((x + 1) / 2)}
    rows, values, shown = {}, {name: {"sum": [], "mean": []} for name in readings}, []
    with torch.no_grad():
        for w_plus in bundle.g_real.mapping(z).split(1):
            a, b = (G.synthesis(w_plus, noise_mode="const") for G in (bundle.g_real, bundle.g_rendering))
            for name, S in readings.items():
                for reduction in ("sum", "mean"):
                    spec = SketchSpec(size=size, reduction=reduction)
                    values[name][reduction].append(float(sketch_loss(S, a, b, spec)))
            if len(shown) < 6:
                lines = [S(a)[:, :1].expand(-1, 3, -1, -1).clamp(-1, 1) for S in readings.values()]
                shown.append(
                    [("g_real", to_pixels(a)[0]), ("g_rendering", to_pixels(b)[0])]
                    + [(name, to_pixels(x)[0]) for name, x in zip(readings, lines, strict=True)]
                )
    first = values["S sees [-1, 1]"]["mean"]
    for name, found in values.items():
        agreement = float(spearmanr(first, found["mean"]).statistic)
        rows[name] = dict(zip(SKETCH, (number(found["sum"]), number(found["mean"]), agreement), strict=True))
    write_png(out / "sketch" / "sheet.png", contact_sheet(shown, tile=160))
    caption = f"Eq. 1 at {size}x{size}, {LATENTS} latents; mean and 95 % bootstrap interval."
    return write_table(out / "sketch", caption, SKETCH, rows, facts | {"values": values})


if __name__ == "__main__":
    main()
