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
@click.option("--batch", default=8, show_default=True)
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(data, out, folder, batch, device):
    import numpy as np
    from PIL import Image
    from tqdm import tqdm

    import weights
    from alignment.tensors import to_pixels, to_tensor
    from inversion import invert, regenerate
    from machine.device import pick_device
    from metrics.identity import embedding, identity_distance
    from pipeline import load_bundle
    from pipeline.presets import PRESETS
    from weights.files import written_atomically

    bundle = load_bundle(folder, pick_device(device))
    size = bundle.g_real.img_resolution
    held_out = sorted(path.stem for path in (data / "matched").iterdir())
    names, limits = held_out[::8], {}
    for kind, preset in KINDS.items():
        schedule, lpips, identity = PRESETS[preset].schedule, [], []
        bar = tqdm(total=schedule.length * len(names), unit="step", desc=preset)
        for i in range(0, len(names), batch):
            images = [Image.open(data / "rendered" / f"{name}.jpg").convert("RGB") for name in names[i : i + batch]]
            crops = np.stack([np.asarray(im.reduce(im.width // size) if im.width > size else im) for im in images])
            target = to_tensor(crops, bundle.device)
            inversion = invert(
                bundle.g_rendering, target, bundle.perceptual, schedule, on_step=lambda *_, bar=bar: bar.update()
            )
            lpips += bundle.perceptual(target, inversion.image).tolist()
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
