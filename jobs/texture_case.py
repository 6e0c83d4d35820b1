"""What a refinement of a texture reads: a mesh, its texture, pictures of the person, their cameras, their skin."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

LAYERS = {1: [0, 0, 0], 2: [0, 0, 0], 3: [0, 1, 2], 4: [0, 1, 2]}  # of a file's samples, for red, green and blue


@dataclass(frozen=True)
class Paths:
    """What a refinement reads."""

    mesh: Path
    images: tuple  # of Path: pictures of the person, at least one
    texture: Path | None = None  # None = the one that the mesh brings
    cameras: tuple = ()  # one for each picture, JSON; none = solved from landmarks
    masks: tuple = ()  # one for each picture, white where it shows bare skin; none = by the face parser
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
    camera_errors: list | None  # of each picture, pixels; None = the cameras were given
    others: list = field(default_factory=list)  # as of texture.rasterize.render_picture, for the drawings
    inputs: dict = field(default_factory=dict)  # {name: SHA-256 of the file}


def check_mesh(mesh, texture=None, camera=None):
    """Raise click.ClickException unless the mesh, and its texture and camera where they are given, can be read, and
    the mesh brings a texture where none is given: worth knowing before a long run."""
    from alignment import PictureError, read_picture
    from texture import CameraError, MeshError, read_camera, read_model

    try:
        model = read_model(mesh)
        if texture is not None:
            read_picture(texture)
        if camera is not None:
            read_camera(camera)
    except (MeshError, PictureError, CameraError) as error:
        raise click.ClickException(str(error)) from error
    if texture is None and all(part.map is None for part in model.parts):
        raise click.ClickException(f"{mesh}: brings no texture; give one with --texture")


def load_case(paths, device="cpu"):
    """The Case of some Paths; everything is read and checked, and cameras are solved. Raises click.ClickException."""
    import weights
    from alignment import AlignmentError, PictureError
    from texture import CameraError, MeshError

    for option, given in (("camera", paths.cameras), ("mask", paths.masks)):
        if given and len(given) != len(paths.images):
            count = f"{len(paths.images)} --image, but {len(given)} --{option}"
            raise click.ClickException(f"{count}; give one for each, in the same order, or none")
    try:
        return _load_case(paths, device)
    except MemoryError:
        raise click.ClickException(f"{paths.mesh}: too large for the memory there is; reduce its textures") from None
    except (MeshError, CameraError, PictureError, AlignmentError, weights.WeightsError) as failure:
        raise click.ClickException(str(failure)) from failure


def _load_case(paths, device):
    import torch

    import weights
    from alignment import read_picture, to_rgb8
    from losses.perceptual import load_perceptual
    from texture import MeshError, Scene, read_model

    model = read_model(paths.mesh)
    given = None if paths.texture is None else read_picture(paths.texture)
    shots = read_shots(paths, device)
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
    errors = None
    if not paths.cameras:
        shots, errors = zip(*(solved(shot, list(drawn.values())) for shot in shots), strict=True)
    shown = [sum(pixels) for pixels in zip(*(seen_pixels(model, shot) for shot in shots), strict=True)]
    part = model.choose(shown, paths.texture)
    texture = given or own_texture(model, part)
    if texture is None:
        raise MeshError(f"{paths.mesh}: {part.name}, which the picture shows, has no texture; give one with --texture")
    if several:
        name = part.name or "a nameless one"
        click.echo(f"{len(model.parts)} textures; the one of {name} is refined, and only its triangles are painted")
    scene = Scene(model.mesh_of(part), colours(texture), shots)
    own = [drawn[other] for other, texture in zip(model.parts, textures, strict=True) if texture and other is not part]

    features = paths.perceptual or weights.DEMO / "perceptual.safetensors"
    files = {"mesh": paths.mesh, "texture": paths.texture, "perceptual": features}
    inputs = {name: weights.sha256(path) for name, path in files.items() if path is not None}
    inputs["images"] = [weights.sha256(path) for path in paths.images]
    inputs["masks"] = [hashlib.sha256(shot.mask.tobytes()).hexdigest() for shot in shots]
    return Case(scene, network, model, part, texture.original, errors, own, inputs)


def read_shots(paths, device):
    """[texture.Shot] of the Paths' pictures; the camera is None where it must be solved."""
    from alignment import AlignmentError, PictureError, read_picture
    from postprocess.parsing import load_parser
    from texture import CameraError, Shot, read_camera
    from texture.skin import skin_mask

    parser = None if paths.masks else load_parser(paths.parser).to(device)
    shots = []
    for number, image in enumerate(paths.images):
        picture, camera = read_picture(image).pixels, None
        if paths.cameras:
            camera = read_camera(paths.cameras[number])
            if picture.shape[:2] != (camera.height, camera.width):
                raise CameraError(
                    f"{paths.cameras[number]}: is for pictures of {camera.width} x {camera.height} pixels, but "
                    f"{image} has {picture.shape[1]} x {picture.shape[0]}"
                )
        if paths.masks:
            mask = read_picture(paths.masks[number]).pixels[..., 0] > 127
            if mask.shape != picture.shape[:2]:
                raise PictureError(f"{paths.masks[number]}: must be as large as {image}")
        else:
            try:
                mask = skin_mask(picture, parser)
            except AlignmentError as error:
                raise AlignmentError(f"{image}: {error}") from error
        shots.append(Shot(picture, camera, mask, str(image)))
    return shots


def solved(shot, drawn):
    """(the Shot with a camera, its reprojection error in pixels). drawn: (mesh, texture) of each painted part."""
    from texture import CameraError, solve_camera

    (mesh, pixels), *others = drawn
    try:
        camera, error = solve_camera(mesh, pixels, shot.picture, others)
    except CameraError as failure:
        raise CameraError(f"{shot.name}: {failure}") from failure
    click.echo(f"{shot.name}: camera solved; landmarks are met within {error:.1f} pixels (RMS)")
    return replace(shot, camera=camera), error


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


def seen_pixels(model, shot):
    """[parts]: how many pixels of a Shot's mask show each of the model's parts."""
    from texture import draw

    fragments = draw(model.mesh, shot.camera)
    seen = fragments.face[fragments.covered & shot.mask]
    return [int(part.faces[seen].sum()) for part in model.parts]
