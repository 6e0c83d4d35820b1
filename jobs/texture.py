"""One texture refined: from files to files, with progress, going on where it was stopped.

scripts/refine_texture.py does this with a photograph, project.py --mesh with the picture that it made.
"""

import json
import time

import click

TURNTABLE = (-60, -30, 0, 30, 60)  # degrees from the picture's own view


def refine_texture(out, mesh_path, texture_path, image_path, camera_path=None, mask_path=None, *, perceptual=None,
                   parser=None, rounds=5, iterations=150, device="cpu"):  # fmt: skip
    """Refine a mesh's texture by a picture; writes OUT/texture.png, visible.png, sheet.png and report.json, and
    camera.json where a camera had to be solved. Returns the texture.Refinement.

    All inputs are paths; mask_path: white where the picture shows bare skin, None = by the face parser. perceptual,
    parser: weights, None = embedded. A run that was stopped goes on. Raises click.ClickException, one line that names
    the file and the remedy.
    """
    import torch
    from tqdm import tqdm

    import weights
    from alignment import AlignmentError, PictureError, read_picture, write_png
    from losses.perceptual import load_perceptual
    from postprocess.parsing import load_parser
    from texture import CameraError, MeshError, read_camera, read_mesh, refine, solve_camera
    from texture.camera import write_camera
    from texture.refine import scales
    from texture.skin import skin_mask
    from weights.files import written_atomically

    started = time.perf_counter()
    try:
        mesh = read_mesh(mesh_path)
        texture, picture = read_picture(texture_path).pixels, read_picture(image_path).pixels
        network = load_perceptual(perceptual).to(device, memory_format=torch.channels_last)
        error = None
        if camera_path is None:
            camera, error = solve_camera(mesh, texture, picture)
            write_camera(out / "camera.json", camera)
            click.echo(f"camera solved: landmarks are met within {error:.1f} pixels (RMS)")
        else:
            camera = read_camera(camera_path)
        if picture.shape[:2] != (camera.height, camera.width):
            raise CameraError(f"{camera_path}: is for pictures of {camera.width} x {camera.height} pixels, but "
                              f"{image_path} has {picture.shape[1]} x {picture.shape[0]}")  # fmt: skip
        if mask_path is None:
            mask = skin_mask(picture, load_parser(parser).to(device))
        else:
            mask = read_picture(mask_path).pixels[..., 0] > 127
            if mask.shape != picture.shape[:2]:
                raise PictureError(f"{mask_path}: must be as large as {image_path}")
    except (MeshError, CameraError, PictureError, AlignmentError, weights.WeightsError) as failure:
        message = str(failure) if ": " in str(failure) else f"{image_path}: {failure}"
        raise click.ClickException(message) from failure
    if perceptual is None:
        click.echo("features by the embedded perceptual network; --perceptual vgg16.pth takes the paper's VGG-16")

    features = perceptual or weights.DEMO / "perceptual.safetensors"
    files = {"mesh": mesh_path, "texture": texture_path, "image": image_path, "perceptual": features}
    inputs = {name: weights.sha256(path) for name, path in files.items()}
    shown = {"mask": int(mask.sum()), "camera": camera.world_to_camera.tolist()}
    settings = {"rounds": rounds, "iterations": iterations, "inputs": inputs, **shown}
    unfinished = out / "unfinished.safetensors"
    state = read_state(unfinished, settings)
    steps = rounds * len(scales(texture.shape[:2])) * iterations
    bar = tqdm(total=steps, initial=len(state["history"]) * iterations if state else 0, desc="texture", unit="step",
               dynamic_ncols=True)  # fmt: skip

    def on_step(losses):
        bar.update()
        bar.set_postfix({name: f"{value:.4f}" for name, value in losses.items()}, refresh=False)

    try:
        with bar:
            result = refine(mesh, texture, picture, camera, network, mask=mask, rounds=rounds, iterations=iterations,
                            state=state, on_step=on_step,
                            on_stage=lambda state: write_state(unfinished, state, settings))  # fmt: skip
    except ValueError as failure:
        raise click.ClickException(f"{image_path}: {failure}") from failure

    write_png(out / "texture.png", result.texture)
    write_png(out / "visible.png", (result.visible * 255).astype("uint8"))
    write_png(out / "sheet.png", make_sheet(mesh, camera, picture, texture, result))
    report = {
        "settings": settings | {"device": device, "features": str(perceptual or "embedded")},
        "reprojection_error_pixels": error,
        "turn_degrees": result.turn,
        "visible_share": float(result.visible.sum() / result.covered.sum()),
        "history": result.history,
        "seconds": time.perf_counter() - started,
        "versions": {"torch": torch.__version__},
    }
    with written_atomically(out / "report.json") as path:
        path.write_text(json.dumps(report, indent=1))
    unfinished.unlink(missing_ok=True)
    click.echo(f"wrote {out / 'texture.png'}; look at {out / 'sheet.png'}")
    return result


def refine_with_results(out, results, mesh_path, texture_path, camera_path, bundle, rounds):
    """The same with the composite that project.py wrote into the folder `results`, and the networks of its bundle."""
    (composite,) = results.glob("composite.*")
    refine_texture(
        out,
        mesh_path,
        texture_path,
        composite,
        camera_path,
        perceptual=bundle.files["perceptual"],
        parser=bundle.files["parser"],
        rounds=rounds,
        device=bundle.device,
    )


def read_state(path, settings):
    """The state of an unfinished run with the same settings, or None."""
    from safetensors import safe_open

    if not path.is_file():
        return None
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        if json.loads(metadata["settings"]) != settings:
            return None
        return {"texture": file.get_tensor("texture"), "history": json.loads(metadata["history"])}


def write_state(path, state, settings):
    from safetensors.torch import save_file

    from weights.files import written_atomically

    metadata = {"settings": json.dumps(settings), "history": json.dumps(state["history"])}
    with written_atomically(path) as unfinished:
        save_file({"texture": state["texture"].contiguous()}, unfinished, metadata=metadata)


def make_sheet(mesh, camera, picture, before, result):
    """Textures and renders before and after, their difference, and a turntable of both."""
    import numpy as np

    from alignment.sheet import contact_sheet
    from texture.rasterize import render_picture

    views = [camera.turned(mesh.vertices.mean(0), right=angle) for angle in TURNTABLE]
    old, new = ([render_picture(mesh, view, t) for view in views] for t in (before, result.texture))
    middle = TURNTABLE.index(0)
    difference = np.abs(new[middle].astype(int) - old[middle]).clip(0, 85).astype(np.uint8) * 3
    return contact_sheet([
        [("picture", picture), ("before", old[middle]), ("after", new[middle]), ("difference x 3", difference)],
        [("texture before", before), ("texture after", result.texture), ("seen in the picture", result.sampled),
         ("first guess", result.start)],
        [(f"before, {angle} degrees", pixels) for angle, pixels in zip(TURNTABLE, old, strict=True)],
        [(f"after, {angle} degrees", pixels) for angle, pixels in zip(TURNTABLE, new, strict=True)],
    ])  # fmt: skip
