"""Refine a texture so that it agrees with a picture: FaceRefiner's optimisation.

    loss = 8 content + 1.7 style + 20 | render(texture) - picture |_1          (twice that at the coarsest scale)

over the texture's Laplacian pyramid, from coarse to fine; five rounds, each from the last result, in which the content
weight is divided and the rendering weight multiplied by 1.1. C. Li et al., "FaceRefiner: High-Fidelity Facial Texture
Refinement with Differentiable Rendering-based Style Transfer", 2024; the style transfer is that of Kolkin et al. 2019
(losses/style_transfer.py). The style is what the picture shows of the surface, and its mirror image. Ours differ:

- start and content are the first guess (guess.py): the initial texture in the picture's light (light.py), with the
  picture on it. Unless rounds are asked for it is the result;
- where the picture shows the surface the result is the picture (`keep_seen`);
- materials that the picture hides are left alone (`guess.seen_materials`), the others are drawn in the proportions in
  which the picture shows them (or cheeks would be asked for their share of lips), and colours are never rescaled;
- the step. Sums over pixels make a gradient grow fourfold from band to band of the pyramid, and no reduction is given
  that would fix its size. Each band's gradient is divided by its root mean square and clipped at it (the few texels
  that are drawn in an iteration would jump), the learning rate 0.3 is meant in 8-bit levels, and it falls linearly to
  0 within a scale, so that the last iterations settle.
"""

from dataclasses import dataclass

import numpy as np
import torch

from losses.style_transfer import Samples, columns_at, content_loss, feature_maps, layer_gains, sample, style_loss

from .camera import Camera
from .guess import lit_guess, material_shares, push_pull, seen_materials, smooth, soft_inside
from .light import shading
from .mesh import Mesh
from .pyramid import collapse, laplacian, resize, scaled, scales, stages
from .rasterize import draw, draw_texels, render, view_of
from .unwrap import FACING, FACING_TURNED, TURNED, mirrored_layout, turn, unwrap

CONTENT, STYLE, RENDERING = 8.0, 1.7, 20.0
ROUND_FACTOR = 1.1
LEARNING_RATE, MOMENTUM = 0.3, 0.9
LEVEL = 1 / 127.5  # one 8-bit level
POINTS = 2048  # of the texture, anew in every iteration
STYLE_DRAWS, STYLE_POINTS = 5, 1000
EROSION = 0.006  # of the picture's longer side, off the mask in which the rendering is compared
SEEN_BLEND = 0.01  # of the texture's longer side: width of the edge between the picture's texels and refined ones
GUTTER = 0.008  # of the texture's longer side: texels beside the mesh's that lookups may touch


@dataclass(frozen=True)
class Scene:
    """A head and a picture of it."""

    mesh: Mesh
    texture: np.ndarray  # uint8 or uint16 [H, W, 3], of its painted triangles
    picture: np.ndarray  # uint8 [h, w, 3]
    camera: Camera  # of the picture
    mask: np.ndarray | None = None  # bool [h, w], pixels that show the bare surface (skin.skin_mask); None = all


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
    sampled: np.ndarray  # [H, W, 3], the picture unwrapped, black where it does not show the surface
    visible: np.ndarray  # bool [H, W], texels seen in the picture
    covered: np.ndarray  # bool [H, W], texels of the mesh
    history: list  # one dict a stage: round, scale, and the last iteration's content, style and rendering loss
    turn: float | None  # degrees the head is turned from the camera; None where the layout does not tell


@dataclass(frozen=True)
class Problem:
    """What the optimisation is given; tensors in [-1, 1]."""

    start: torch.Tensor  # [1, 3, H, W], the first guess: content to keep, and style where the picture shows it
    target: torch.Tensor  # [3, P], the picture's pixels in the eroded mask
    view: object  # View of those pixels
    points: np.ndarray  # int [K, 2] (row, column) of texels the loss may look at
    chances: np.ndarray  # float [K], how likely each is drawn
    style_points: np.ndarray  # int [K', 2] of visible texels


def refine(
    scene,  # Scene
    network,  # of losses/perceptual.py; the optimisation runs where it is
    schedule,  # TextureSchedule
    *,
    state=None,  # what `on_stage` was given: goes on from there
    on_step=None,  # called after every iteration with the three losses as numbers
    on_stage=None,  # called after every stage with the state
):
    """Refine a mesh's texture with a picture of it. Returns a Refinement.

    Texels that belong to no painted triangle, or to one beside the others' gutter, are returned as they were. Raises
    ValueError when camera and picture differ in size or nothing is seen.
    """
    mesh, texture, picture, camera = scene.mesh, scene.texture, scene.picture, scene.camera
    device = next(network.parameters()).device
    size = texture.shape[:2]
    step = np.iinfo(texture.dtype).max // 255  # of an 8-bit level, in the texture's own
    texels = draw_texels(mesh, *size)
    angle = turn(mesh, camera, texels)
    facing = FACING_TURNED if angle is not None and abs(angle) > TURNED else FACING
    unwrapped = unwrap(mesh, camera, picture, size, scene.mask, facing)
    visible, covered = unwrapped.visible, texels.covered
    content = push_pull(texture.astype(np.float32) / step, covered)  # black beside the islands would reach in otherwise
    light = shading(mesh, texels, unwrapped.sampled, visible)
    start = lit_guess(content, unwrapped.sampled, visible, covered, mirrored_layout(covered), light)
    start = push_pull(start, covered)

    eroded = shrink(unwrapped.pixels, EROSION * max(picture.shape[:2]))
    view = view_of(mesh, camera, draw(mesh, camera), eroded)
    if not view.inside.any():
        raise ValueError("the picture shows too little of the mesh to compare with; check camera and mask")
    pool = seen_materials(content, visible, covered)
    problem = Problem(
        start=to_tensor(start, device),
        target=to_tensor(picture, device)[0][:, torch.from_numpy(view.inside).to(device)],
        view=view.to(device),
        points=np.argwhere(pool),
        chances=material_shares(content, visible, pool)[pool],
        style_points=np.argwhere(visible),
    )
    result, history = optimise(problem, network, schedule, state, on_step, on_stage)

    result = keep_seen(keep_hidden(result, problem.start, content, visible), problem.start, visible)
    margin = shrink(covered, -GUTTER * max(size))[..., None]
    result, start, sampled = (
        np.rint(levels * step).clip(0, 255 * step).astype(texture.dtype)
        for levels in (to_levels(result), start, np.where(visible[..., None], unwrapped.sampled, 0))
    )
    result, start = np.where(margin, result, texture), np.where(margin, start, texture)
    return Refinement(result, start, sampled, visible, covered, history, angle)


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


