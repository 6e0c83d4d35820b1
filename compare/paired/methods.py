"""Our method, the paper's baselines and its ablations, each as a results folder of the common form
(compare/systems.py).

restored      the default: what the generators disagree on, applied to the portrait
composited    the same as project.py puts it into a picture, in the tones around the face
redrawn       the same inversion drawn by g_real
ours          invert into g_rendering (Eq. 4), draw with g_real
direct        invert into g_real: the paper's main baseline
guided        invert into g_real under Eqs. 1 and 2 (Sec. 5.3.2)
full, no_sketch, no_color, no_identity    ours with g_rendering fine-tuned with both losses, without one, with none
              (scripts/paper/ablation_losses.py; all four equally long, which is not how long g_rendering was tuned)
input         do nothing
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

import weights
from alignment.tensors import to_pixels, to_tensor
from weights import roles

ABLATIONS = {
    "full": "with both losses",
    "no_sketch": "without Eq. 1",
    "no_color": "without Eq. 2",
    "no_identity": "without Eqs. 1 and 2",
}


@dataclass(frozen=True)
class Method:
    """name: of its row and folder. source: what it does, with its settings. draw(target [N, 3, R, R], on_step) -> the
    results, the same shape. files: {role: path} of the weights that are used. steps: how often it calls on_step."""

    name: str
    source: str
    draw: Callable
    files: dict = field(default_factory=dict)
    steps: int = 0


def framework_methods(bundle, steps):
    """ours, direct and guided with the networks of a bundle (pipeline.load_bundle)."""
    from inversion import guided, latent_optimization, regenerate
    from sketch.checkpoints import load_sketch_extractor
    from training.config import identity_specs

    files = bundle.files
    sketch = sketch_file(Path(files["g_real"]).parent)
    losses = identity_settings(files["g_rendering"])
    specs = dict(zip(("sketch", "color"), identity_specs(losses), strict=True))
    extractor = load_sketch_extractor(sketch).to(bundle.device)

    def inverted(invert, generator, **settings):
        def draw(target, on_step):
            found = invert(generator, target, bundle.perceptual, steps=steps, on_step=on_step, **settings)
            return regenerate(bundle.g_real, found)

        return draw

    direct = {role: files[role] for role in ("g_real", "perceptual")}
    said = ", ".join(f"{key} {value}" for key, value in losses.items())
    return [
        Method(
            name="ours",
            source=f"Eq. 4 into g_rendering, drawn by g_real; {steps} steps",
            draw=inverted(latent_optimization, bundle.g_rendering),
            files=direct | {"g_rendering": files["g_rendering"]},
            steps=steps,
        ),
        Method(
            name="direct",
            source=f"Eq. 4 into g_real; {steps} steps",
            draw=inverted(latent_optimization, bundle.g_real),
            files=direct,
            steps=steps,
        ),
        Method(
            name="guided",
            source=f"Eqs. 1 and 2 into g_real; {steps} steps; {said}",
            draw=inverted(guided, bundle.g_real, extractor=extractor, **specs),
            files=direct | {"sketch": sketch},
            steps=steps,
        ),
    ]


def finished_methods(bundle, steps):
    """One inversion by the default preset of project.py, finished in three ways: `restored`, the whole portrait under
    the change of style; `composited`, the portrait as a picture that project.py changes, with mask and harmonisation;
    and `redrawn`, what g_real draws. steps: no more than these."""
    from pipeline.presets import DEFAULT, PRESETS

    preset, inversions = PRESETS[DEFAULT], {}
    schedule = preset.schedule.at_most(steps)
    begun = " from the encoder's w+" if bundle.asks(schedule) else ""

    def by(finish):
        def draw(target, on_step):
            return finished(bundle, schedule, finish, inversions, target, on_step)

        return draw

    said = {
        "restored": ("the whole portrait under the change of style", restored_portrait),
        "composited": (", ".join(f"{k} {v}" for k, v in asdict(preset.finish).items() if v is not None), composited),
        "redrawn": ("drawn by g_real", lambda inverted, bundle: inverted.portraits[0]),
    }
    return [
        Method(name, f"{described(schedule)}{begun}; {how}", by(finish), bundle.used(schedule), schedule.length)
        for name, (how, finish) in said.items()
    ]


def finished(bundle, schedule, finish, inversions, target, on_step):
    """[N, 3, R, R]: each portrait inverted, and finish(Inverted, bundle) -> uint8 [R, R, 3]. inversions: {pixels:
    Inverted}, what is known already; new ones are added."""
    from alignment import Found, as_picture
    from pipeline import invert_faces

    results = []
    for pixels in to_pixels(target):
        side, key = len(pixels), pixels.tobytes()
        if key not in inversions:
            whole = np.array([[0, 0], [0, side], [side, side], [side, 0]]) - 0.5  # the square of all pixels
            inversions[key] = invert_faces(
                as_picture(pixels), [Found(0, None, whole)], bundle, schedule, on_step=on_step
            )
        results.append(finish(inversions[key], bundle))
    return to_tensor(np.stack(results), bundle.device)


def restored_portrait(inverted, bundle):
    """The portrait itself under the change of style, without a mask: uint8 [R, R, 3]."""
    from postprocess.masks import foreign
    from postprocess.parsing import parse
    from postprocess.restoration import change_of_style, restored

    crop, portrait = inverted.picture.pixels.astype(np.float32), inverted.portraits[0]
    pair = to_tensor(np.stack([portrait, inverted.picture.pixels]), bundle.device)
    labels, under = parse(bundle.parser, pair).cpu().numpy()
    change = change_of_style(portrait, inverted.reconstructions[0], labels)
    known = 1 - foreign(labels, under)[..., None]
    result = crop + known * (restored(crop, portrait.astype(np.float32), change, 1.0) - crop)
    return np.clip(np.rint(result), 0, 255).astype(np.uint8)


def composited(inverted, bundle):
    """The portrait as a picture of its own, as project.py changes it by default: uint8 [R, R, 3]."""
    from pipeline import finish_picture

    return finish_picture(inverted, bundle).composite


def tuned_methods(bundle, steps):
    """What g_real alone draws after pivotal tuning: ours_tuned is carried over to it, direct_tuned is what the tuned
    g_real itself draws. steps: no more than these."""
    from inversion import Schedule, Tuning, invert, regenerate

    files, schedule = bundle.files, Schedule(100, tuning=Tuning(100, lr=1e-3)).at_most(steps)

    def ours(target, on_step):
        found = invert(bundle.g_rendering, target, bundle.perceptual, schedule, on_step=on_step)
        return regenerate(bundle.g_real, found, bundle.g_rendering)

    def direct(target, on_step):
        return invert(bundle.g_real, target, bundle.perceptual, schedule, on_step=on_step).image

    networks, said = {role: files[role] for role in ("g_real", "perceptual")}, described(schedule)
    return [
        Method(
            name="ours_tuned",
            source=f"into g_rendering, carried over to g_real; {said}",
            draw=ours,
            files=networks | {"g_rendering": files["g_rendering"]},
            steps=schedule.length,
        ),
        Method(name="direct_tuned", source=f"into g_real; {said}", draw=direct, files=networks, steps=schedule.length),
    ]


def described(schedule):
    """A Schedule in words."""
    return f"{schedule.steps} steps of Eq. 4, {schedule.length - schedule.steps} of pivotal tuning"


def ablation_methods(bundle, steps, folder):
    """ours with each generator that lies in an output folder of scripts/paper/ablation_losses.py.

    Raises WeightsError when one was not fine-tuned from the bundle's g_real, or none is there.
    """
    from inversion import latent_optimization, regenerate
    from stylegan2.checkpoints import load_generator

    methods = []
    for name, said in ABLATIONS.items():
        path = Path(folder) / name / "snapshot.safetensors"
        if not path.is_file():
            continue
        if not same_latents(load_generator(path), bundle.g_real):
            raise weights.WeightsError(f"{path}: was not fine-tuned from {bundle.files['g_real']}; train the ablation "
                                       "from that g_real, or leave out --ablation")  # fmt: skip

        def draw(target, on_step, path=path):
            generator = load_generator(path).to(bundle.device)
            found = latent_optimization(generator, target, bundle.perceptual, steps=steps, on_step=on_step)
            return regenerate(bundle.g_real, found)

        files = {"g_real": bundle.files["g_real"], "g_rendering": path, "perceptual": bundle.files["perceptual"]}
        source = f"Eq. 4 into g_rendering fine-tuned {said}, drawn by g_real; {steps} steps"
        methods.append(Method(name, source, draw, files, steps))
    if not methods:
        raise weights.WeightsError(f"{folder}: holds no full/snapshot.safetensors or the like; make it with "
                                   "scripts/paper/ablation_losses.py")  # fmt: skip
    return methods


def untouched():
    """The method that does nothing."""
    return Method("input", "the rendered portrait as it is", lambda target, on_step: target)


def sketch_file(folder):
    """The sketch extractor of a folder of weights, or else the embedded one."""
    try:
        return roles.find(folder, "sketch")
    except weights.WeightsError:
        return roles.find(None, "sketch")


def identity_settings(g_rendering):
    """Eqs. 1 to 3 as g_rendering was trained with according to its file, as keys of its configuration; what the file
    does not say is the paper's."""
    from training.config import TrainingConfig

    keys = ("sketch_weight", "sketch_size", "sketch_reduction", "color_weight", "color_size", "color_kernel",
            "color_sigma")  # fmt: skip
    trained = weights.card(g_rendering).get("config", {}) if weights.is_native(g_rendering) else {}
    return {key: trained.get(key, getattr(TrainingConfig, key)) for key in keys}


def same_latents(generator, g_real):
    """Whether both have the same mapping network, which fine-tuning leaves alone; up to the rounding of a file in half
    precision."""
    ours, theirs = generator.mapping.state_dict(), {k: v.cpu() for k, v in g_real.mapping.state_dict().items()}
    if ours.keys() != theirs.keys() or any(ours[key].shape != theirs[key].shape for key in ours):
        return False
    return all((ours[key] - theirs[key]).norm() <= 2e-3 * theirs[key].norm() + 1e-6 for key in ours)
