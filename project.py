"""Make rendered faces real: a portrait, a display image or a folder in, photo-real portraits and composites out.

    python project.py avatar.png -o out
    python project.py samples -o out

For every picture: OUT/NAME/composite.SUFFIX of the picture's own format, OUT/NAME/sheet.png and, for each face N,
faceN_crop.png, faceN_inversion.png, faceN_portrait.png, faceN_mask.png and faceN_w_plus.npz; OUT/report.json says what
was done and how well.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import click

from weights.files import written_atomically

PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
POOR_LPIPS = 0.05  # a reconstruction this far from its crop is reported; the samples reach about 0.01
MUCH_HIDDEN = 0.05  # of the face
PIXELS = ("crop", "inversion", "portrait", "mask", "w_plus")  # of a face's dict: into files, not into the report


@dataclass(frozen=True)
class Bundle:
    """The networks of one run, all frozen, on one device; files: {name: path} of where they came from."""

    g_real: object
    g_rendering: object
    perceptual: object
    parser: object
    device: str
    files: dict


def load_bundle(folder=None, device="cpu"):
    """Load g_real, g_rendering, perceptual and parser from a folder of native files; None = the embedded bundle."""
    import torch

    import weights
    from losses.perceptual import load_perceptual
    from postprocess.parsing import load_parser
    from stylegan2.checkpoints import load_generator

    folder = Path(folder or weights.DEMO)
    files = {name: folder / f"{name}.safetensors" for name in ("g_real", "g_rendering", "perceptual", "parser")}
    networks = {
        "g_real": load_generator(files["g_real"]),
        "g_rendering": load_generator(files["g_rendering"]),
        "perceptual": load_perceptual(files["perceptual"]),
        "parser": load_parser(files["parser"]),
    }
    real, rendering = networks["g_real"], networks["g_rendering"]
    if (real.img_resolution, real.w_dim) != (rendering.img_resolution, rendering.w_dim):
        raise weights.WeightsError(f"{folder}: g_real and g_rendering do not share a latent space")
    networks = {k: n.to(device, memory_format=torch.channels_last) for k, n in networks.items()}
    return Bundle(**networks, device=device, files=files)


def project_picture(picture, bundle, found, steps=500, blend="harmonized", on_step=None):
    """Fig. 2(b) for the faces `found` (by alignment.find_faces) of one alignment.Picture.

    Returns (composite: samples of the form of picture.original.samples, faces: one dict a face, as in `found`).
    """
    import numpy as np
    import torch

    from alignment import AlignmentError, crop_face
    from inversion import latent_optimization

    # Align
    size = bundle.g_real.img_resolution
    try:
        crops = np.stack([crop_face(picture.pixels, face.quad, size) for face in found])  # [N, R, R, 3]
    except ValueError as error:  # a quad that was given, beside the picture
        raise AlignmentError(f"{error}; check --quad or --landmarks") from error

    # Invert into g_rendering (Eq. 4)
    started = time.perf_counter()
    target = to_tensor(crops, bundle.device)
    inversion = latent_optimization(bundle.g_rendering, target, bundle.perceptual, steps=steps, on_step=on_step)
    seconds = (time.perf_counter() - started) / len(found)
    with torch.no_grad():
        lpips = bundle.perceptual(target, inversion.image).tolist()
    reconstructions = to_pixels(inversion.image)

    portraits = regenerate(bundle, inversion.w_plus)
    result, placed = put_back(picture, portraits, crops, [face.quad for face in found], bundle, blend)
    faces = [
        {
            "face": face.index,
            "box": face.box and [round(float(v), 1) for v in face.box],
            "quad": face.quad.round(2).tolist(),
            "lpips": lpips[i],
            "noise": inversion.history[-1]["noise"][i],
            "seconds": seconds,
            "registration": placed[i]["registration"],
            "in_front": placed[i]["in_front"],
            "warnings": face_warnings(lpips[i], face.quad, size, placed[i]["in_front"]),
            "crop": crops[i],
            "inversion": reconstructions[i],
            "portrait": portraits[i],
            "mask": placed[i]["mask"],
            "w_plus": inversion.w_plus[i : i + 1].cpu().numpy(),
        }
        for i, face in enumerate(found)
    ]
    return result, faces


def regenerate(bundle, w_plus):
    """The portraits g_real draws of latents [N, num_ws, w_dim], with its own noise: uint8 [N, R, R, 3]."""
    import torch

    with torch.no_grad():
        return to_pixels(bundle.g_real.synthesis(w_plus, noise_mode="const"))


def put_back(picture, portraits, crops, quads, bundle, blend):
    """Register, parse, composite (Eq. 5): N portraits into their picture, the largest face first.

    portraits, crops: uint8 [N, R, R, 3]. quads: [4, 2] each, where the crops were cut. Returns (samples of the form of
    picture.original.samples, one dict a face: "registration", "in_front", the share of the face that something hides,
    and "mask", uint8 [H, W]).
    """
    import numpy as np

    from alignment import Registration, crop_face, register
    from postprocess.compositing import composite
    from postprocess.masks import face_mask, in_front
    from postprocess.parsing import parse

    # Register the features on those of the input
    if blend == "paper":
        places = [Registration(quad, 0.0) for quad in quads]
    else:
        places = [register(*face) for face in zip(portraits, crops, quads, strict=True)]
    beneath = [
        crop_face(picture.pixels, place.quad, len(crop), transform_size=4 * len(crop)) if place.moved else crop
        for place, crop in zip(places, crops, strict=True)
    ]

    # Parse the portraits, and what they will cover
    labels = parse(bundle.parser, to_tensor(portraits, bundle.device)).cpu().numpy()  # [N, R, R]
    under = parse(bundle.parser, to_tensor(np.stack(beneath), bundle.device)).cpu().numpy()

    # Composite, the largest face last so that it lies on top
    result, placed = picture.original.samples, []
    for i in reversed(range(len(quads))):
        result, soft = composite(result, portraits[i], labels[i], places[i].quad, under[i], blend)
        placed.append({
            "registration": {"move": places[i].move, "refused": places[i].refused},
            "in_front": float(in_front(labels[i], under[i]).sum() / max(face_mask(labels[i]).sum(), 1)),
            "mask": np.ceil(soft * 255).clip(0, 255).astype(np.uint8),  # 0 only where nothing changed
        })  # fmt: skip
    return result, placed[::-1]


def face_warnings(lpips, quad, size, hidden):
    """What a user should look at twice, in words."""
    import numpy as np

    warnings = []
    if lpips > POOR_LPIPS:
        warnings.append(f"poor reconstruction (LPIPS {lpips:.2f}): the portrait may not be the same person")
    side = float(np.linalg.norm(quad[3] - quad[0]))
    if side > 2 * size:
        warnings.append(f"the face is {side:.0f} pixels wide but the generator draws {size}: expect a soft result")
    if hidden > MUCH_HIDDEN:
        warnings.append(f"something lies in front of the face ({100 * hidden:.0f} % of it): look at the mask")
    return warnings


def to_tensor(pixels, device):
    """uint8 [N, R, R, 3] -> float32 [N, 3, R, R] in [-1, 1]."""
    import torch

    return (torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous()


def to_pixels(images):
    """float [N, 3, R, R] in [-1, 1] -> uint8 [N, R, R, 3]."""
    return ((images + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()


def write_results(folder, picture, result, faces):
    """Write the pictures and latents of one input into `folder`; returns (name of the composite's file, the report
    entries of its faces)."""
    import numpy as np

    from alignment import to_rgb8, write_original, write_png
    from postprocess.sheet import contact_sheet

    folder.mkdir(parents=True, exist_ok=True)
    rows, entries = [], []
    before, after = picture.pixels, to_rgb8(result)
    for face in faces:
        top, bottom, left, right = neighbourhood(face["quad"], before.shape)
        row = [("input", face["crop"]), ("inversion by g_rendering", face["inversion"]),
               ("portrait by g_real", face["portrait"]), ("soft mask", face["mask"][top:bottom, left:right]),
               ("in the picture: before", before[top:bottom, left:right]),
               ("in the picture: after", after[top:bottom, left:right])]  # fmt: skip
        rows.append(row)
        for name in ("crop", "inversion", "portrait", "mask"):
            write_png(folder / f"face{face['face']}_{name}.png", face[name])
        with written_atomically(folder / f"face{face['face']}_w_plus.npz") as unfinished:
            np.savez(unfinished, w_plus=face["w_plus"])
        entries.append({k: v for k, v in face.items() if k not in PIXELS})
    rows.append([("before", before), ("after", after)])
    written = write_original(folder / "composite", picture.original, result)
    write_png(folder / "sheet.png", contact_sheet(rows))
    return written.name, entries


def neighbourhood(quad, shape):
    """(top, bottom, left, right) of the picture around a face crop, a tenth of its side larger on every side."""
    xs, ys = [p[0] for p in quad], [p[1] for p in quad]
    pad = 0.1 * (max(xs) - min(xs))
    top, bottom = max(int(min(ys) - pad), 0), min(int(max(ys) + pad), shape[0])
    left, right = max(int(min(xs) - pad), 0), min(int(max(xs) + pad), shape[1])
    return top, bottom, left, right


def find_pictures(inputs):
    """[(path, name)] for files and folders, in order; the names of two equal stems keep their suffix."""
    paths = []
    for item in map(Path, inputs):
        if item.is_dir():
            inside = sorted(p for p in item.iterdir() if p.suffix.lower() in PICTURES)
            if not inside:
                raise click.ClickException(f"{item}: holds no pictures ({', '.join(sorted(PICTURES))})")
            paths += inside
        else:
            paths.append(item)
    stems = [path.stem for path in paths]
    return [(path, path.stem if stems.count(path.stem) == 1 else path.name) for path in paths]


def which_faces(context, parameter, value):
    """--faces: "all", "largest" or an index as a number."""
    if value in ("all", "largest"):
        return value
    if not value.isdecimal():
        raise click.BadParameter("write largest, all, or the index of a face (0 is the largest)")
    return int(value)


def given_faces(landmarks, quad, pictures):
    """path -> arguments of `find_faces` for the faces that --landmarks or --quad point out, as a function."""
    if landmarks is None and quad is None:
        return lambda path: {}
    from alignment import AlignmentError, read_landmarks
    from alignment.crop import check_quad

    if landmarks is not None and quad is not None:
        raise click.ClickException("--landmarks and --quad both say where the face is; give one of them")
    try:
        if quad is not None:
            points = {None: check_quad([quad[i : i + 2] for i in range(0, 8, 2)])}
        else:
            points = read_landmarks(landmarks)
    except (AlignmentError, ValueError) as error:
        raise click.ClickException(f"--quad: {error}" if quad is not None else f"--landmarks: {error}") from error
    if None in points and len(pictures) > 1:
        remedy = "name one INPUT, or name the pictures in the --landmarks file"
        raise click.ClickException(f"the face of one picture is given, but there are several pictures; {remedy}")
    kind = "quad" if quad is not None else "landmarks"
    return lambda path: {kind: points.get(path.name, points.get(None))}


@click.command(help=__doc__, context_settings={"max_content_width": 110})
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="INPUT...")
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Output folder.")
@click.option("--weights", "folder", type=click.Path(file_okay=False), help="Folder with g_real, g_rendering, "
              "perceptual and parser .safetensors.  [default: the embedded demo bundle]")  # fmt: skip
@click.option("--faces", default="all", show_default=True, metavar="largest|all|INDEX", callback=which_faces,
              help="Which faces of a picture; 0 is the largest.")  # fmt: skip
@click.option("--landmarks", type=click.Path(path_type=Path), metavar="FILE", help="JSON: the 68 landmarks of a face, "
              "of a list of faces, or {picture's file name: these}; replaces the detector.")  # fmt: skip
@click.option("--quad", type=float, nargs=8, metavar="X Y ...", help="The square around the one face: its top-left, "
              "bottom-left, bottom-right and top-right corner in pixels; replaces the detector.")  # fmt: skip
@click.option("--blend", default="harmonized", type=click.Choice(["harmonized", "paper", "poisson"]),
              show_default=True, help="paper: Eq. 5 exactly. harmonized: colours and position fitted to the picture, "
              "things in front of the face kept. poisson: gradients only.")  # fmt: skip
@click.option("--steps", default=500, show_default=True, type=click.IntRange(1), help="Steps of the inversion.")
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(inputs, out, folder, faces, landmarks, quad, blend, steps, device):
    try:
        pictures = find_pictures(inputs)
        given = given_faces(landmarks, quad, pictures)
    except click.ClickException as error:
        error.exit_code = 2
        raise
    import torch
    from tqdm import tqdm

    import weights
    from alignment import AlignmentError, PictureError, find_faces, read_picture, to_rgb8, write_png
    from postprocess.sheet import contact_sheet

    started = time.perf_counter()
    device = weights.pick_device(device)
    try:
        bundle = load_bundle(folder, device)
    except weights.WeightsError as error:
        failure = click.ClickException(str(error))
        failure.exit_code = 2
        raise failure from error
    size = bundle.g_real.img_resolution
    if folder is None:
        click.echo(f"using the embedded demo weights ({size}x{size}); real ones: see README, --weights")

    entries, overview, failed = [], [], 0
    bar = tqdm(total=len(pictures) * steps, unit="step", dynamic_ncols=True)
    for index, (path, name) in enumerate(pictures):
        bar.set_description(name[:24])
        entry = {"input": str(path), "output": name}
        try:
            source = read_picture(path)
            for note in source.notes:
                bar.write(f"{path}: {note}")
            found = find_faces(source.pixels, faces, **given(path))
            result, done = project_picture(
                source, bundle, found, steps, blend,
                on_step=lambda step, lpips: (bar.update(), bar.set_postfix(lpips=f"{lpips.mean():.4f}", refresh=False)),
            )  # fmt: skip
            composite_name, reports = write_results(out / name, source, result, done)
            entry |= {"notes": list(source.notes), "composite": composite_name, "faces": reports}
            for face in entry["faces"]:
                for warning in face["warnings"]:
                    bar.write(f"{path}: {warning}")
            overview.append([("input", source.pixels), ("result", to_rgb8(result)),
                             ("face: input", done[0]["crop"]), ("face: result", done[0]["portrait"])])  # fmt: skip
        except (PictureError, AlignmentError, OSError) as error:
            message = str(error) if str(path) in str(error) else f"{path}: {error}"
            bar.write(f"error: {message}")
            entry["error"] = message
            failed += 1
        bar.n = (index + 1) * steps
        bar.refresh()
        entries.append(entry)
    bar.close()

    used = {name: {"file": str(file), "sha256": weights.sha256(file)} for name, file in bundle.files.items()}
    report = {
        "pictures": entries,
        "weights": used,
        "settings": {"steps": steps, "blend": blend, "faces": faces, "device": device, "resolution": size},
        "seconds": time.perf_counter() - started,
        "versions": {"torch": torch.__version__},
    }
    with written_atomically(out / "report.json") as unfinished:
        unfinished.write_text(json.dumps(report, indent=1))
    if overview:
        write_png(out / "sheet.png", contact_sheet(overview))
        click.echo(f"{len(overview)} of {len(pictures)} pictures done; look at {out / 'sheet.png'}")
    if failed:
        raise SystemExit(1 if overview else 2)


if __name__ == "__main__":
    main()
