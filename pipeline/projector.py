"""From a picture to the picture with real faces: find, align, invert, regenerate, and finish (register, parse,
restore, composite).

`invert_faces` is the slow half and its result, `Inverted`, can be kept; `finish_picture` is the fast one and can be
called again with other settings. `Projector` is both with a bundle at hand.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from .bundle import load_bundle
from .presets import DEFAULT, Finish, chosen
from .results import FaceResult, Measured, Result
from .warnings import face_warnings, worn_shares


class NotFinite(Exception):
    """The networks gave numbers that are not finite."""


@dataclass(frozen=True)
class Inverted:
    """The faces of one picture, each drawn by both generators from one w+."""

    picture: object  # the alignment.Picture
    found: list  # of alignment.Found, N faces
    crops: object  # uint8 [N, R, R, 3], what was inverted
    reconstructions: object  # the same by g_rendering
    portraits: object  # the same by g_real
    w_plus: object  # float32 [N, num_ws, w_dim], NumPy
    lpips: list  # [N], between crops and reconstructions
    seconds: float  # per face
    tuned: bool  # whether the inversion ended with pivotal tuning


class Projector:
    """The whole of Fig. 2(b) as one object (see pipeline/__init__.py).

    weights: folder as for `--weights`. preset, steps, blend: as the options of the command. A picture is a path, an
    alignment.Picture, a NumPy array (uint8 or uint16, [H, W] or [H, W, C]) or a PIL image.
    """

    def __init__(self, weights=None, device="auto", preset=DEFAULT, steps=None, **finish):
        from machine.device import pick_device

        preset = chosen(preset, steps)
        self.bundle = load_bundle(weights, pick_device(device))
        self.schedule = preset.schedule
        self.settings = replace(preset.finish, **finish)

    def __call__(self, picture, faces="all", start=None, on_step=None):
        """A Result. Raises alignment.PictureError or AlignmentError, naming the file."""
        picture = read(picture)
        return self.finish(self.invert(picture, self.find(picture, faces), start, on_step))

    def find(self, picture, faces="all", **given):
        """The faces of a picture, [alignment.Found], the largest first. given: landmarks or quad of
        alignment.find_faces. Raises AlignmentError where there is none."""
        from alignment import AlignmentError, find_faces

        try:
            return find_faces(read(picture).pixels, faces, **given)
        except AlignmentError as error:
            raise AlignmentError(f"{picture}: {error}" if isinstance(picture, str | Path) else str(error)) from error

    def invert(self, picture, found, start=None, on_step=None):
        """Their Inverted, by the projector's schedule. start: w+ to begin with. on_step(step, lpips [N])."""
        return invert_faces(read(picture), found, self.bundle, self.schedule, start, on_step)

    def finish(self, inverted, **finish):
        """The Result of an Inverted; finish: what is to be another than the projector's own."""
        return finish_picture(inverted, self.bundle, replace(self.settings, **finish))


def read(picture):
    """An alignment.Picture of what the Python interface takes for a picture."""
    from alignment import Picture, as_picture, read_picture

    if isinstance(picture, Picture):
        return picture
    return read_picture(picture) if isinstance(picture, str | Path) else as_picture(picture)


def invert_faces(picture, found, bundle, schedule, start=None, on_step=None):
    """Align, invert into g_rendering (Eq. 4), regenerate with g_real: the Inverted of the faces `found` in a Picture.

    schedule: an inversion.Schedule. start: w+ to begin with, [N or 1, num_ws, w_dim], or None. on_step(step, lpips [N])
    is called after every step. Raises AlignmentError for a quad beside the picture.
    """
    import numpy as np
    import torch

    import inversion
    from alignment import AlignmentError, crop_face
    from alignment.tensors import to_pixels, to_tensor
    from losses.resize import comparable

    try:
        crops = np.stack([crop_face(picture.pixels, face.quad, bundle.size) for face in found])  # [N, R, R, 3]
    except ValueError as error:  # a quad that was given, beside the picture
        raise AlignmentError(f"{error}; check --quad or --landmarks") from error
    started = time.perf_counter()
    target = to_tensor(crops, bundle.device)
    inverted = inversion.invert(
        bundle.g_rendering, target, bundle.perceptual, schedule, start=start, on_step=on_step
    )
    with torch.no_grad():
        lpips = bundle.perceptual(comparable(target), comparable(inverted.image))
        portraits = inversion.regenerate(bundle.g_real, inverted, bundle.g_rendering)
    for numbers in (lpips, inverted.w_plus, inverted.image, portraits):
        if not torch.isfinite(numbers).all():
            raise NotFinite("the networks gave numbers that are not finite; check the weights, or use float32")
    return Inverted(
        picture=picture,
        found=found,
        crops=crops,
        reconstructions=to_pixels(inverted.image),
        portraits=to_pixels(portraits),
        w_plus=inverted.w_plus.cpu().numpy(),
        lpips=lpips.tolist(),
        seconds=(time.perf_counter() - started) / len(found),
        tuned=inverted.generators is not None,
    )


