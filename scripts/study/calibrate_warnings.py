"""Measure from where on project.py should warn: what 95 % of well-made results stay below.

\b
    python scripts/study/calibrate_warnings.py --data ../shared/avatars --out weights/demo/calibration.json

Every 8th identity of `matched/` is inverted with the weights' own generators: `lpips` of the inversion and dlib's
`identity` distance between crop and portrait get the 95th percentile, for Eq. 4 alone and with tuning. `yaw`: the
generators know what they were trained on, so its limit is the 99th percentile of the training pictures'
(manifest.jsonl). Tuning reaches an LPIPS on these pictures that pictures of another origin never have, well made or
not, so with it, too, the LPIPS limit is that of Eq. 4 alone.
"""

import json
from pathlib import Path

import click

KINDS = {"plain": "paper", "tuned": "fast"}  # limits: by which preset


@click.command(help=__doc__)
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--weights", "folder", type=click.Path(exists=True, file_okay=False), help="[default: embedded bundle]")
@click.option("--g-rendering", type=click.Path(path_type=Path), metavar="FILE", help="As for project.py.")
@click.option("--steps", type=click.IntRange(1), help="No more than these, for a trial.  [default: the presets' own]")
@click.option("--batch", default=8, show_default=True, type=click.IntRange(1))
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(data, out, folder, g_rendering, steps, batch, device):
    import numpy as np
    from tqdm import tqdm

    import weights
    from alignment.tensors import to_pixels, to_tensor
    from compare.paired.data import read_results, stems
    from inversion import invert, regenerate
    from losses.resize import comparable
    from machine.device import pick_device
    from metrics.identity import embedding, identity_distance
    from pipeline import load_bundle
    from pipeline.presets import PRESETS
    from weights.files import written_atomically

    try:
        bundle = load_bundle(folder, pick_device(device), g_rendering)
    except weights.WeightsError as error:
        raise click.ClickException(str(error)) from error
    size = bundle.g_real.img_resolution
    held_out = stems(data / "matched")
    names, limits = held_out[::8], {}
    for kind, preset in KINDS.items():
        schedule, lpips, identity = PRESETS[preset].schedule, [], []
        schedule = schedule if steps is None else schedule.at_most(steps)
        bar = tqdm(total=schedule.length * len(names), unit="step", desc=preset)
        for i in range(0, len(names), batch):
            crops = read_results(data / "rendered", names[i : i + batch], size)
            target = to_tensor(crops, bundle.device)
            inversion = invert(
                bundle.g_rendering, target, bundle.perceptual, schedule, on_step=lambda *_, bar=bar: bar.update()
            )
            lpips += bundle.perceptual(comparable(target), comparable(inversion.image)).tolist()
            pairs = zip(crops, to_pixels(regenerate(bundle.g_real, inversion, bundle.g_rendering)), strict=True)
            identity += [identity_distance(embedding(crop), embedding(portrait)) for crop, portrait in pairs]
        bar.close()
        limits[kind] = {
            "lpips": round(float(np.quantile(lpips, 0.95)), 4),
            "identity": round(float(np.quantile(identity, 0.95)), 3),
        }
    people = [json.loads(line) for line in (data / "manifest.jsonl").read_text().splitlines()]
    yaws = [abs(person["yaw"]) for person in people if person["id"] not in held_out]
    limits["tuned"]["lpips"] = limits["plain"]["lpips"]  # tuning comes close to nearly anything: see the docstring
    limits["yaw"] = round(float(np.quantile(yaws, 0.99)), 1)
    how = (
        f"95th percentile over {len(names)} evaluation identities of the avatars, presets {KINDS}, LPIPS of the plain "
        f"one for both; yaw: 99th "
        f"percentile of {len(yaws)} training pictures"
    )
    used = {name: weights.sha256(path) for name, path in bundle.files.items()}
    with written_atomically(out) as unfinished:
        unfinished.write_text(json.dumps({"limits": limits, "how": how, "weights": used}, indent=1) + "\n")
    click.echo(f"{limits}\nwrote {out}")


if __name__ == "__main__":
    main()
