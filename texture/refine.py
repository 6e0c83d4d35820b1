"""Refine a texture so that it agrees with pictures of the head.

After C. Li et al., "FaceRefiner: High-Fidelity Facial Texture Refinement with Differentiable Rendering-based Style
Transfer", 2024; the style transfer is that of Kolkin et al. 2019 (losses/style_transfer.py). Ours differ:

- start and content are the first guess (guess.py): the initial texture in the picture's light (light.py), with the
  picture on it. Unless rounds of the optimisation (optimise.py) are asked for it is the result;
- there may be several pictures: they are made one (combine.py), in the light of the first;
- where a picture shows the surface the result is the picture (`keep_seen`);
- materials that the pictures hide are left alone (`guess.seen_materials`), the others are drawn in the proportions in
  which the pictures show them (or cheeks would be asked for their share of lips).
"""

from dataclasses import dataclass

import numpy as np
import torch

from .camera import Camera
from .combine import combine
from .guess import lit_guess, material_shares, push_pull, seen_materials, smooth, soft_inside
from .light import relit, shading
from .mesh import Mesh
from .optimise import Problem, optimise
from .rasterize import draw_texels, join, render, view_of
from .unwrap import FACING, FACING_TURNED, TURNED, mirrored_layout, turn, unwrap

EROSION = 0.006  # of the picture's longer side, off the mask in which the rendering is compared
SEEN_BLEND = 0.01  # of the texture's longer side: width of the edge between the picture's texels and refined ones
GUTTER = 0.008  # of the texture's longer side: texels beside the mesh's that lookups may touch


@dataclass(frozen=True)
class Shot:
    """A picture of a head."""

    picture: np.ndarray  # uint8 [h, w, 3]
    camera: Camera
    mask: np.ndarray | None = None  # bool [h, w], pixels that show the bare surface (skin.skin_mask); None = all
    name: str = "the picture"  # what errors call it


@dataclass(frozen=True)
class Scene:
    """A head and pictures of it."""

    mesh: Mesh
    texture: np.ndarray  # uint8 or uint16 [H, W, 3], of its painted triangles
    shots: list  # of Shot; the result has the light of the first


@dataclass(frozen=True)
class TextureSchedule:
    """The default ends with the first guess, that optimising did not better (docs/textures.md); paper: (5, 150)."""

    rounds: int = 0
    iterations: int = 150  # at each scale of a round


@dataclass(frozen=True)
class Refinement:
    """What `refine` returns; all textures of the size and kind of the initial one."""

    texture: np.ndarray  # [H, W, 3], the result
    start: np.ndarray  # [H, W, 3], the first guess, before the optimisation
    sampled: np.ndarray  # [H, W, 3], the pictures unwrapped, black where none shows the surface
    visible: np.ndarray  # bool [H, W], texels seen in any picture
    covered: np.ndarray  # bool [H, W], texels of the mesh
    history: list  # one dict a stage: round, scale, and the last iteration's content, style and rendering loss
    turns: list  # for each picture: degrees the head is turned from the camera; None where the layout does not tell
    shares: list  # for each picture: share of the mesh's texels that it shows


