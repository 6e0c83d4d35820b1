"""From a picture to the picture with real faces: find, align, invert, regenerate, and finish (register, parse,
restore, composite).

`invert_faces` is the slow half and its result, `Inverted`, can be kept; `finish_picture` is the fast one and can be
called again with other settings. `Projector` is both with a bundle at hand.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from .bundle import NotFinite, load_bundle
from .presets import DEFAULT, Finish, chosen
from .results import FaceResult, Measured, Result
from .warnings import face_warnings, worn_shares


@dataclass(frozen=True)
class Inverted:
    """The faces of one picture, each drawn by both generators from one w+."""

    picture: object  # the alignment.Picture
    found: list  # of alignment.Found, N faces
    crops: object  # uint8 [N, R, R, 3], what was inverted
    reconstructions: object  # the same by g_rendering
    portraits: object  # the same by g_real
    w_plus: object  # float32 [N, num_ws, w_dim], NumPy; None of portraits made elsewhere
    lpips: list  # [N], between crops and reconstructions; of None where there is no such thing
    seconds: float  # per face
    tuned: bool  # whether the inversion ended with pivotal tuning
    differences: object = None  # float32 [N, R, R, 3], portraits less reconstructions in Oklab, if not just these
    edited: dict | None = None  # of portraits made elsewhere (external.py): "name", "moves" (registration, one a face)


class Projector:
    """The whole of Fig. 2(b) as one object (see pipeline/__init__.py).

    weights: folder as for `--weights`. preset, steps, g_rendering, blend: as the options of the command. A picture is a
    path, an alignment.Picture, a NumPy array (uint8 or uint16, [H, W] or [H, W, C]) or a PIL image.
    """

    def __init__(self, weights=None, device="auto", preset=DEFAULT, steps=None, g_rendering=None, **finish):
        from machine.device import pick_device

        preset = chosen(preset, steps)
        self.bundle = load_bundle(weights, pick_device(device), g_rendering)
        self.schedule = preset.schedule
        self.settings = replace(preset.finish, **finish)

    def __call__(self, picture, faces="all", start=None, on_step=None, portrait=None):
        """A Result. portrait: one made elsewhere, instead of an inversion (`edited`). Raises alignment.PictureError or
        AlignmentError, naming the file."""
        from alignment import AlignmentError

        path, picture = picture, read(picture)
        try:
            found = self.find(picture, faces)
        except AlignmentError as error:
            raise AlignmentError(f"{path}: {error}" if isinstance(path, str | Path) else str(error)) from error
        if portrait is not None:
            return self.finish(self.edited(picture, found, portrait))
        return self.finish(self.invert(picture, found, start, on_step))

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

    def edited(self, picture, found, portrait):
        """The Inverted of a portrait that was made elsewhere: the picture edited as a whole, or its face cut out."""
        from .external import from_edited

        name = portrait if isinstance(portrait, str | Path) else "the edited picture"
        return from_edited(read(picture), found, read(portrait), name)

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

    schedule: an inversion.Schedule. start, on_step: as for Bundle.invert.
    Raises AlignmentError for a quad beside the picture.
    """
    import numpy as np
    import torch

    from alignment import AlignmentError, crop_face
    from alignment.tensors import to_pixels, to_tensor
    from losses.resize import comparable

    try:
        crops = np.stack([crop_face(picture.pixels, face.quad, bundle.size) for face in found])  # [N, R, R, 3]
    except ValueError as error:  # a quad that was given, beside the picture
        raise AlignmentError(f"{error}; check --quad or --landmarks") from error
    started = time.perf_counter()
    target = to_tensor(crops, bundle.device)
    inverted, portraits = bundle.invert(target, schedule, start, on_step)
    with torch.no_grad():
        lpips = bundle.perceptual(comparable(target), comparable(inverted.image))
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
    prepared = prepare(inverted, bundle, to_register(inverted, finish))
    composite, placed = put_back(inverted, prepared, finish)
    pixels = to_rgb8(composite)
    size = inverted.crops.shape[1]
    finer = {"transform_size": 2 * size} if inverted.edited else {}  # as its crops were cut
    results = [crop_face(pixels, face.quad, size, **finer) for face in inverted.found]
    faces = [
        FaceResult(
            measured=measure(inverted, i, placed[i], results[i], bundle, finish.of(inverted.found[i].index)),
            crop=inverted.crops[i],
            inversion=inverted.reconstructions[i],
            portrait=inverted.portraits[i],
            result=results[i],
            mask=placed[i].mask,
            w_plus=None if inverted.w_plus is None else inverted.w_plus[i : i + 1],
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


@dataclass(frozen=True)
class Prepared:
    """One portrait before it is put into its picture: what strength, detail and blend do not change."""

    place: object  # alignment.Registration
    layers: object  # postprocess.compositing.Layers
    worn: dict  # {class: share of the crop} of glasses and hats
    hidden: float  # share of the face that something lies in front of


def to_register(inverted, finish):
    """(bool, one a face): are its features to be registered on those of the input? Where its detail is kept, they stay
    where they are."""
    settings = [finish.of(face.index) for face in inverted.found]
    return tuple(one.blend != "paper" and not one.detail and not inverted.edited for one in settings)


def prepare(inverted, bundle, registered):
    """[Prepared, one a face]: register, and parse the portraits and what they will cover. registered: of
    `to_register`."""
    import numpy as np

    from alignment import Registration, crop_face, register
    from alignment.tensors import to_tensor
    from postprocess.compositing import Layers
    from postprocess.masks import face_mask, foreign, in_front
    from postprocess.parsing import parse

    picture, crops, portraits = inverted.picture, inverted.crops, inverted.portraits
    faces = zip(portraits, crops, [face.quad for face in inverted.found], registered, strict=True)
    places = [register(*face) if wanted else Registration(face[2], 0.0) for *face, wanted in faces]
    beneath = [
        crop_face(picture.pixels, place.quad, len(crop), transform_size=4 * len(crop)) if place.moved else crop
        for place, crop in zip(places, crops, strict=True)
    ]
    labels = parse(bundle.parser, to_tensor(portraits, bundle.device)).cpu().numpy()  # [N, R, R]
    under = parse(bundle.parser, to_tensor(np.stack(beneath), bundle.device)).cpu().numpy()
    shape = picture.original.samples.shape[:2]
    return [
        Prepared(
            place=places[i],
            layers=Layers(
                portraits[i],
                labels[i],
                places[i].quad,
                shape,
                under[i],
                inverted.reconstructions[i],
                None if inverted.edited else foreign(labels[i], under[i]),
                None if inverted.differences is None else inverted.differences[i],
                recolour=not inverted.edited,
            ),
            worn=worn_shares(under[i]),
            hidden=float(in_front(labels[i], under[i]).sum() / max(face_mask(labels[i]).sum(), 1)),
        )
        for i in range(len(places))
    ]


def put_back(inverted, prepared, finish):
    """(samples of the form of picture.original.samples, [Placed, one a face]): the portraits in their picture, the
    largest last so that it lies on top. prepared: of `prepare`."""
    import numpy as np

    from postprocess.compositing import blended
    from postprocess.restoration import difference

    samples, placed = inverted.picture.original.samples, []
    for i in reversed(range(len(prepared))):
        ready, settings, change = prepared[i], finish.of(inverted.found[i].index), None
        if inverted.edited:
            crop = inverted.crops[i].astype(float)
            change = difference(inverted.portraits[i], crop + settings.detail * (inverted.reconstructions[i] - crop))
            settings = replace(settings, detail=1.0)
        samples, soft = blended(samples, ready.layers, settings.blend, settings.detail, settings.strength, change)
        placed.append(
            Placed(
                registration=inverted.edited["moves"][i]
                if inverted.edited
                else {"move": ready.place.move, "refused": ready.place.refused},
                worn=ready.worn,
                hidden=ready.hidden,
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
        edited=inverted.edited and inverted.edited["name"],
    )
    return replace(measured, warnings=face_warnings(measured, bundle.limits))
