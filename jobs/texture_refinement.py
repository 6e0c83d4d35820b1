"""One texture refined: the files of a run, its progress, and how it goes on where it was stopped.

scripts/refine_texture.py does this with a photograph, project.py --mesh with the picture that it made.
"""

import json
import time

TURNTABLE = (-60, -30, 0, 30, 60)  # degrees from the picture's own view


def refine_texture(out, mesh, texture, picture, camera, mask, network, *, rounds, iterations, files, facts):
    """Refine, and write OUT/texture.png, visible.png, sheet.png and report.json; returns the texture.Refinement.

    mesh: texture.Mesh. texture, picture: uint8 [H, W, 3] and [h, w, 3]. mask: bool [h, w], the picture's bare skin.
    network: of losses/perceptual.py. files: {role: path} of what the run is made from, by which a stopped run is
    recognised. facts: what else belongs into the report. Raises ValueError when the picture shows nothing of the mesh.
    """
    import torch
    from tqdm import tqdm

    import weights
    from alignment import write_png
    from texture import refine
    from texture.refine import scales
    from weights.files import written_atomically

    started = time.perf_counter()
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

    with bar:
        result = refine(mesh, texture, picture, camera, network, mask=mask, rounds=rounds, iterations=iterations,
                        state=state, on_step=on_step,
                        on_stage=lambda state: write_state(unfinished, state, settings))  # fmt: skip

    write_png(out / "texture.png", result.texture)
    write_png(out / "visible.png", (result.visible * 255).astype("uint8"))
    write_png(out / "sheet.png", make_sheet(mesh, camera, picture, texture, result))
    report = {
        "settings": settings,
        **facts,
        "turn_degrees": result.turn,
        "visible_share": float(result.visible.sum() / result.covered.sum()),
        "history": result.history,
        "seconds": time.perf_counter() - started,
        "versions": {"torch": torch.__version__},
    }
    with written_atomically(out / "report.json") as path:
        path.write_text(json.dumps(report, indent=1))
    unfinished.unlink(missing_ok=True)
    return result


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

    from postprocess.sheet import contact_sheet
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
