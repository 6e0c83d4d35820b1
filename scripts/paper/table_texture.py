"""Measure the refinement of textures on cases whose true texture is known.

\b
    python scripts/paper/table_texture.py --data ../shared/texture --rounds 5 --out docs/benchmarks

Methods: initial (do nothing), pasted (the unwrapped picture over the initial texture where it is seen), rendering L1
alone (gradient descent on it, the same schedule), first guess (where the refinement starts), refined, and the first
guess with two pictures more: the true texture, drawn from 45 degrees to either side in another light and exposure.
Numbers: mean absolute difference to the true texture in 8-bit levels, on texels seen in the one picture, unseen ones,
and unseen ones that are skin; LPIPS (embedded network), mean absolute difference and identity distance (dlib, of those
views in which it finds a face) of renders from three new views against renders with the true texture. No brightness
gain is taken out. Writes texture-DEVICE.md and .json, and sheets to --pictures. A case that is already in the numbers
with the same schedule is not done again.
"""

import json
import time
from dataclasses import asdict
from pathlib import Path

import click

VIEWS = ((-35, 0), (35, 0), (0, 20))  # degrees to the right, up, from the picture's own view
MORE = ((45, 1.2), (-45, 0.8))  # further pictures: degrees to the right, exposure
COLUMNS = {
    "visible": "seen",
    "unseen": "unseen",
    "unseen_skin": "unseen skin",
    "lpips": "LPIPS, new views",
    "views": "new views",
    "identity": "identity distance, new views",
    "faces": "with a face",
    "seconds": "seconds",
}
SCALP = 7  # of regions.png; lies under hair
OURS = {
    "first guess": ("initial", "pasted", "rendering L1 alone"),
    "refined": ("pasted", "rendering L1 alone", "first guess"),
    "3 pictures": ("first guess",),
}


@click.command(help=__doc__)
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--case", "cases", multiple=True, help="Folders in --data.  [default: all]")
@click.option("--rounds", default=5, show_default=True)
@click.option("--iterations", default=150, show_default=True)
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--pictures", type=click.Path(file_okay=False, path_type=Path), help="Folder for textures and sheets.")
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(data, cases, rounds, iterations, out, pictures, device):
    import torch

    from losses.perceptual import load_perceptual
    from machine.device import pick_device
    from postprocess.parsing import load_parser
    from texture import TextureSchedule
    from weights.files import written_atomically

    device = pick_device(device)
    network = load_perceptual().to(device, memory_format=torch.channels_last)
    parser = load_parser().to(device)
    schedule = asdict(TextureSchedule(rounds, iterations))
    numbers = out / f"texture-{device}.json"
    known = json.loads(numbers.read_text()) if numbers.is_file() else {}
    results = known["cases"] if known.get("schedule") == schedule else {}
    for folder in sorted(p for p in data.iterdir() if (p / "head.obj").is_file()):
        if folder.name in results or (cases and folder.name not in cases):
            continue
        results[folder.name] = measure(folder, network, parser, TextureSchedule(rounds, iterations), pictures)
        results = dict(sorted(results.items()))
        with written_atomically(numbers) as unfinished:
            unfinished.write_text(json.dumps({"schedule": schedule, "cases": results}, indent=1))
        table = make_table(results, schedule)
        with written_atomically(numbers.with_suffix(".md")) as unfinished:
            unfinished.write_text(table)
    click.echo(make_table(results, schedule))


