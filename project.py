"""Make rendered faces real: a portrait, a display image or a folder in, photo-real portraits and composites out.

    python project.py avatar.png -o out
    python project.py samples -o out
    python project.py frames -o out --sequence
    python project.py avatar.png -o out --mesh head.obj --texture skin.png

For every picture: OUT/NAME/composite.SUFFIX of the picture's own format, OUT/NAME/sheet.png and, for each face N,
faceN_crop.png, faceN_inversion.png, faceN_portrait.png, faceN_mask.png and faceN_w_plus.npz; OUT/results.html,
OUT/sheet.png and OUT/report.json show and say what was done and how well. With --mesh, OUT/texture/ holds the avatar's
texture, refined with the composite (scripts/refine_texture.py). The same command again does what is missing.
"""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click

NETWORKS = ("g_real", "g_rendering", "perceptual", "parser")
EXISTING = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True)
class Bundle:
    """The networks of one run, all frozen, on one device; files: {name: path} of where they came from; limits: what
    warnings go by (jobs/quality.py)."""

    g_real: object
    g_rendering: object
    perceptual: object
    parser: object
    device: str
    files: dict
    limits: dict


@dataclass(frozen=True)
class Result:
    """One picture done. picture: the alignment.Picture. composite: samples of the form of picture.original.samples.
    faces: one dict a face, largest first: "crop", "inversion", "portrait", "mask" (uint8), "w_plus" and numbers."""

    picture: object
    composite: object
    faces: list

    def save(self, folder):
        """Write what the command writes for a picture into `folder`; returns (composite's name, report entries)."""
        from jobs.results import write_results

        return write_results(Path(folder), self.picture, self.composite, self.faces)


class Projector:
    """The whole of Fig. 2(b) as one object:

        projector = Projector()                      # the embedded weights, on the GPU where there is one
        result = projector("avatar.png")
        result.save("out")

    weights: folder as for `--weights`. preset, steps, blend: as the options of the command. Calling it with a path (or
    an alignment.Picture) returns a Result; raises alignment.PictureError or AlignmentError, naming the file.
    """

    def __init__(self, weights=None, device="auto", preset="fast", steps=None, blend="harmonized"):
        from inversion.presets import chosen
        from weights import pick_device

        self.bundle = load_bundle(weights, pick_device(device))
        self.schedule = chosen(preset, steps)
        self.blend = blend

    def __call__(self, picture, faces="all", start=None, on_step=None):
        from alignment import AlignmentError, find_faces, read_picture

        if isinstance(picture, str | Path):
            path, picture = picture, read_picture(picture)
            try:
                found = find_faces(picture.pixels, faces)
            except AlignmentError as error:
                raise AlignmentError(f"{path}: {error}") from error
        else:
            found = find_faces(picture.pixels, faces)
        return project_picture(picture, self.bundle, found, self.schedule, self.blend, start, on_step)


def load_bundle(folder=None, device="cpu"):
    """Load g_real, g_rendering, perceptual and parser from a folder of native files; None = the embedded bundle."""
    import torch

    import weights
    from jobs.quality import load_calibration
    from losses.perceptual import load_perceptual
    from postprocess.parsing import load_parser
    from stylegan2.checkpoints import load_generator

    folder = Path(folder or weights.DEMO)
    files = {name: folder / f"{name}.safetensors" for name in NETWORKS}
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
    return Bundle(**networks, device=device, files=files, limits=load_calibration(folder))


def project_picture(picture, bundle, found, schedule, blend="harmonized", start=None, on_step=None):
    """Fig. 2(b) for the faces `found` (by alignment.find_faces) of one alignment.Picture; returns a Result.

    schedule: of inversion/presets.py. start: w+ to begin with, [N or 1, num_ws, w_dim], or None.
    """
    import numpy as np
    import torch

    from alignment import AlignmentError, crop_face
    from inversion import invert

    # Align
    size = bundle.g_real.img_resolution
    try:
        crops = np.stack([crop_face(picture.pixels, face.quad, size) for face in found])  # [N, R, R, 3]
    except ValueError as error:  # a quad that was given, beside the picture
        raise AlignmentError(f"{error}; check --quad or --landmarks") from error

    # Invert into g_rendering (Eq. 4)
    started = time.perf_counter()
    target = to_tensor(crops, bundle.device)
    inversion = invert(bundle.g_rendering, target, bundle.perceptual, start=start, on_step=on_step, **schedule)
    seconds = (time.perf_counter() - started) / len(found)
    with torch.no_grad():
        lpips = bundle.perceptual(target, inversion.image).tolist()
    reconstructions = to_pixels(inversion.image)

    # Regenerate with g_real, register, parse, composite (Eq. 5)
    portraits = regenerate(bundle, inversion)
    result, placed = put_back(picture, portraits, crops, [face.quad for face in found], bundle, blend)
    faces = []
    for i, face in enumerate(found):
        measured = measure_face(face, lpips[i], crops[i], portraits[i], placed[i], bundle, "tuning" in schedule)
        faces.append({
            "face": face.index,
            "box": face.box and [round(float(v), 1) for v in face.box],
            "quad": face.quad.round(2).tolist(),
            "seconds": seconds,
            "registration": placed[i]["registration"],
            **measured,
            "crop": crops[i],
            "inversion": reconstructions[i],
            "portrait": portraits[i],
            "mask": placed[i]["mask"],
            "w_plus": inversion.w_plus[i : i + 1].cpu().numpy(),
        })  # fmt: skip
    return Result(picture, result, faces)


