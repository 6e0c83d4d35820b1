"""A line drawing made without a network: what the demo sketch extractor learns to draw.

Extended difference of Gaussians, XDoG (Winnemoeller, Kyprianidis, Olsen 2012): a bilateral smoothing that removes grain
and pores, the difference of two Gaussians, and a soft threshold that turns it into dark strokes on white paper. Two
choices are ours: it works on logarithms, so that a contour on dark skin weighs as much as one on pale skin, and on each
colour channel by itself, so that lips and jaw are found by their colour where the brightness hardly changes.
"""

import torch
from torch.nn.functional import pad

from .blur import gaussian_blur


def blur(x, sigma):
    """Gaussian blur of [N, C, H, W] whose window reaches out to 3 sigma."""
    return gaussian_blur(x, 2 * max(1, round(3 * sigma)) + 1, sigma)


def bilateral(x, sigma_space=1.5, sigma_range=0.15, radius=2):
    """Bilateral filter of [N, C, H, W], channel by channel: averages neighbours of a similar value only.

    Done along the rows and then along the columns, which comes close to the full filter (Pham and van Vliet 2005).
    """
    for axis, sides in ((3, [radius, radius, 0, 0]), (2, [0, 0, radius, radius])):
        padded = pad(x, sides, mode="reflect")
        total, weights = x, torch.ones_like(x)
        for step in range(2 * radius + 1):
            if step != radius:
                near = padded.narrow(axis, step, x.shape[axis])
                distance = (step - radius) ** 2 / (2 * sigma_space**2)
                weight = torch.exp((near - x).square() / (-2 * sigma_range**2) - distance)
                total, weights = total + weight * near, weights + weight
        x = total / weights
    return x


def xdog(image, sigma=0.85, k=1.6, epsilon=-0.013, phi=28.0, floor=0.15, passes=3):
    """Line drawing of an image tensor [N, 3, H, W] in [-1, 1]: [N, 1, H, W] in [-1, 1], +1 = paper, dark strokes.

    `sigma` is the stroke scale in pixels and `k` the ratio of the two Gaussians; `epsilon` is the contrast below which
    nothing is drawn and `phi` the softness of a stroke's edge; `floor` is added before the logarithm (brightness is in
    [0, 1]) to calm the shadows; `passes` counts the bilateral smoothings.
    """
    brightness = torch.log((image.clamp(-1, 1) + 1) / 2 + floor)  # [N, 3, H, W]
    for _ in range(passes):
        brightness = bilateral(brightness)
    difference = blur(brightness, sigma) - blur(brightness, k * sigma)
    difference = difference.amin(1, keepdim=True)  # [N, 1, H, W]: the channel that sees the darkest line
    drawn = torch.where(difference >= epsilon, 1.0, 1 + torch.tanh(phi * (difference - epsilon)))
    return drawn * 2 - 1