def refine(
    scene,  # Scene
    network,  # of losses/perceptual.py; the optimisation runs where it is
    schedule,  # TextureSchedule
    *,
    state=None,  # what `on_stage` was given: goes on from there
    on_step=None,  # called after every iteration with the three losses as numbers
    on_stage=None,  # called after every stage with the state
):
    """Refine a mesh's texture with pictures of it. Returns a Refinement.

    Texels that belong to no painted triangle, or to one beside the others' gutter, are returned as they were. Raises
    ValueError when camera and picture differ in size or nothing is seen.
    """
    mesh, texture, shots = scene.mesh, scene.texture, scene.shots
    device = next(network.parameters()).device
    size = texture.shape[:2]
    step = np.iinfo(texture.dtype).max // 255  # of an 8-bit level, in the texture's own
    texels = draw_texels(mesh, *size)
    turns = [turn(mesh, shot.camera, texels) for shot in shots]
    parts = [unwrapped(mesh, shot, size, angle) for shot, angle in zip(shots, turns, strict=True)]
    seen = combine(mesh, texels, [shot.camera for shot in shots], parts)
    visible, covered = seen.visible, texels.covered
    content = push_pull(texture.astype(np.float32) / step, covered)  # black beside the islands would reach in otherwise
    light = shading(mesh, texels, seen.sampled, visible)
    start = lit_guess(content, seen.sampled, visible, covered, mirrored_layout(covered), light)
    start = push_pull(start, covered)

    looks = [compared(mesh, *look) for look in zip(shots, parts, seen.factors, strict=True)]
    pool = seen_materials(content, visible, covered)
    problem = Problem(
        start=to_tensor(start, device),
        target=torch.cat([target for target, _ in looks], 1).to(device),
        view=join([view for _, view in looks]).to(device),
        points=np.argwhere(pool),
        chances=material_shares(content, visible, pool)[pool],
        style_points=np.argwhere(visible),
    )
    result, history = optimise(problem, network, schedule, state, on_step, on_stage)

    result = keep_seen(keep_hidden(result, problem.start, content, visible), problem.start, visible)
    margin = shrink(covered, -GUTTER * max(size))[..., None]
    result, start, sampled = (
        np.rint(levels * step).clip(0, 255 * step).astype(texture.dtype)
        for levels in (to_levels(result), start, np.where(visible[..., None], seen.sampled, 0))
    )
    result, start = np.where(margin, result, texture), np.where(margin, start, texture)
    shares = [float(part.visible.sum() / covered.sum()) for part in parts]
    return Refinement(result, start, sampled, visible, covered, history, turns, shares)


def unwrapped(mesh, shot, size, angle):
    """The Unwrapped of a Shot of a head that is turned by `angle` degrees, or None."""
    facing = FACING_TURNED if angle is not None and abs(angle) > TURNED else FACING
    try:
        return unwrap(mesh, shot.camera, shot.picture, size, shot.mask, facing)
    except ValueError as error:
        raise ValueError(f"{shot.name}: {error}") from error


def compared(mesh, shot, part, factor):
    """(pixels [3, P] in [-1, 1] of a Shot that the rendering is compared with, their View).

    part: its Unwrapped. factor: [H, W, 3], the light that is put on its texels; None = none.
    """
    eroded = shrink(part.pixels, EROSION * max(shot.picture.shape[:2]))
    view = view_of(mesh, shot.camera, mask=eroded)
    if not view.inside.any():
        raise ValueError(f"{shot.name}: it shows too little of the mesh to compare with; check camera and mask")
    pixels = shot.picture[view.inside].astype(np.float32)  # [P, 3]
    if factor is not None:
        light = render(torch.from_numpy(factor).permute(2, 0, 1)[None], view)  # [3, P]
        pixels = relit(pixels, light.T.numpy())
    return to_tensor(pixels[None], "cpu")[0, :, 0], view


def keep_hidden(result, start, content, visible):
    """The result [1, 3, H, W] where the picture can speak of the material, softly the start elsewhere: the features of
    a texel reach far around it, so that hair beside the skin is stained."""
    free = smooth(seen_materials(content, visible, np.ones_like(visible)))  # [H, W]
    return start + torch.from_numpy(free).to(start) * (result - start)


def keep_seen(result, start, visible):
    """The start, which is the picture itself there, where the picture shows the surface; the result [1, 3, H, W]
    elsewhere, softly. The optimisation leaves seen texels some levels off (docs/benchmarks/texture-cpu.md)."""
    seen = torch.from_numpy(soft_inside(visible, SEEN_BLEND)).to(start)  # [H, W]
    return result + seen * (start - result)


def shrink(mask, radius):
    """A mask eroded by `radius` pixels, dilated where that is negative."""
    import cv2

    change = cv2.erode if radius > 0 else cv2.dilate
    side = 2 * max(round(abs(radius)), 1) + 1
    return change(mask.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))) > 0


def to_tensor(pixels, device):
    """[H, W, 3], 0 to 255 -> float32 [1, 3, H, W] in [-1, 1]."""
    pixels = np.asarray(pixels, np.float32) / 127.5 - 1
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous().to(device)


def to_levels(texture):
    """[1, 3, H, W] in [-1, 1] -> float32 [H, W, 3], 0 to 255."""
    return ((texture[0] + 1) * 127.5).permute(1, 2, 0).cpu().numpy()
