"""Make rendered faces real: a portrait, a display image or a folder in, photo-real portraits and composites out.

    python project.py avatar.png -o out
    python project.py samples -o out

For every picture: OUT/NAME/composite.png, OUT/NAME/sheet.png and, for each face N, faceN_crop.png, faceN_inversion.png,
faceN_portrait.png, faceN_mask.png and faceN_w_plus.npz; OUT/report.json says what was done and how well.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import click

from weights.files import written_atomically

PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
POOR_LPIPS = 0.05  # a reconstruction this far from its crop is reported; the samples reach about 0.01


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


def project_picture(picture, bundle, steps=500, on_step=None):
    """Fig. 2(b) for all faces of one picture, uint8 [H, W, 3].

    Returns (composite uint8 [H, W, 3], faces): one dict a face, largest first. Raises alignment.AlignmentError when the
    picture holds no face.
    """
    import numpy as np
    import torch

    from alignment import AlignmentError, crop_face, detect_faces, ffhq_quad
    from inversion import latent_optimization
    from postprocess.compositing import composite, face_mask
    from postprocess.parsing import parse

    # Align
    found = detect_faces(picture)
    if not found:
        raise AlignmentError("no face found; use a picture with a frontal face of at least 40 pixels")
    size = bundle.g_real.img_resolution
    quads = [ffhq_quad(face.landmarks) for face in found]
    crops = np.stack([crop_face(picture, quad, size) for quad in quads])  # [N, R, R, 3]

    # Invert into g_rendering (Eq. 4), regenerate with g_real: same latent, its own noise
    started = time.perf_counter()
    inversion = latent_optimization(
        bundle.g_rendering, to_tensor(crops, bundle.device), bundle.perceptual, steps=steps, on_step=on_step
    )
    seconds = (time.perf_counter() - started) / len(found)
    with torch.no_grad():
        portraits = bundle.g_real.synthesis(inversion.w_plus, noise_mode="const")
        masks = face_mask(parse(bundle.parser, portraits).cpu().numpy())  # [N, R, R]
        lpips = bundle.perceptual(to_tensor(crops, bundle.device), inversion.image).tolist()
    reconstructions, portraits = to_pixels(inversion.image), to_pixels(portraits)

    # Composite (Eq. 5), the largest face last so that it lies on top
    result, faces = picture, []
    for i in reversed(range(len(found))):
        result, soft = composite(result, portraits[i], masks[i], quads[i])
        faces.append(
            {
                "box": [round(float(v), 1) for v in found[i].box],
                "quad": quads[i].round(2).tolist(),
                "lpips": lpips[i],
                "noise": inversion.history[-1]["noise"][i],
                "seconds": seconds,
                "warnings": face_warnings(lpips[i], quads[i], size),
                "crop": crops[i],
                "inversion": reconstructions[i],
                "portrait": portraits[i],
                "mask": (soft * 255).round().astype(np.uint8),
                "w_plus": inversion.w_plus[i : i + 1].cpu().numpy(),
            }
        )
    return result, faces[::-1]


def face_warnings(lpips, quad, size):
    """What a user should look at twice, in words."""
    import numpy as np

    warnings = []
    if lpips > POOR_LPIPS:
        warnings.append(f"poor reconstruction (LPIPS {lpips:.2f}): the portrait may not be the same person")
    side = float(np.linalg.norm(quad[3] - quad[0]))
    if side > 2 * size:
        warnings.append(f"the face is {side:.0f} pixels wide but the generator draws {size}: expect a soft result")
    return warnings


def to_tensor(pixels, device):
    """uint8 [N, R, R, 3] -> float32 [N, 3, R, R] in [-1, 1]."""
    import torch

    return (torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous()


def to_pixels(images):
    """float [N, 3, R, R] in [-1, 1] -> uint8 [N, R, R, 3]."""
    return ((images + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()


def write_results(folder, picture, result, faces):
    """Write the pictures and latents of one input into `folder`; returns the report entries of its faces."""
    import numpy as np

    from alignment import write_png
    from postprocess.sheet import contact_sheet

    folder.mkdir(parents=True, exist_ok=True)
    rows, entries = [], []
    for i, face in enumerate(faces):
        top, bottom, left, right = neighbourhood(face["quad"], picture.shape)
        row = [("input", face["crop"]), ("inversion by g_rendering", face["inversion"]),
               ("portrait by g_real", face["portrait"]), ("soft mask", face["mask"][top:bottom, left:right]),
               ("in the picture: before", picture[top:bottom, left:right]),
               ("in the picture: after", result[top:bottom, left:right])]  # fmt: skip
        rows.append(row)
        for name in ("crop", "inversion", "portrait", "mask"):
            write_png(folder / f"face{i}_{name}.png", face[name])
        with written_atomically(folder / f"face{i}_w_plus.npz") as unfinished:
            np.savez(unfinished, w_plus=face["w_plus"])
        entries.append({k: face[k] for k in ("box", "quad", "lpips", "noise", "seconds", "warnings")})
    rows.append([("before", picture), ("after", result)])
    write_png(folder / "composite.png", result)
    write_png(folder / "sheet.png", contact_sheet(rows))
    return entries


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


@click.command(help=__doc__, context_settings={"max_content_width": 110})
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="INPUT...")
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Output folder.")
@click.option("--weights", "folder", type=click.Path(file_okay=False), help="Folder with g_real, g_rendering, "
              "perceptual and parser .safetensors.  [default: the embedded demo bundle]")  # fmt: skip
@click.option("--steps", default=500, show_default=True, type=click.IntRange(1), help="Steps of the inversion.")
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(inputs, out, folder, steps, device):
    try:
        pictures = find_pictures(inputs)
    except click.ClickException as error:
        error.exit_code = 2
        raise
    import torch
    from tqdm import tqdm

    import weights
    from alignment import AlignmentError, PictureError, read_picture, write_png
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
            result, faces = project_picture(
                source.pixels, bundle, steps,
                on_step=lambda step, lpips: (bar.update(), bar.set_postfix(lpips=f"{lpips.mean():.4f}", refresh=False)),
            )  # fmt: skip
            entry |= {"notes": list(source.notes), "faces": write_results(out / name, source.pixels, result, faces)}
            for face in entry["faces"]:
                for warning in face["warnings"]:
                    bar.write(f"{path}: {warning}")
            overview.append([("input", source.pixels), ("result", result), ("face: input", faces[0]["crop"]),
                             ("face: result", faces[0]["portrait"])])  # fmt: skip
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
        "settings": {"steps": steps, "device": device, "resolution": size},
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
