"""Show the ways to blend a face into its picture side by side, and measure their seams.

\b
    python scripts/study/compare_blends.py samples -o runs/blends

Inversions are kept in OUT, so that a second run only composites. Writes sheet.png,
blending-DEVICE.md and blending-DEVICE.json: for the largest face of every picture the gradient along the mask's border
over that of its surroundings, the same in the picture before, and the step of colour across the border that the blend
adds (metrics/seam.py), and how sharp the face is, of what it was (metrics/sharpness.py).
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

import click


@click.command(help=__doc__)
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="INPUT...")
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--weights", "folder", type=click.Path(exists=True, file_okay=False), help="[default: embedded bundle]")
@click.option("--g-rendering", type=click.Path(path_type=Path), metavar="FILE", help="As for project.py.")
@click.option("--preset", default="fast", type=click.Choice(["paper", "fast", "best"]), show_default=True)
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]))
def main(inputs, out, folder, g_rendering, preset, device):
    from tqdm import tqdm

    import weights
    from alignment import to_rgb8, write_png
    from alignment.sheet import contact_sheet
    from jobs.inputs import find_pictures
    from machine.device import pick_device
    from metrics.seam import measure_seam
    from metrics.sharpness import sharpness
    from pipeline import PRESETS, finish_picture, load_bundle
    from pipeline.results import neighbourhood
    from postprocess.compositing import BLENDS
    from weights.files import written_atomically

    device = pick_device(device)
    bundle, name_of_preset, preset = load_bundle(folder, device, g_rendering), preset, PRESETS[preset]
    rows, sheet = [], []
    pictures = find_pictures(inputs, out)
    bar = tqdm(total=len(pictures) * preset.schedule.length, unit="step")
    for number, (path, name) in enumerate(pictures):
        bar.set_description(name[:24])
        inverted = inverted_once(path, out / name, bundle, preset.schedule, lambda *_: bar.update())
        bar.n = (number + 1) * preset.schedule.length
        before = inverted.picture.pixels
        top, bottom, left, right = neighbourhood(inverted.found[0].quad, before.shape)
        shown = [("before", before[top:bottom, left:right])]
        for blend in BLENDS:
            result = finish_picture(inverted, bundle, replace(preset.finish, blend=blend))
            (face,), pixels = result.faces, to_rgb8(result.composite)
            seam = measure_seam(pixels, before, face.mask / 255, face.measured.side)
            rows.append(
                {
                    "picture": name,
                    "blend": blend,
                    **asdict(seam),
                    "sharpness": sharpness(pixels, before, face.mask > 250),
                    **face.measured.registration,
                    "hidden": face.measured.hidden,
                }
            )
            caption = f"{blend}: {seam.gradient:.2f} / {seam.gradient_before:.2f}, step {seam.step:.1f}"
            shown.append((caption, pixels[top:bottom, left:right]))
        sheet.append(shown)
    bar.close()

    table = "\n".join(table_lines(rows, BLENDS))
    used = {name: weights.sha256(path) for name, path in bundle.files.items()}
    report = {"preset": name_of_preset, "resolution": bundle.g_real.img_resolution, "weights": used, "rows": rows}
    count = f"the largest face of {len(pictures)} pictures"
    head = f"# Blending\n\n{folder or 'Embedded weights'}; preset {name_of_preset}; {count}."
    for suffix, text in ((".md", f"{head}\n\n{table}\n"), (".json", json.dumps(report, indent=1))):
        with written_atomically(out / f"blending-{device}{suffix}") as unfinished:
            unfinished.write_text(text)
    write_png(out / "sheet.png", contact_sheet(sheet, tile=384))
    click.echo(f"{table}\nlook at {out / 'sheet.png'}")


def inverted_once(path, folder, bundle, schedule, on_step):
    """The Inverted of a picture's largest face: from `folder` where it is, else made and kept there."""
    import weights
    from alignment import find_faces, read_picture
    from jobs.results import fingerprint
    from pipeline import invert_faces
    from pipeline.kept import keep, kept

    used = {name: weights.sha256(file) for name, file in bundle.used(schedule).items()}
    made_with = fingerprint(path, {"schedule": asdict(schedule), "weights": used})
    picture = read_picture(path)
    inverted = kept(folder, picture, made_with)
    if inverted is None:
        inverted = invert_faces(picture, find_faces(picture.pixels, "largest"), bundle, schedule, on_step=on_step)
        keep(folder, inverted, made_with)
    return inverted


def table_lines(rows, blends):
    """A line a picture, and the mean: gradient ratio, also as a share of the picture's before, and colour step."""
    names = list(dict.fromkeys(row["picture"] for row in rows))
    value = {(row["picture"], row["blend"]): row for row in rows}
    yield "| picture | " + " | ".join(f"{b}: gradient, of before | step | sharpness" for b in blends) + " |"
    yield "| --- " * (1 + 3 * len(blends)) + "|"
    for label, group in [*((name, [name]) for name in names), ("mean", names)]:

        def mean(key, blend, group=group):
            return sum(value[name, blend][key] for name in group) / len(group)

        cells = []
        for blend in blends:
            gradient, before = mean("gradient", blend), mean("gradient_before", blend)
            cells.append(f"{gradient:.2f}, {gradient / before:.2f}")
            cells += [f"{mean(key, blend):.2f}" for key in ("step", "sharpness")]
        yield f"| {label} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
