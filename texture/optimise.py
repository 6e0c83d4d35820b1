"""FaceRefiner's optimisation of a texture, from a first guess (refine.py).

    loss = 8 content + 1.7 style + 20 | render(texture) - picture |_1          (twice that at the coarsest scale)

over the texture's Laplacian pyramid, from coarse to fine; five rounds, each from the last result, in which the content
weight is divided and the rendering weight multiplied by 1.1 (C. Li et al. 2024). The style is what the pictures show of
the surface, and its mirror image. Ours differ from the paper's:

- colours are never rescaled;
- the step. Sums over pixels make a gradient grow fourfold from band to band of the pyramid, and no reduction is given
  that would fix its size. Each band's gradient is divided by its root mean square and clipped at it (the few texels
  that are drawn in an iteration would jump), the learning rate 0.3 is meant in 8-bit levels, and it falls linearly to
  0 within a scale, so that the last iterations settle.
"""

from dataclasses import dataclass

import numpy as np
import torch

from losses.style_transfer import Samples, columns_at, content_loss, feature_maps, layer_gains, sample, style_loss

from .pyramid import collapse, laplacian, resize, scaled, scales, stages
from .rasterize import render

CONTENT, STYLE, RENDERING = 8.0, 1.7, 20.0
ROUND_FACTOR = 1.1
LEARNING_RATE, MOMENTUM = 0.3, 0.9
LEVEL = 1 / 127.5  # one 8-bit level
POINTS = 2048  # of the texture, anew in every iteration
STYLE_DRAWS, STYLE_POINTS = 5, 1000


@dataclass(frozen=True)
class Problem:
    """What the optimisation is given; tensors in [-1, 1]."""

    start: torch.Tensor  # [1, 3, H, W], the first guess: content to keep, and style where the picture shows it
    target: torch.Tensor  # [3, P], the pictures' pixels in the eroded masks, in the first one's light
    view: object  # View of those pixels
    points: np.ndarray  # int [K, 2] (row, column) of texels the loss may look at
    chances: np.ndarray  # float [K], how likely each is drawn
    style_points: np.ndarray  # int [K', 2] of visible texels


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
