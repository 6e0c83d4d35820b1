"""One texture refined: from files to files, with progress, going on where it was stopped.

scripts/refine_texture.py does this with photographs, project.py --mesh with the picture that it made.
"""

import json
import time
from dataclasses import asdict
from pathlib import Path

import click

from .texture_case import Paths, load_case

TURNTABLE = (-60, -30, 0, 30, 60)  # degrees from the first picture's own view


def refine_texture(paths, out, schedule, device="cpu"):
    """Refine a mesh's texture by pictures; writes OUT/texture.SUFFIX, visible.png, sheet.png and report.json, and
    camera.json (camera-2.json, ... of further pictures) where cameras had to be solved, mesh.glb where the mesh is
    glTF. Returns the texture.Refinement.

    A run that was stopped goes on. Raises click.ClickException, one line that names the file and the remedy.
    """
    from machine.locks import Busy, only_run_in
    from weights.files import remove_unfinished

    from .folder import cannot_write, check_writable

    started, out = time.perf_counter(), Path(out)
    case = load_case(paths, device)
    if paths.perceptual is None and schedule.rounds:
        click.echo("features by the embedded perceptual network; --perceptual vgg16.pth takes the paper's VGG-16")
    cameras = [shot.camera.world_to_camera.tolist() for shot in case.scene.shots]
    settings = asdict(schedule) | {"inputs": case.inputs, "cameras": cameras}
    check_writable(out)
    try:
        with only_run_in(out):
            remove_unfinished(out)
            unfinished = out / "unfinished.safetensors"
            state = read_state(unfinished, settings, case.scene.texture.shape[:2])
            result = refine_case(case, schedule, state, lambda state: write_state(unfinished, state, settings))
            written = write_case(case, result, out)
            report = {
                "settings": settings | {"device": device, "features": str(paths.perceptual or "embedded")},
                "texture": written.name,
                "part": case.part.name,
                "pictures": shown_by(case, result),
                "visible_share": float(result.visible.sum() / result.covered.sum()),
                "history": result.history,
                "seconds": time.perf_counter() - started,
            }
            write_report(out / "report.json", report)
            unfinished.unlink(missing_ok=True)
    except Busy as error:
        raise click.ClickException(str(error)) from error
    except ValueError as error:
        raise click.ClickException(str(error) if ": " in str(error) else f"{paths.mesh}: {error}") from error
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate" not in str(error) and "out of memory" not in str(error):
            raise
        raise click.ClickException(f"{paths.mesh}: too large for the memory there is; reduce its texture") from error
    except OSError as error:
        raise click.ClickException(cannot_write(error, out)) from error
    click.echo(f"wrote {written}; look at {out / 'sheet.png'}")
    return result


def refine_with_composite(out, composite, head, bundle, schedule):
    """The same with the composite that project.py wrote, and the networks of its bundle.

    head: the paths of mesh, texture and camera, the last two or None.
    """
    networks = {"perceptual": bundle.files["perceptual"], "parser": bundle.files["parser"]}
    cameras = (head["camera"],) if head["camera"] else ()
    paths = Paths(head["mesh"], (composite,), head["texture"], cameras, **networks)
    refine_texture(paths, out, schedule, bundle.device)


def refine_case(case, schedule, state=None, on_stage=None):
    """The texture.Refinement of a Case, with a bar of progress. state, on_stage: as of texture.refine."""
    from tqdm import tqdm

    from texture import refine
    from texture.pyramid import scales

    steps = len(scales(case.scene.texture.shape[:2])) * schedule.rounds * schedule.iterations
    done = len(state["history"]) * schedule.iterations if state else 0

    with tqdm(total=steps, initial=done, desc="texture", unit="step", dynamic_ncols=True, disable=not steps) as bar:

        def on_step(losses):
            bar.update()
            bar.set_postfix({name: f"{value:.4f}" for name, value in losses.items()}, refresh=False)

        return refine(case.scene, case.network, schedule, state=state, on_step=on_step, on_stage=on_stage)