def measure_face(face, lpips, crop, portrait, placed, bundle, tuned):
    """How well a face went: numbers and the warnings that follow from them (jobs/quality.py)."""
    from alignment import yaw
    from alignment.crop import quad_side
    from jobs.quality import face_warnings
    from metrics.identity import embedding, identity_distance

    measured = {
        "tuned": tuned,
        "lpips": lpips,
        "identity": identity_distance(embedding(crop), embedding(portrait)),
        "yaw": None if face.landmarks is None else round(yaw(face.landmarks), 1),
        "side": round(quad_side(face.quad), 1),
        "size": len(crop),
        "hidden": placed["in_front"],
        "worn": placed["worn"],
    }
    return measured | {"warnings": face_warnings(measured, bundle.limits)}


def regenerate(bundle, inversion):
    """The portraits g_real draws of an Inversion into g_rendering (inversion/regeneration.py): uint8 [N, R, R, 3]."""
    import inversion as methods

    return to_pixels(methods.regenerate(bundle.g_real, inversion, bundle.g_rendering))


def put_back(picture, portraits, crops, quads, bundle, blend):
    """Register, parse, composite (Eq. 5): N portraits into their picture, the largest face first.

    portraits, crops: uint8 [N, R, R, 3]. quads: [4, 2] each, where the crops were cut. Returns (samples of the form of
    picture.original.samples, one dict a face: "registration", "in_front", the share of the face that something hides,
    "worn", {class: share of the crop} of glasses and hats, and "mask", uint8 [H, W]).
    """
    import numpy as np

    from alignment import Registration, crop_face, register
    from jobs.quality import worn_shares
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
            "worn": worn_shares(under[i]),
            "in_front": float(in_front(labels[i], under[i]).sum() / max(face_mask(labels[i]).sum(), 1)),
            "mask": np.ceil(soft * 255).clip(0, 255).astype(np.uint8),  # 0 only where nothing changed
        })  # fmt: skip
    return result, placed[::-1]


