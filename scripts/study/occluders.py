"""Do things in front of a face come out as they went in? Glasses, hats, hands, jewellery, beards, cloths and bars are
drawn over faces in code, and each picture goes through the pipeline.

\b
    python scripts/study/occluders.py ../shared/inputs -o runs/occluders

Of every picture: the mean absolute difference, in 8-bit levels, between input and result over the thing, and over the
face within a tenth of the crop around it, which has to change. Writes table.md, table.csv, results.json, sheet.png and
the pictures; inversions are kept, so that a second run only finishes.
"""

from dataclasses import asdict
from pathlib import Path

import click
import numpy as np

FEWEST = 20  # pictures


def drawn(name, landmarks, shape):
    """(colours [H, W, 3], where [H, W] bool) of a thing over the face with these 68 landmarks."""
    from PIL import Image, ImageDraw

    layer = Image.new("RGBA", (shape[1], shape[0]))
    draw = ImageDraw.Draw(layer)
    p = np.asarray(landmarks)
    eye = np.linalg.norm(p[45] - p[36])  # outer eye corners: the unit of length
    left, right, mouth = p[36:42].mean(0), p[42:48].mean(0), p[48:60].mean(0)
    up = (left + right) / 2 - mouth
    down, across = -up / np.linalg.norm(up), (right - left) / np.linalg.norm(right - left)

    def points(*coordinates):
        """From (along the eyes, down) in units of `eye` around the point between the eyes, to pixels."""
        return [tuple((left + right) / 2 + eye * (x * across + y * down)) for x, y in coordinates]

    def disc(centre, radius, **colours):
        (x, y), r = centre, radius * eye
        draw.ellipse([x - r, y - r, x + r, y + r], **colours)

    def line(coordinates, width, fill):
        draw.line(points(*coordinates), fill=fill, width=max(round(width * eye), 2), joint="curve")
        for point in points(*coordinates):
            disc(point, width / 2, fill=fill)

    if name == "sunglasses":
        for side in (-1, 1):
            corners = [(0.08, -0.2), (0.62, -0.22), (0.6, 0.15), (0.38, 0.27), (0.14, 0.18)]
            draw.polygon(points(*((side * x, y) for x, y in corners)), fill=(25, 22, 30, 255))
        line([(-0.1, -0.12), (0.1, -0.12)], 0.06, (25, 22, 30, 255))
    elif name == "glasses":
        for centre in (left, right):
            disc(centre, 0.33, outline=(40, 30, 25, 255), width=max(round(0.05 * eye), 2))
        line([(-0.2, -0.02), (0.2, -0.02)], 0.045, (40, 30, 25, 255))
    elif name == "hat":
        draw.polygon(points((-1.1, -0.55), (1.1, -0.55), (0.85, -1.6), (-0.85, -1.6)), fill=(96, 60, 110, 255))
        line([(-1.3, -0.52), (1.3, -0.52)], 0.16, (70, 40, 85, 255))
    elif name == "hand":
        for i in range(4):
            line([(0.95, 0.5 + 0.19 * i), (0.2 + 0.05 * i, 0.42 + 0.17 * i)], 0.16, (196 - 6 * i, 148, 118, 255))
    elif name == "bar":
        line([(-1.1, 0.45), (1.1, 0.75)], 0.22, (30, 140, 150, 255))
    elif name == "surgical mask":
        corners = [(-0.72, 0.3), (0, 0.18), (0.72, 0.3), (0.6, 0.95), (0, 1.25), (-0.6, 0.95)]
        draw.polygon(points(*corners), fill=(160, 200, 225, 255))
    elif name == "jewellery":
        for i in range(-4, 5):
            disc(points((0.16 * i, -0.55 + 0.012 * i * i))[0], 0.06, fill=(222, 190, 90, 255))
        disc(points((0, -0.4))[0], 0.09, fill=(160, 20, 50, 255))
    elif name == "beard":
        random = np.random.default_rng(0)
        for x, y in random.uniform((-0.62, 0.62), (0.62, 1.2), (2600, 2)):
            if (x / 0.66) ** 2 + ((y - 0.55) / 0.7) ** 2 < 1 and not (abs(x) < 0.3 and abs(y - 0.72) < 0.09):
                turn = random.uniform(-0.3, 0.3)
                line([(x, y), (x + 0.07 * turn, y + 0.07)], 0.012, (70, 45, 30, 255))
    elif name == "eye patch":
        disc(left, 0.3, fill=(15, 15, 15, 255))
        line([(-0.9, -0.5), (0.8, 0.15)], 0.035, (15, 15, 15, 255))
    elif name == "scarf":
        draw.polygon(points((-1.0, 0.85), (1.0, 0.75), (1.1, 1.5), (-1.1, 1.5)), fill=(190, 60, 50, 255))
        for i in range(7):
            line([(-1.0 + 0.3 * i, 0.85), (-1.1 + 0.3 * i, 1.5)], 0.05, (240, 220, 200, 255))
    else:
        raise ValueError(f"no thing {name!r}")
    pixels = np.asarray(layer)
    return pixels[..., :3], pixels[..., 3] > 127


