"""From the picture to the texture: which texels the camera sees, and the picture's colours laid out flat.

A texel is seen when its triangle faces the camera, nothing lies before it in the z-buffer, and the picture shows skin
there. Colours are read with the picture's mipmaps by the size of the texel in pixels: true sampling of the picture at
the texel, not colours of the nearest vertex.
"""

from dataclasses import dataclass

import numpy as np
import torch

from .rasterize import doubled_area, draw, draw_texels, make_view, picture_of, render

FACING = 0.4  # least cosine between normal and direction to the camera ...
FACING_TURNED = 0.6  # ... and for a head turned away by more than TURNED degrees (FaceRefiner)
TURNED = 25.0
BEHIND = 0.004  # of the mesh's size: how far a texel may lie behind the z-buffer's surface and still be seen
CLOSING = 0.005  # of the texture's or picture's longer side: holes up to twice this are closed


@dataclass(frozen=True)
class Unwrapped:
    sampled: np.ndarray  # float32 [H, W, 3], 0 to 255: the picture's colours at covered texels, else 0
    visible: np.ndarray  # bool [H, W]: seen in the picture
    covered: np.ndarray  # bool [H, W]: texels that belong to the mesh
    pixels: np.ndarray  # bool [h, w]: pixels of the picture that show texels in the same sense


def unwrap(mesh, camera, picture, size, mask=None, facing=FACING):
    """Sample the picture, uint8 [h, w, 3], at every texel of a texture of `size` (H, W).

    mask: bool [h, w], the pixels that show the bare surface (no hair, cloth, eyes); None = all. facing: least cosine.
    Raises ValueError when the picture is not as large as the camera says, or no texel is seen.
    """
    if picture.shape[:2] != (camera.height, camera.width):
        raise ValueError(
            f"the camera is for pictures of {camera.width} x {camera.height} pixels, "
            f"but this one has {picture.shape[1]} x {picture.shape[0]}; give the picture the camera belongs to"
        )
    seen, texels = draw(mesh, camera), draw_texels(mesh, *size)
    towards = cosines(mesh, camera) > facing  # [F]
    mask = np.ones(picture.shape[:2], bool) if mask is None else mask
    shown = seen.covered & mesh.shows[seen.face]
    pixels = close(shown & towards[seen.face]) & shown & mask

    position, z = camera.project(texels.interpolate(mesh, mesh.vertices).reshape(-1, 3))  # [H * W, 2], [H * W]
    position, z = position.reshape(*size, 2), z.reshape(size)
    column = np.clip(np.floor(position[..., 0]), 0, camera.width - 1).astype(int)
    row = np.clip(np.floor(position[..., 1]), 0, camera.height - 1).astype(int)
    in_front = z > 1e-9
    framed = (position > 0).all(2) & (position < (camera.width, camera.height)).all(2) & in_front
    surface = 1 / np.maximum(seen.nearness[row, column], 1e-9)  # a pixel that shows nothing hides nothing
    unhidden = (z < surface + BEHIND * mesh.size) & framed
    visible = close(towards[texels.face] & unhidden & texels.covered) & texels.covered & framed & mask[row, column]
    if not visible.any():
        raise ValueError(
            "no texel is seen through this camera: check that camera and mesh belong together, and that "
            "the mesh's triangles wind counter-clockwise seen from outside"
        )

    # Sides of a texel in pixels, by triangle; read the picture's mipmaps accordingly
    projected, _ = camera.project(mesh.vertices)
    flat = np.abs(doubled_area(mesh.uv[mesh.faces])) * size[0] * size[1]
    area = np.abs(doubled_area(projected[mesh.faces])) / np.where(flat > 0, flat, np.inf)  # [F] square pixels a texel
    inside = texels.covered & in_front
    footprint = np.sqrt(area[texels.face[inside]]) / np.sqrt(camera.width * camera.height)
    view = make_view(inside, position[inside] / (camera.width, camera.height), footprint)
    source = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float()  # [1, 3, h, w]
    sampled = picture_of(render(source, view), view).permute(1, 2, 0).numpy()
    return Unwrapped(sampled, visible, texels.covered, pixels)


def cosines(mesh, camera):
    """float64 [F]: cosine between each triangle's normal and the direction from it to the camera."""
    direction = camera.centre - mesh.vertices[mesh.faces].mean(1)
    direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-300)
    return (mesh.face_normals() * direction).sum(1)


def turn(mesh, camera, texels):
    """How far the head is turned from the camera, degrees, positive to its own right; None where it cannot be told.

    A texture whose layout is its own mirror image shows which texels are left and right of each other: their mean
    difference in space is the head's axis from side to side, and the angle of the view to it is the turn.
    """
    if not mirrored_layout(texels.covered):
        return None
    both = texels.covered & texels.covered[:, ::-1]
    place = texels.interpolate(mesh, mesh.vertices)  # [H, W, 3]
    half = both & (np.arange(both.shape[1]) > both.shape[1] / 2)
    across = (place - place[:, ::-1])[half].sum(0)
    view = camera.centre - mesh.vertices.mean(0)
    cosine = across @ view / max(np.linalg.norm(across) * np.linalg.norm(view), 1e-300)
    return float(np.degrees(np.arcsin(np.clip(cosine, -1, 1))))


def mirrored_layout(covered):
    """Is the texture's layout its own mirror image, left to right? Judged by the texels in use, bool [H, W]."""
    either = (covered | covered[:, ::-1]).sum()
    return bool((covered & covered[:, ::-1]).sum() > 0.9 * max(either, 1))


def close(mask):
    """Morphological closing by a disc of radius CLOSING of the longer side."""
    import cv2

    radius = max(round(CLOSING * max(mask.shape)), 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    framed = np.pad(mask.astype(np.uint8), radius)
    return cv2.morphologyEx(framed, cv2.MORPH_CLOSE, disc)[radius:-radius, radius:-radius] > 0