def to_tensor(pixels, device):
    """uint8 [N, R, R, 3] -> float32 [N, 3, R, R] in [-1, 1]."""
    import torch

    return (torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous()


def to_pixels(images):
    """float [N, 3, R, R] in [-1, 1] -> uint8 [N, R, R, 3]."""
    return ((images + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()


def read_start(path, bundle):
    """--init: w+ [N, num_ws, w_dim] of a `w_plus.npz`; raises ClickException, naming the file."""
    from training.loop import load_w_plus

    try:
        return load_w_plus(path, bundle.g_rendering).float().to(bundle.device)
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def which_faces(context, parameter, value):
    """--faces: "all", "largest" or an index as a number."""
    if value in ("all", "largest"):
        return value
    if not value.isdecimal():
        raise click.BadParameter("write largest, all, or the index of a face (0 is the largest)")
    return int(value)


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
@click.option("--sequence", is_flag=True, help="The pictures, in the order of the numbers in their names, are frames "
              "of one turntable or video: faces are followed, steadied, inverted from the frame before.")  # fmt: skip
@click.option(
    "--preset",
    default="fast",
    type=click.Choice(["paper", "fast", "best"]),
    show_default=True,
    help="paper: 500 steps of Eq. 4. fast: 100, and 100 of pivotal tuning. best: 120, and 300 finer.",
)
@click.option("--steps", type=click.IntRange(1), help="So many steps of Eq. 4 instead of a preset.")
@click.option("--init", type=click.Path(path_type=Path), metavar="FILE", help="w_plus.npz to start from, not the mean "
              "latent.")  # fmt: skip
@click.option("--mesh", type=EXISTING, help="Head mesh with UVs of the avatar in the one picture: refine its --texture "
              "with the result.")  # fmt: skip
@click.option("--texture", type=EXISTING, help="The mesh's present texture.")
@click.option("--camera", type=EXISTING, help="JSON; of the picture and --mesh.  [default: solved from landmarks]")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="Of the texture's refinement.")
@click.option("--compile", "compiled", is_flag=True, help="torch.compile the networks of the inversion first.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(0),
              help="Threads that read and align the next pictures meanwhile.")  # fmt: skip
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(inputs, out, folder, faces, landmarks, quad, blend, sequence, preset, steps, init, compiled, mesh, texture,
         camera, rounds, workers, device):  # fmt: skip
    from jobs.inputs import find_pictures, given_faces, natural_order
    from jobs.texture_refinement import refine_with_results

    try:
        if (mesh is None) != (texture is None) or (camera and mesh is None):
            raise click.ClickException("--mesh and --texture (and --camera) belong together")
        if sequence and int(os.environ.get("WORLD_SIZE", 1)) > 1:
            raise click.ClickException("--sequence goes from frame to frame; start it without torchrun")
        pictures = find_pictures(inputs)
        if mesh is not None and len(pictures) != 1:
            raise click.ClickException(f"--mesh belongs to one picture, but there are {len(pictures)}")
        pictures = natural_order(pictures) if sequence else pictures
        given = given_faces(landmarks, quad, pictures)
        run(pictures, given, out, folder, faces, blend, sequence, preset, steps, init, compiled, workers, device)
        if mesh is not None:
            refine_with_results(out / "texture", out / pictures[0][1], mesh, texture, camera, folder, rounds, device)
    except click.ClickException as error:
        error.exit_code = 2
        raise


def run(pictures, given, out, folder, faces, blend, sequence, preset, steps, init, compiled, workers, device):
    """All pictures, shared among the processes that torchrun started; the first writes report, sheet and page."""
    import torch
    from tqdm import tqdm

    import weights
    from alignment import AlignmentError, PictureError
    from inversion.compiled import compile_networks
    from inversion.presets import chosen
    from jobs.inputs import Separate, read_ahead
    from jobs.results import finished, write_entry, write_run
    from jobs.sequence import Sequence
    from training import distributed

    started = time.perf_counter()
    device = str(distributed.start(weights.pick_device(device)))
    rank, world_size = distributed.rank(), distributed.world_size()
    try:
        bundle = load_bundle(folder, device)
    except weights.WeightsError as error:
        raise click.ClickException(str(error)) from error
    size = bundle.g_real.img_resolution
    if folder is None and rank == 0:
        click.echo(f"using the embedded demo weights ({size}x{size}); real ones: see README, --weights")
    if compiled:
        problem = compile_networks(bundle.g_rendering, bundle.perceptual)
        if problem and rank == 0:
            click.echo(problem)
    schedule = chosen(preset, steps)
    start = None if init is None else read_start(init, bundle)
    used = {name: {"file": str(file), "sha256": weights.sha256(file)} for name, file in bundle.files.items()}
    settings = {
        "preset": preset if steps is None else None,
        **schedule,
        "blend": blend,
        "faces": faces,
        "resolution": size,
    }
    made_with = settings | {"weights": {name: file["sha256"] for name, file in used.items()}}
    made_with |= {"init": None if init is None else weights.sha256(init)}

    if sequence:
        work = Sequence(pictures, faces, given, schedule, start, bundle.g_rendering)
        work.prepare(workers)
    else:
        work = Separate(pictures[rank::world_size], faces, given, schedule, start)
    prints = work.fingerprints(made_with | work.settings)

    entries = []
    often = 0.1 if sys.stderr.isatty() else 10  # seconds: no flood of lines in a log file
    total = work.steps(len(work.pictures))
    bar = tqdm(total=total, unit="step", dynamic_ncols=True, disable=rank > 0, mininterval=often)

    def on_step(step, lpips):
        bar.update()
        bar.set_postfix(lpips=f"{lpips.mean():.4f}", refresh=False)

    waiting = [path for path, name in work.pictures if finished(out / name, prints[path]) is None]
    with read_ahead(waiting, work.search, workers) as aligned:
        for index, (path, name) in enumerate(work.pictures):
            bar.set_description(name[:24])
            entry = finished(out / name, prints[path])
            if entry is None:
                entry = {"input": str(path), "output": name, "fingerprint": prints[path]}
                try:
                    source, found = aligned(path)
                    notes = [*source.notes, *work.notes.get(path, [])]
                    for note in notes:
                        bar.write(f"{path}: {note}")
                    begin, following = work.begin(found)
                    result = project_picture(source, bundle, found, following, blend, begin, on_step)
                    composite_name, reports = result.save(out / name)
                    entry |= {"notes": notes, "composite": composite_name, "faces": reports}
                    write_entry(out / name, entry)
                    for face in reports:
                        for warning in face["warnings"]:
                            bar.write(f"{path}: {warning}")
                except (PictureError, AlignmentError, OSError) as error:
                    message = str(error) if str(path) in str(error) else f"{path}: {error}"
                    bar.write(f"error: {message}")
                    entry["error"] = message
            if "error" not in entry:
                work.keep(out / name, entry)
            bar.n = work.steps(index + 1)
            bar.refresh()
            entries.append(entry)
    bar.close()

    entries = distributed.gathered(entries)
    distributed.stop()
    failed = sum("error" in entry for entry in entries)
    if rank == 0:
        order = {name: position for position, (_, name) in enumerate(pictures)}
        entries.sort(key=lambda entry: order[entry["output"]])
        report = {
            "pictures": entries,
            "weights": used,
            "settings": settings | work.settings | {"device": device},
            "seconds": time.perf_counter() - started,
            "versions": {"torch": torch.__version__},
        }
        report |= work.summary(out, entries)
        write_run(out, report)
        if failed < len(pictures):
            click.echo(f"{len(pictures) - failed} of {len(pictures)} pictures done; look at {out / 'results.html'}")
    if failed:
        raise SystemExit(1 if failed < len(pictures) else 2)


if __name__ == "__main__":
    main()