def finish_picture(inverted, bundle, finish=None):
    """Register, parse, restore, composite (Eq. 5), measure: the Result of an Inverted. finish: None = the default."""
    from alignment import crop_face, to_rgb8

    finish = finish or Finish()
    composite, placed = put_back(inverted, bundle, finish)
    pixels = to_rgb8(composite)
    results = [crop_face(pixels, face.quad, bundle.size) for face in inverted.found]
    faces = [
        FaceResult(
            measured=measure(inverted, i, placed[i], results[i], bundle, finish),
            crop=inverted.crops[i],
            inversion=inverted.reconstructions[i],
            portrait=inverted.portraits[i],
            result=results[i],
            mask=placed[i].mask,
            w_plus=inverted.w_plus[i : i + 1],
        )
        for i in range(len(inverted.found))
    ]
    return Result(inverted, composite, faces)


@dataclass(frozen=True)
class Placed:
    """How one portrait was put into its picture."""

    registration: dict  # "move", "refused"
    worn: dict  # {class: share of the crop} of glasses and hats
    hidden: float  # share of the face that something lies in front of
    mask: object  # uint8 [H, W]


def put_back(inverted, bundle, finish):
    """(samples of the form of picture.original.samples, [Placed, one a face]): the portraits in their picture."""
    import numpy as np

    from alignment import Registration, crop_face, register
    from alignment.tensors import to_tensor
    from postprocess.compositing import composite
    from postprocess.masks import face_mask, in_front
    from postprocess.parsing import parse

    picture, crops, portraits = inverted.picture, inverted.crops, inverted.portraits
    quads = [face.quad for face in inverted.found]

    # Register the features on those of the input; where its detail is kept, they stay where they are
    if finish.blend == "paper" or finish.detail:
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
    samples, placed = picture.original.samples, []
    for i in reversed(range(len(quads))):
        samples, soft = composite(
            samples,
            portraits[i],
            labels[i],
            places[i].quad,
            under[i],
            finish.blend,
            inverted.reconstructions[i],
            finish.detail,
            finish.strength,
        )
        placed.append(
            Placed(
                registration={"move": places[i].move, "refused": places[i].refused},
                worn=worn_shares(under[i]),
                hidden=float(in_front(labels[i], under[i]).sum() / max(face_mask(labels[i]).sum(), 1)),
                mask=np.ceil(soft * 255).clip(0, 255).astype(np.uint8),  # 0 only where nothing changed
            )
        )
    return samples, placed[::-1]


def measure(inverted, i, placed, result, bundle, finish):
    """The Measured of face i, whose crop of the finished picture is `result`, with the warnings that follow from
    it (warnings.py)."""
    from alignment import yaw
    from alignment.crop import quad_side
    from metrics.identity import embedding, identity_distance

    face = inverted.found[i]
    measured = Measured(
        face=face.index,
        box=face.box and [round(float(v), 1) for v in face.box],
        quad=face.quad.round(2).tolist(),
        side=round(quad_side(face.quad), 1),
        size=len(inverted.crops[i]),
        yaw=None if face.landmarks is None else round(yaw(face.landmarks), 1),
        seconds=inverted.seconds,
        tuned=inverted.tuned,
        detail=finish.detail,
        lpips=inverted.lpips[i],
        identity=identity_distance(embedding(inverted.crops[i]), embedding(result)),
        registration=placed.registration,
        hidden=placed.hidden,
        worn=placed.worn,
    )
    return replace(measured, warnings=face_warnings(measured, bundle.limits))
