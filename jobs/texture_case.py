"""What a refinement of a texture reads: a mesh, its texture, a picture of the person, its camera, its skin."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import click

LAYERS = {1: [0, 0, 0], 2: [0, 0, 0], 3: [0, 1, 2], 4: [0, 1, 2]}  # of a file's samples, for red, green and blue


@dataclass(frozen=True)
class Paths:
    """What a refinement reads."""

    mesh: Path
    image: Path  # the picture of the person
    texture: Path | None = None  # None = the one that the mesh brings
    camera: Path | None = None  # JSON; None = solved from landmarks
    mask: Path | None = None  # white where the picture shows bare skin; None = by the face parser
    perceptual: Path | None = None  # weights; None = embedded
    parser: Path | None = None


@dataclass(frozen=True)
class Case:
    """What was read: the scene, and what is needed to write the result as the input was."""

    scene: object  # texture.Scene
    network: object  # of the features
    model: object  # texture.Model
    part: object  # the Part of it that is refined
    original: object  # alignment.Original of the texture
    camera_error: float | None  # pixels; None = the camera was given
    others: list = field(default_factory=list)  # as of texture.rasterize.render_picture, for the drawings
    inputs: dict = field(default_factory=dict)  # {name: SHA-256 of the file}


def check_mesh(mesh, texture=None):
    """Raise click.ClickException unless the mesh can be read, and brings a texture where none is given: worth knowing
    before a long run."""
    from texture import MeshError, read_model

    try:
        model = read_model(mesh)
    except MeshError as error:
        raise click.ClickException(str(error)) from error
    if texture is None and all(part.map is None for part in model.parts):
        raise click.ClickException(f"{mesh}: brings no texture; give one with --texture")


def load_case(paths, device="cpu"):
    """The Case of some Paths; everything is read and checked, and the camera solved. Raises click.ClickException."""
    import weights
    from alignment import AlignmentError, PictureError
    from texture import CameraError, MeshError

    try:
        return _load_case(paths, device)
    except (MeshError, CameraError, PictureError, AlignmentError, weights.WeightsError) as failure:
        message = str(failure) if ": " in str(failure) else f"{paths.image}: {failure}"
        raise click.ClickException(message) from failure


def _load_case(paths, device):
    import torch

    import weights
    from alignment import PictureError, read_picture, to_rgb8
    from losses.perceptual import load_perceptual
    from postprocess.parsing import load_parser
    from texture import CameraError, MeshError, Scene, read_camera, read_model, solve_camera
    from texture.skin import skin_mask

    model = read_model(paths.mesh)
    given = None if paths.texture is None else read_picture(paths.texture)
    picture = read_picture(paths.image).pixels
    camera = None if paths.camera is None else read_camera(paths.camera)
    if camera is not None and picture.shape[:2] != (camera.height, camera.width):
        raise CameraError(
            f"{paths.camera}: is for pictures of {camera.width} x {camera.height} pixels, but "
            f"{paths.image} has {picture.shape[1]} x {picture.shape[0]}"
        )
    if paths.mask is None:
        mask = skin_mask(picture, load_parser(paths.parser).to(device))
    else:
        mask = read_picture(paths.mask).pixels[..., 0] > 127
        if mask.shape != picture.shape[:2]:
            raise PictureError(f"{paths.mask}: must be as large as {paths.image}")
    network = load_perceptual(paths.perceptual).to(device, memory_format=torch.channels_last)

    several = len(model.parts) > 1
    if several or given is None:
        textures = [own_texture(model, part, needed=not several) for part in model.parts]
    else:
        textures = [None]
    drawn = {
        part: (model.mesh_of(part), to_rgb8(colours(own or given)))
        for part, own in zip(model.parts, textures, strict=True)
        if own or given
    }
    if not drawn:
        raise MeshError(f"{paths.mesh}: brings no texture; give one with --texture")
    error = None
    if camera is None:
        (mesh, pixels), *others = drawn.values()
        camera, error = solve_camera(mesh, pixels, picture, others)
        click.echo(f"camera solved: landmarks are met within {error:.1f} pixels (RMS)")
    part = model.choose(seen_pixels(model, camera, mask), paths.texture)
    texture = given or own_texture(model, part)
    if texture is None:
        raise MeshError(f"{paths.mesh}: {part.name}, which the picture shows, has no texture; give one with --texture")
    if several:
        name = part.name or "a nameless one"
        click.echo(f"{len(model.parts)} textures; the one of {name} is refined, and only its triangles are painted")
    scene = Scene(model.mesh_of(part), colours(texture), picture, camera, mask)
    others = [layer for other, layer in drawn.items() if other is not part]

    features = paths.perceptual or weights.DEMO / "perceptual.safetensors"
    files = {"mesh": paths.mesh, "texture": paths.texture, "image": paths.image, "perceptual": features}
    inputs = {name: weights.sha256(path) for name, path in files.items() if path is not None}
    inputs["mask"] = hashlib.sha256(mask.tobytes()).hexdigest()
    return Case(scene, network, model, part, texture.original, error, others, inputs)


def own_texture(model, part, needed=True):
    """The Picture that the part brings, or None; one that cannot be read matters only where it is `needed`."""
    from alignment import PictureError
    from texture import MeshError

    try:
        return model.texture_of(part)
    except (PictureError, MeshError):
        if needed:
            raise
        return None


def colours(picture):
    """uint8 or uint16 [H, W, 3] of a texture as it stands in its file: its alpha, if any, need not be opacity."""
    samples = picture.original.samples
    return samples[..., LAYERS[samples.shape[2]]]


def seen_pixels(model, camera, mask):
    """[parts]: how many pixels of the mask show each of the model's parts."""
    from texture import draw

    fragments = draw(model.mesh, camera)
    seen = fragments.face[fragments.covered & mask]
    return [int(part.faces[seen].sum()) for part in model.parts]