THINGS = ("sunglasses", "glasses", "hat", "hand", "bar", "surgical mask", "jewellery", "beard", "eye patch", "scarf")


@click.command(help=__doc__)
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="INPUT...")
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--weights", "folder", type=click.Path(exists=True, file_okay=False), help="[default: embedded bundle]")
@click.option("--g-rendering", type=click.Path(path_type=Path), metavar="FILE", help="As for project.py.")
@click.option("--count", default=FEWEST, show_default=True, type=click.IntRange(1), help="Pictures.")
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(inputs, out, folder, g_rendering, count, device):
    from tqdm import tqdm

    import weights
    from alignment import find_faces, read_picture, to_rgb8, write_png
    from alignment.sheet import contact_sheet
    from compare.intervals import number
    from compare.tables import write_table
    from jobs.inputs import find_pictures
    from jobs.results import fingerprint
    from machine.device import pick_device
    from pipeline import PRESETS, finish_picture, invert_faces, load_bundle
    from pipeline.kept import keep, kept
    from pipeline.presets import DEFAULT
    from pipeline.results import neighbourhood

    bundle, preset = load_bundle(folder, pick_device(device), g_rendering), PRESETS[DEFAULT]
    used = {name: weights.sha256(file) for name, file in bundle.files.items()}
    pictures = find_pictures(inputs, out)
    over, around, sheet, values = {}, {}, [], {}
    for i in tqdm(range(count), unit="picture"):
        path, name = pictures[i * 3 % len(pictures)]  # another face for each thing's second time
        thing = THINGS[i % len(THINGS)]
        picture = read_picture(path)
        found = find_faces(picture.pixels, "largest")
        colours, where = drawn(thing, found[0].landmarks, picture.pixels.shape)
        before = np.where(where[..., None], colours, picture.pixels)
        case = out / f"{i:02d}-{name}-{thing.replace(' ', '-')}"
        write_png(case / "input.png", before)
        picture = read_picture(case / "input.png")
        made_with = fingerprint(case / "input.png", {"schedule": asdict(preset.schedule), "weights": used})
        inverted = kept(case, picture, made_with)
        if inverted is None:
            inverted = invert_faces(picture, found, bundle, preset.schedule)  # the face is where it was
            keep(case, inverted, made_with)
        result = finish_picture(inverted, bundle, preset.finish)
        after = to_rgb8(result.composite)
        write_png(case / "result.png", after)
        inside, beside = measured(before, after, where, result.faces[0].mask, result.faces[0].measured.side)
        over.setdefault(thing, []).append(inside)
        around.setdefault(thing, []).append(beside)
        values[case.name] = {"over": inside, "around": beside}
        top, bottom, left, right = neighbourhood(found[0].quad, before.shape)
        change = np.abs(after.astype(int) - before).clip(0, 31).astype(np.uint8) * 8
        view = np.s_[top:bottom, left:right]
        caption = f"{thing}: {inside:.1f}, around {beside:.1f}"
        sheet.append([(caption, before[view]), ("result", after[view]), ("change x 8", change[view])])
    rows = {thing: {"over the thing": number(over[thing]), "around it": number(around[thing])} for thing in over}
    rows["all"] = {
        "over the thing": number(sum(over.values(), [])),
        "around it": number(sum(around.values(), [])),
    }
    caption = f"{count} pictures with things drawn over the face; mean change in 8-bit levels, default preset."
    facts = {"values": values, "weights": used}
    click.echo(write_table(out, caption, ("over the thing", "around it"), rows, facts))
    pairs = [sheet[i] + (sheet[i + 1] if i + 1 < len(sheet) else []) for i in range(0, len(sheet), 2)]
    write_png(out / "sheet.png", contact_sheet(pairs, tile=224))


def measured(before, after, where, mask, side):
    """(mean change over the thing, as far as it lies over the pasted face or within the crop; over the face around)."""
    import cv2

    change = np.abs(after.astype(np.float32) - before).mean(axis=2)
    core = cv2.erode(where.astype(np.uint8), np.ones([3, 3], np.uint8)) > 0
    near = cv2.dilate(where.astype(np.uint8), np.ones([int(0.1 * side)] * 2, np.uint8)) > 0
    apart = cv2.dilate(where.astype(np.uint8), np.ones([int(0.02 * side) + 1] * 2, np.uint8)) > 0
    beside = near & ~apart & (mask > 127)
    inside = core if core.any() else where
    return float(change[inside].mean()), float(change[beside].mean()) if beside.any() else 0.0


if __name__ == "__main__":
    main()