def measure(folder, network, parser, schedule, pictures):
    """{method: {number: value}} of one case. The true texture is read after all methods but the last are done, which
    is given pictures of it."""
    import numpy as np
    from tqdm import tqdm

    from alignment import detect_faces, read_picture, write_png
    from alignment.sheet import contact_sheet
    from metrics.identity import embedding, identity_distance
    from texture import Scene, Shot, TextureSchedule, read_camera, read_mesh, refine
    from texture.pyramid import scales
    from texture.rasterize import render_picture
    from texture.skin import skin_mask

    mesh, camera = read_mesh(folder / "head.obj"), read_camera(folder / "camera.json")
    picture = read_picture(folder / "photo.png").pixels
    initial = read_picture(folder / "texture_initial.png").pixels
    shot = Shot(picture, camera, skin_mask(picture, parser))
    scene = Scene(mesh, initial, [shot])
    steps = schedule.rounds * len(scales(initial.shape[:2])) * schedule.iterations
    started = time.perf_counter()
    with tqdm(total=steps, desc=folder.name, unit="step", dynamic_ncols=True) as bar:
        refined = refine(scene, network, schedule, on_step=lambda losses: bar.update())
    seconds = time.perf_counter() - started
    textures = {
        "initial": initial,
        "pasted": np.where(refined.visible[..., None], refined.sampled, initial),
        "rendering L1 alone": rendering_alone(scene, schedule),
        "first guess": refined.start,
        "refined": refined.texture,
    }

    true = read_picture(folder / "texture_true.png").pixels
    regions = np.asarray(read_picture_indices(folder / "regions.png"))
    seen = read_picture(folder / "visible.png").pixels[..., 0] > 127
    further = [drawn_shot(mesh, camera, true, regions, *look) for look in MORE]
    several = refine(Scene(mesh, initial, [shot, *further]), network, TextureSchedule(0))
    textures["3 pictures"] = several.texture
    used = regions > 0
    areas = {"visible": seen & used, "unseen": ~seen & used, "unseen_skin": ~seen & used & (regions != SCALP)}
    views = [camera.turned(mesh.vertices.mean(0), right=right, up=up) for right, up in VIEWS]
    truths = [render_picture(mesh, view, true) for view in views]
    found = [(i, faces[0].box) for i, faces in enumerate(map(detect_faces, truths)) if faces]
    persons = {i: embedding(truths[i], box) for i, box in found}
    scores, rows = {}, []
    for method, texture in textures.items():
        error = np.abs(texture.astype(float) - true).mean(2)  # [H, W]
        renders = [render_picture(mesh, view, texture) for view in views]
        scores[method] = {name: float(error[area].mean()) for name, area in areas.items()} | {
            "lpips": float(np.mean([lpips(network, a, b) for a, b in zip(renders, truths, strict=True)])),
            "views": float(np.mean([np.abs(a.astype(float) - b).mean() for a, b in zip(renders, truths, strict=True)])),
        }
        away = [identity_distance(embedding(renders[i], box), persons[i]) for i, box in found]
        scores[method] |= {"faces": len(away)} | ({"identity": float(np.mean(away))} if away else {})
        rows.append([(method, texture), *(("", render) for render in renders)])
    scores["refined"]["seconds"] = seconds
    if pictures:
        rows.append([("true", true), *(("", render) for render in truths)])
        for method in ("first guess", "refined", "3 pictures"):
            write_png(pictures / f"{folder.name}-{method.replace(' ', '-')}.png", textures[method])
        write_png(pictures / f"{folder.name}-sheet.png", contact_sheet(rows))
    return scores


def drawn_shot(mesh, camera, true, regions, right, exposure):
    """A texture.Shot of the true texture from `right` degrees, lit from that side; all but the scalp is bare."""
    import numpy as np

    from texture import Shot, draw_texels
    from texture.light import relit, vertex_normals
    from texture.rasterize import render_picture

    view = camera.turned(mesh.vertices.mean(0), right=right)
    normal = draw_texels(mesh, *true.shape[:2]).interpolate(mesh, vertex_normals(mesh))
    towards = (view.centre - mesh.vertices.mean(0)) / np.linalg.norm(view.centre - mesh.vertices.mean(0))
    light = exposure * (0.8 + 0.4 * (normal @ towards)[..., None]) * (1.1, 1.0, 0.85)
    lit = relit(true.astype(np.float32), light).clip(0, 255).round().astype(np.uint8)
    bare = np.repeat(((regions > 0) & (regions != SCALP))[..., None] * np.uint8(255), 3, axis=2)
    return Shot(render_picture(mesh, view, lit), view, render_picture(mesh, view, bare)[..., 0] > 127)