def optimise(problem, network, schedule, state=None, on_step=None, on_stage=None):
    """All rounds and scales: (texture [1, 3, H, W] in [-1, 1], history). See `refine`."""
    size = problem.start.shape[2:]
    result, history = (problem.start, []) if state is None else (state["texture"].to(problem.start), state["history"])
    for index, (number, scale) in enumerate(stages(size, schedule.rounds)):
        if index < len(history):
            continue
        weights = (CONTENT / ROUND_FACTOR**number, STYLE, RENDERING * ROUND_FACTOR**number)
        if scale == scales(size)[0]:
            weights = tuple(2 * weight for weight in weights)
        smaller = scaled(size, scale)
        before = resize(result, smaller)
        after, losses = optimise_scale(problem, network, before, weights, schedule.iterations, index, on_step)
        result = result + resize(after - before, size)  # detail finer than this scale stays
        history = [*history, {"round": number, "scale": scale, **losses}]
        if on_stage is not None:
            on_stage({"texture": result.cpu(), "history": history})
    return result, history


def optimise_scale(problem, network, texture, weights, iterations, seed, on_step=None):
    """`iterations` steps of gradient descent on the Laplacian pyramid of a texture [1, 3, h, w]: (texture, losses)."""
    size, device = texture.shape[2:], texture.device
    random = np.random.default_rng(seed)
    layout = dict(memory_format=torch.channels_last)
    with torch.no_grad():
        start = resize(problem.start, size).contiguous(**layout)
        content = feature_maps(network, start)
        gains = layer_gains(content)
        style = style_samples(content, feature_maps(network, start.flip(3)), gains, problem, random)
    terms = []
    likely = np.cumsum(problem.chances) / problem.chances.sum()

    def loss_of(current):
        chosen = np.searchsorted(likely, random.random(POINTS), side="right").clip(max=len(likely) - 1)
        points = positions(problem.points[chosen], problem.start.shape[2:], device)
        found = columns_at(network, current.contiguous(**layout), points, gains)
        with torch.no_grad():
            wanted = sample(content, points, gains)
        terms[:] = (
            content_loss(found, wanted),
            style_loss(found, style, weights[0]),
            (render(current, problem.view) - problem.target).abs().mean(),
        )
        return sum(weight * term for weight, term in zip(weights, terms, strict=True))

    def losses():
        return dict(zip(("content", "style", "rendering"), (term.item() for term in terms), strict=True))

    result = descend(texture, loss_of, iterations, on_step and (lambda: on_step(losses())))
    return result, losses()


def descend(texture, loss_of, iterations, on_step=None):
    """Gradient descent on the Laplacian pyramid of a texture [1, 3, h, w]; loss_of(texture) is a scalar tensor."""
    pyramid = [band.requires_grad_() for band in laplacian(texture)]
    optimizer = torch.optim.SGD(pyramid, lr=LEVEL * LEARNING_RATE, momentum=MOMENTUM)
    for step in range(iterations):
        loss = loss_of(collapse(pyramid))
        if not torch.isfinite(loss):
            raise ValueError("the optimisation diverged (a loss is not finite); check the mesh and its texture")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for band in pyramid:
            band.grad = (band.grad / band.grad.square().mean().sqrt().clamp_min(1e-20)).clamp(-1, 1)
        optimizer.param_groups[0]["lr"] = LEVEL * LEARNING_RATE * (1 - step / iterations)
        optimizer.step()
        if on_step is not None:
            on_step()
    return collapse(pyramid).detach()


def style_samples(maps, flipped, gains, problem, random):
    """5 x 1000 Samples of visible texels, half of them from the mirror image. maps, flipped: features of both."""
    parts = []
    for _ in range(STYLE_DRAWS):
        chosen = random.integers(len(problem.style_points), size=STYLE_POINTS)
        points = positions(problem.style_points[chosen], problem.start.shape[2:], maps[0].device)
        half = STYLE_POINTS // 2
        turned = points[half:] * points.new_tensor([-1, 1])
        parts += [sample(maps, points[:half], gains), sample(flipped, turned, gains)]
    return Samples(torch.cat([part.columns for part in parts]), torch.cat([part.colors for part in parts]))


def positions(texels, size, device):
    """Texels [K, 2] (row, column) of a texture of `size` (H, W) as positions [K, 2], (x, y) in [-1, 1]."""
    height, width = size
    points = np.stack([(texels[:, 1] + 0.5) / width, (texels[:, 0] + 0.5) / height], axis=1) * 2 - 1
    return torch.from_numpy(points).float().to(device)


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