def write_case(case, result, out):
    """Write the new texture as the old one was (JPEG, which loses: as PNG), the mesh that shows it where it is glTF,
    the mask of seen texels, cameras that were solved, and a sheet. Returns the texture's path."""
    import numpy as np

    from alignment import Original, write_original, write_png
    from texture.camera import write_camera

    old = case.original
    samples = np.dstack([result.texture, old.samples[..., 3:] if old.samples.shape[2] > 2 else old.samples[..., 1:]])
    if samples.shape == old.samples.shape and old.suffix not in (".jpg", ".jpeg", ".jpe", ".jfif"):
        original = old
    else:
        original = Original(samples)
    written = write_original(out / "texture", original, np.ascontiguousarray(samples))
    if case.model.document is not None:
        case.model.write_with(out / "mesh.glb", case.part, samples)
    for number, shot in enumerate(case.scene.shots if case.camera_errors else [], 1):
        write_camera(out / ("camera.json" if number == 1 else f"camera-{number}.json"), shot.camera)
    write_png(out / "visible.png", (result.visible * 255).astype("uint8"))
    write_png(out / "sheet.png", make_sheet(case, result))
    return written


def shown_by(case, result):
    """For the report, of each picture: its name, how well its solved camera fits, how far the head is turned in it,
    and the share of the mesh's texels that it shows."""
    shots = case.scene.shots
    columns = zip(shots, case.camera_errors or [None] * len(shots), result.turns, result.shares, strict=True)
    return [
        {"image": shot.name, "reprojection_error_pixels": error, "turn_degrees": turn, "visible_share": share}
        for shot, error, turn, share in columns
    ]


def write_report(path, report):
    import torch

    from weights.files import written_atomically

    with written_atomically(path) as unfinished:
        unfinished.write_text(json.dumps(report | {"versions": {"torch": torch.__version__}}, indent=1))


def read_state(path, settings, size):
    """The state of an unfinished run with the same settings, for a texture of `size` (H, W), or None; says so where
    there is one that is damaged."""
    import torch
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            if json.loads(metadata["settings"]) != settings:
                return None
            history = json.loads(metadata["history"])
            if file.get_slice("texture").get_shape() != [1, 3, *size]:
                raise ValueError("a texture of another size")
            texture = file.get_tensor("texture")
        if not (isinstance(history, list) and all(isinstance(stage, dict) for stage in history)):
            raise ValueError("no history")
        if texture.dtype != torch.float32 or not torch.isfinite(texture).all():
            raise ValueError("no texture")
        return {"texture": texture, "history": history}
    except (SafetensorError, ValueError, LookupError, TypeError, RecursionError, OSError) as error:
        click.echo(f"{path}: damaged ({type(error).__name__}); the refinement starts anew")
        return None


def write_state(path, state, settings):
    from safetensors.torch import save_file

    from weights.files import written_atomically

    metadata = {"settings": json.dumps(settings), "history": json.dumps(state["history"])}
    with written_atomically(path) as unfinished:
        save_file({"texture": state["texture"].contiguous()}, unfinished, metadata=metadata)


def make_sheet(case, result):
    """Renders before and after beside each picture, their difference, textures, and a turntable of both."""
    import numpy as np

    from alignment import to_rgb8
    from alignment.sheet import contact_sheet
    from texture.rasterize import render_picture

    scene = case.scene
    before, after, sampled, start = map(to_rgb8, (scene.texture, result.texture, result.sampled, result.start))
    pictures = []
    for shot in scene.shots:
        old, new = (render_picture(scene.mesh, shot.camera, t, others=case.others) for t in (before, after))
        difference = np.abs(new.astype(int) - old).clip(0, 85).astype(np.uint8) * 3
        shown = {"picture": shot.picture, "before": old, "after": new, "difference x 3": difference}
        pictures.append(list(shown.items()))
    textures = [("texture before", before), ("texture after", after), ("seen in the pictures", sampled)]
    middle, camera = scene.mesh.vertices.mean(0), scene.shots[0].camera
    turns = [
        [
            (f"{when}, {angle} degrees", render_picture(scene.mesh, view, texture, others=case.others))
            for angle, view in ((angle, camera.turned(middle, right=angle)) for angle in TURNTABLE)
        ]
        for when, texture in (("before", before), ("after", after))
    ]
    return contact_sheet([*pictures, [*textures, ("first guess", start)], *turns])