def rendering_alone(scene, schedule):
    """The baseline: gradient descent on the rendering's L1 alone, from the initial texture. uint8 [H, W, 3]."""
    import numpy as np
    import torch

    from texture import unwrap, view_of
    from texture.optimise import descend
    from texture.pyramid import resize, scaled, stages
    from texture.rasterize import render
    from texture.refine import EROSION, shrink, to_levels, to_tensor

    size, (shot,) = scene.texture.shape[:2], scene.shots
    pixels = unwrap(scene.mesh, shot.camera, shot.picture, size, shot.mask).pixels
    view = view_of(scene.mesh, shot.camera, mask=shrink(pixels, EROSION * max(shot.picture.shape[:2])))
    target = to_tensor(shot.picture, "cpu")[0][:, torch.from_numpy(view.inside)]
    result = to_tensor(scene.texture, "cpu")
    for _, scale in stages(size, schedule.rounds):
        before = resize(result, scaled(size, scale))
        after = descend(before, lambda texture: (render(texture, view) - target).abs().mean(), schedule.iterations)
        result = result + resize(after - before, size)
    return to_levels(result).round().clip(0, 255).astype(np.uint8)


def lpips(network, a, b):
    """LPIPS of two pictures, uint8 [H, W, 3]."""
    import torch

    from texture.refine import to_tensor

    device = next(network.parameters()).device
    with torch.no_grad():
        return network(to_tensor(a, device), to_tensor(b, device)).item()


def read_picture_indices(path):
    """Palette indices [H, W] of a picture."""
    from PIL import Image

    return Image.open(path)


def make_table(results, schedule):
    lines = [
        "# Texture refinement against the true texture",
        "",
        f"Refined, L1: {schedule['rounds']} round(s) of {schedule['iterations']} iterations at each scale up to the "
        "texture's (the paper: 5 of 150); embedded perceptual network. Mean absolute differences in 8-bit levels; "
        "LPIPS is of the network that is in the loss, too. "
        "Made by `scripts/paper/table_texture.py`, which says what the columns are.",
        "",
        "| case | method | " + " | ".join(COLUMNS.values()) + " |",
        "| --- " * (2 + len(COLUMNS)) + "|",
    ]
    for case, methods in results.items():
        for method, scores in methods.items():
            digits = {"lpips": 4, "identity": 3, "faces": 0, "seconds": 0}
            cells = [f"{scores[key]:.{digits.get(key, 2)}f}" if key in scores else "" for key in COLUMNS]
            lines.append(f"| {case} | {method} | {' | '.join(cells)} |")
    if len(results) > 2:
        lines += ["", *differences(results)]
    return "\n".join(lines) + "\n"


def differences(results):
    """Lines of a table: the first guess and the refined texture less the other methods, mean over the cases and the
    half of its 95 % interval by Student's t; negative = better."""
    import numpy as np
    from scipy.stats import t

    keys = ("visible", "unseen_skin", "lpips", "identity")
    lines = [
        f"Difference over {len(results)} cases, negative = better, with 95 % intervals over cases (Student's t):",
        "",
        "| | " + " | ".join(COLUMNS[key] for key in keys) + " |",
        "| --- " * (1 + len(keys)) + "|",
    ]
    for ours, others in OURS.items():
        for other in others:
            cells = []
            for key in keys:
                gaps = [case[ours][key] - case[other][key] for case in results.values() if key in case[ours]]
                if len(gaps) < 2:
                    cells.append("")
                    continue
                gaps = np.array(gaps)
                half = t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / len(gaps) ** 0.5
                digits = {"lpips": 4, "identity": 3}.get(key, 2)
                cells.append(f"{gaps.mean():+.{digits}f} +- {half:.{digits}f}")
            lines.append(f"| {ours} - {other} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
