"""Show the ways to blend a face into its picture side by side, and measure their seams.

    python scripts/compare_blends.py samples -o runs/blends

Portraits are kept in OUT (NAME/face0_portrait.png), so that a second run only composites. Writes sheet.png,
blending-DEVICE.md and blending-DEVICE.json: for the largest face of every picture the gradient along the mask's border
over that of its surroundings, the same in the picture before, and the step of colour across the border that the blend
adds (metrics/seam.py).
"""

import json
import sys
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


@click.command(help=__doc__)
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="INPUT...")
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--weights", "folder", type=click.Path(exists=True, file_okay=False), help="[default: embedded bundle]")
@click.option("--preset", default="fast", type=click.Choice(["paper", "fast", "best"]), show_default=True)
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]))
def main(inputs, out, folder, preset, device):
    from tqdm import tqdm

    import weights
    from alignment import crop_face, find_faces, read_picture, to_rgb8, write_png
    from alignment.crop import quad_side
    from inversion.presets import PRESETS, length
    from jobs.inputs import find_pictures
    from jobs.results import neighbourhood
    from metrics.seam import measure_seam
    from postprocess.compositing import BLENDS
    from postprocess.sheet import contact_sheet
    from project import load_bundle, put_back
    from weights.files import written_atomically

    device = weights.pick_device(device)
    bundle = load_bundle(folder, device)
    rows, sheet = [], []
    pictures = find_pictures(inputs)
    bar = tqdm(total=len(pictures) * length(PRESETS[preset]), unit="step")
    for number, (path, name) in enumerate(pictures):
        bar.set_description(name[:24])
        picture = read_picture(path)
        (face,) = find_faces(picture.pixels, "largest")
        crop = crop_face(picture.pixels, face.quad, bundle.g_real.img_resolution)
        portraits = portrait(out / name / "face0_portrait.png", crop, bundle, preset, lambda *_: bar.update())
        bar.n = (number + 1) * length(PRESETS[preset])
        top, bottom, left, right = neighbourhood(face.quad, picture.pixels.shape)
        shown = [("before", picture.pixels[top:bottom, left:right])]
        for blend in BLENDS:
            result, (placed,) = put_back(picture, portraits, crop[None], [face.quad], bundle, blend)
            pixels = to_rgb8(result)
            seam = measure_seam(pixels, picture.pixels, placed["mask"] / 255, quad_side(face.quad))
            rows.append({"picture": name, "blend": blend, "gradient": seam.gradient,
                         "gradient_before": seam.gradient_before, "step": seam.step} | placed["registration"]
                        | {"in_front": placed["in_front"]})  # fmt: skip
            caption = f"{blend}: {seam.gradient:.2f} / {seam.gradient_before:.2f}, step {seam.step:.1f}"
            shown.append((caption, pixels[top:bottom, left:right]))
        sheet.append(shown)
    bar.close()

    table = "\n".join(table_lines(rows, BLENDS))
    used = {name: weights.sha256(path) for name, path in bundle.files.items()}
    report = {"preset": preset, "resolution": bundle.g_real.img_resolution, "weights": used, "rows": rows}
    count = f"the largest face of {len(pictures)} pictures"
    head = f"# Blending\n\n{folder or 'Embedded weights'}; preset {preset}; {count}."
    for suffix, text in ((".md", f"{head}\n\n{table}\n"), (".json", json.dumps(report, indent=1))):
        with written_atomically(out / f"blending-{device}{suffix}") as unfinished:
            unfinished.write_text(text)
    write_png(out / "sheet.png", contact_sheet(sheet, tile=384))
    click.echo(f"{table}\nlook at {out / 'sheet.png'}")


def portrait(path, crop, bundle, preset, on_step):
    """The realistic portrait, uint8 [1, R, R, 3], of a crop, uint8 [R, R, 3]: from the file where it is, else made, and
    written there."""
    import numpy as np
    from PIL import Image

    from alignment import write_png
    from inversion import invert
    from inversion.presets import PRESETS
    from project import regenerate, to_tensor

    if path.is_file():
        return np.asarray(Image.open(path))[None]
    target = to_tensor(crop[None], bundle.device)
    inversion = invert(bundle.g_rendering, target, bundle.perceptual, on_step=on_step, **PRESETS[preset])
    pixels = regenerate(bundle, inversion)
    write_png(path, pixels[0])
    return pixels


def table_lines(rows, blends):
    """A line a picture, and the mean: gradient ratio, also as a share of the picture's before, and colour step."""
    names = list(dict.fromkeys(row["picture"] for row in rows))
    value = {(row["picture"], row["blend"]): row for row in rows}
    yield "| picture | " + " | ".join(f"{b}: gradient, of before | step" for b in blends) + " |"
    yield "| --- " * (1 + 2 * len(blends)) + "|"
    for label, group in [*((name, [name]) for name in names), ("mean", names)]:

        def mean(key, blend, group=group):
            return sum(value[name, blend][key] for name in group) / len(group)

        cells = []
        for blend in blends:
            gradient, before = mean("gradient", blend), mean("gradient_before", blend)
            cells += [f"{gradient:.2f}, {gradient / before:.2f}", f"{mean('step', blend):.2f}"]
        yield f"| {label} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
