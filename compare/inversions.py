"""Inversion methods by name, and a folder of aligned portraits through one of them.

The results are a folder of the common form (made.py), with `reconstructions/` beside them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from jobs.inputs import find_pictures
from jobs.results import fingerprint
from weights.files import printable

from .made import Made
from .systems import System


def in_w_plus(generator, target, perceptual, **options):
    from inversion import latent_optimization

    return latent_optimization(generator, target, perceptual, **options)


def in_w(generator, target, perceptual, **options):
    from inversion import latent_optimization

    return latent_optimization(generator, target, perceptual, space="w", **options)


def image2stylegan(generator, target, perceptual, **options):
    from inversion import image2stylegan

    return image2stylegan(generator, target, perceptual, **options)


def pivotal_tuning(generator, target, perceptual, *, steps, **options):
    """The search for the pivot takes `steps` too, and 450 where they are the method's own; the tuning ends early, at
    the published LPIPS, only where that is VGG's."""
    from inversion import pivotal_tuning
    from losses.perceptual import VGGPerceptual

    pivot_steps = 450 if steps == METHODS["pivotal_tuning"].steps else steps
    stop = 0.06 if isinstance(perceptual, VGGPerceptual) else 0.0  # other networks have another scale
    return pivotal_tuning(generator, target, perceptual, steps=steps, pivot_steps=pivot_steps, stop=stop, **options)


