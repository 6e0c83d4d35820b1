"""Measure results against the truth: for evaluation identities the photo look under the very lights of the rendered
picture is known, so closeness can be measured.

    python scripts/benchmark_paired.py --data ../shared/avatars --out runs/paired

Methods: ours (invert into g_rendering, draw with g_real), direct (invert into g_real, the paper's baseline), input (do
nothing). Writes table.md, results.json and sheet.png.
"""

import json
import sys
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


@click.command(help=__doc__)
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--weights", "folder", type=click.Path(exists=True, file_okay=False), help="[default: embedded bundle]")
@click.option("--count", default=192, show_default=True, help="How many evaluation identities, evenly spread.")
@click.option("--steps", default=500, show_default=True)
@click.option("--batch", default=16, show_default=True)
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(data, out, folder, count, steps, batch, device):
    import numpy as np
    import torch
    from PIL import Image
    from tqdm import tqdm

    import weights
    from alignment import write_png
    from inversion import latent_optimization
    from metrics.identity import embedding, identity_distance
    from metrics.paired import bootstrap_mean, face_l2, face_lpips
    from postprocess.compositing import face_mask
    from postprocess.sheet import contact_sheet
    from project import load_bundle, to_pixels, to_tensor

    bundle = load_bundle(folder, weights.pick_device(device))
    size = bundle.g_real.img_resolution
    names = sorted(path.stem for path in (data / "matched").iterdir())
    names = [names[i] for i in np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int)]

    def read(kind, name):
        image = Image.open(data / kind / f"{name}.jpg").convert("RGB")
        return np.asarray(image.reduce(image.width // size) if image.width > size else image)

    def read_mask(name):
        labels = Image.open(data / "parsing" / f"{name}.png")
        return face_mask(np.asarray(labels.resize((size, size), Image.Resampling.NEAREST)))

    results = {"ours": [], "direct": [], "input": []}
    sheet = []
    bar = tqdm(total=2 * steps * -(-len(names) // batch), unit="step")
    for start in range(0, len(names), batch):
        part = names[start : start + batch]
        inputs, truths = (np.stack([read(kind, name) for name in part]) for kind in ("rendered", "matched"))
        mask = torch.from_numpy(np.stack([read_mask(name) for name in part])).to(bundle.device)
        target, truth = to_tensor(inputs, bundle.device), to_tensor(truths, bundle.device)
        outputs = {"input": target}
        for method, generator in (("ours", bundle.g_rendering), ("direct", bundle.g_real)):
            inversion = latent_optimization(
                generator, target, bundle.perceptual, steps=steps, on_step=lambda *_: bar.update()
            )
            with torch.no_grad():
                outputs[method] = bundle.g_real.synthesis(inversion.w_plus, noise_mode="const")
        true_faces = [embedding(pixels) for pixels in truths]
        for method, images in outputs.items():
            l2 = face_l2(images, truth, mask).tolist()
            lpips = face_lpips(bundle.perceptual, images, truth, mask).tolist()
            pixels = to_pixels(images)
            identity = [identity_distance(embedding(p), t) for p, t in zip(pixels, true_faces, strict=True)]
            for row in zip(part, lpips, l2, identity, strict=True):
                results[method].append(dict(zip(("name", "lpips", "l2", "identity"), row, strict=True)))
        shown = [inputs, *(to_pixels(outputs[m]) for m in ("ours", "direct")), truths]
        for i in range(0, len(part), 4):
            titles = ("input", "ours", "direct", "truth")
            sheet.append([(title, pictures[i]) for title, pictures in zip(titles, shown, strict=True)])
    bar.close()

    lines = ["| method | LPIPS (face) | L2 (face) | dlib distance |", "| --- | --- | --- | --- |"]
    for method, rows in results.items():
        cells = []
        for key in ("lpips", "l2", "identity"):
            mean, low, high = bootstrap_mean([row[key] for row in rows])
            cells.append(f"{mean:.4f} [{low:.4f}, {high:.4f}]")
        lines.append(f"| {method} | {' | '.join(cells)} |")
    table = "\n".join(lines)
    click.echo(f"{len(names)} identities, {steps} steps, 95% bootstrap intervals\n{table}")
    out.mkdir(parents=True, exist_ok=True)
    (out / "table.md").write_text(table + "\n")
    used = {name: weights.sha256(path) for name, path in bundle.files.items()}
    report = {"count": len(names), "steps": steps, "weights": used, "results": results}
    (out / "results.json").write_text(json.dumps(report, indent=1))
    write_png(out / "sheet.png", contact_sheet(sheet, tile=192))


if __name__ == "__main__":
    main()