def tuned_optimization(generator, target, perceptual, *, steps, **options):
    """Half of the steps each."""
    from inversion import Schedule, Tuning, invert

    schedule = Schedule((steps + 1) // 2, tuning=Tuning(max(steps // 2, 1), lr=1e-3))
    return invert(generator, target, perceptual, schedule, **options)


def encoder(generator, target, network, **options):
    from inversion import encode

    return encode(network, generator, target, **options)


@dataclass(frozen=True)
class Method:
    """An inversion method by name."""

    source: str  # the paper
    steps: int  # when nothing else is asked for
    invert: Callable  # (generator, target [N, 3, R, R], network, *, steps, on_step) -> Inversion


OPTIMISATIONS = {  # their network is a perceptual one
    "latent_optimization": Method("Karras et al. 2020, in W+ (Eq. 4)", 500, in_w_plus),
    "latent_optimization_w": Method("Karras et al. 2020, in W", 500, in_w),
    "image2stylegan": Method("Abdal, Qin and Wonka 2019", 1000, image2stylegan),
    "pivotal_tuning": Method("Roich et al. 2021", 350, pivotal_tuning),
    "tuned_optimization": Method(
        "ours: Eq. 4, then pivotal tuning, carried over to the drawing generator", 200, tuned_optimization
    ),
}
ENCODERS = {  # their network is the encoder
    "psp": Method("Richardson et al. 2021", 1, encoder),
    "e4e": Method("Tov et al. 2021", 1, encoder),
    "restyle": Method("Alaluf, Patashnik and Cohen-Or 2021", 5, encoder),
}
METHODS = OPTIMISATIONS | ENCODERS


def aligned_pictures(folder):
    """[(path, name)] of a folder of aligned portraits; raises ClickException where there are none, or names clash."""
    if not Path(folder).is_dir():
        raise click.ClickException(f"{printable(folder)}: no such folder; give a folder of aligned portraits")
    pictures = find_pictures([folder])
    for path, name in pictures:
        if name != path.stem:
            raise click.ClickException(
                f"{printable(path)}: its results cannot have its name, which another picture, a report or a file "
                "system claims; rename it"
            )
    return pictures


def read_aligned(path, size=None):
    """An aligned portrait as uint8 [size, size, 3], None = as large as it is; raises PictureError for what is no square
    picture."""
    import numpy as np
    from PIL import Image

    from alignment import PictureError, read_picture

    pixels = read_picture(path).pixels
    height, width = pixels.shape[:2]
    if height != width:
        raise PictureError(
            f"{printable(path)}: {width} x {height} pixels, not an aligned square; align it first (project.py)"
        )
    if size in (None, width):
        return pixels
    image = Image.fromarray(pixels)
    if width % size == 0:
        return np.array(image.reduce(width // size))
    return np.array(image.resize((size, size), Image.Resampling.LANCZOS))


@dataclass(frozen=True)
class Inverter:
    """A method with everything it needs."""

    method: str  # of METHODS
    generator: object  # into which
    network: object  # the method's perceptual network, or its encoder
    checkpoint: dict  # {role: SHA-256} of all networks used
    steps: int | None = None  # None = the method's own
    draw: object = None  # the generator that draws the latents, as in the paper; None = `generator`, or its tuned copy

    @property
    def settings(self):
        """What its results depend on, beyond the pictures."""
        steps = METHODS[self.method].steps if self.steps is None else self.steps
        return {"method": self.method, "steps": steps, "checkpoint": self.checkpoint}


def invert_folder(inverter, pictures, out, bar=None):
    """Invert every picture and write `out/NAME.png`, `out/reconstructions/NAME.png`, system.json and report.json.

    NAME.png never uses the noise an optimisation found (Sec. 3.3); the reconstruction is what the method itself
    reached.

    pictures: [(path, name)]. bar: a tqdm over steps. What was made of the same bytes with the same settings is not made
    again. A picture that cannot be used is named and skipped. Returns the report's entries, in order: "input", "output"
    and "seconds", or "error". Raises ClickException where `out` cannot be written, or is a folder of the inputs.
    """
    from alignment import PictureError, write_png
    from jobs.folder import check_writable

    settings = inverter.settings
    system = System(inverter.method, METHODS[inverter.method].source, inverter.checkpoint)
    made = Made(Path(out), system, settings, ("", "reconstructions"))
    written = {(made.folder / part).resolve() for part in made.parts}
    for path, _ in pictures:
        if path.resolve().parent in written:
            raise click.ClickException(f"{printable(path)}: lies where results are written; give another output folder")
    check_writable(made.folder)
    prints = {name: fingerprint(path, settings) for path, name in pictures}
    entries = made.still_good(prints)
    for index, (path, name) in enumerate(pictures):
        if name not in entries:
            entry = {"input": str(path), "output": name}
            try:
                started = time.perf_counter()
                images = _invert(inverter, path, bar)
                seconds = time.perf_counter() - started
                for file, pixels in zip(made.files(name), images, strict=True):
                    write_png(file, pixels)
                entry |= {"fingerprint": prints[name], "seconds": seconds}
            except (PictureError, OSError) as error:
                entry["error"] = printable(error if str(path) in str(error) else f"{path}: {error}", 1000)
                if bar is not None:
                    bar.write(f"error: {entry['error']}")
            entries[name] = entry
            made.record(entries)
        entries[name] |= {"input": str(path)}  # it may have been moved since
        if bar is not None:
            bar.n = (index + 1) * settings["steps"]
            bar.refresh()
    made.record(entries)
    return [entries[name] for _, name in pictures]


def _invert(inverter, path, bar):
    """(result, reconstruction) of one picture, uint8 [2, R, R, 3]."""
    import torch

    from alignment.tensors import to_pixels, to_tensor
    from inversion.regeneration import changed_alike

    method, generator, steps = inverter.method, inverter.generator, inverter.settings["steps"]
    pixels = read_aligned(path, None if method in ENCODERS else generator.img_resolution)
    target = to_tensor(pixels[None], generator.mapping.w_avg.device)  # [1, 3, H, H]
    on_step = None if bar is None else lambda step, distance: bar.update()
    inversion = METHODS[method].invert(generator, target, inverter.network, steps=steps, on_step=on_step)
    with torch.no_grad():
        draw = inverter.draw
        if draw is None:
            draw = generator if inversion.generators is None else inversion.generators[0]
        elif method == "tuned_optimization":
            draw = changed_alike(draw, generator, inversion.generators[0])
        images = torch.cat([draw.synthesis(inversion.w_plus, noise_mode="const"), inversion.image])
    return to_pixels(images)
