"""Eq. 2: the same latent, drawn by both generators, must keep its colours; blurred, so that details stay free."""

from dataclasses import dataclass

import torch

from losses.resize import downsample
from sketch.blur import gaussian_blur


@dataclass(frozen=True)
class ColorSpec:
    """How Eq. 2 compares and what it weighs in Eq. 3; the defaults are the paper's."""

    weight: float = 3.75e3  # lambda_c
    size: int = 256  # side of the pictures that are compared
    kernel: int = 13  # of the Gaussian blur, in pixels of that size
    sigma: float = 10.0


def blurred(image, spec):
    """blur(down(image)) of Eq. 2: [N, 3, H, W] -> [N, 3, size, size]."""
    return gaussian_blur(downsample(image, spec.size), spec.kernel, spec.sigma)


def color_loss(perceptual, image_real, image_rendering, spec=ColorSpec()):
    """Eq. 2: LPIPS(blur(down(g_real(w+))), blur(down(g_rendering(w+)))), averaged over the batch; a scalar, not
    weighted.

    perceptual       a network with the interface of losses/perceptual.py (the paper: LPIPS with VGG-16)
    image_real       g_real(w+), [N, 3, H, W] in [-1, 1]; no gradient flows into it
    image_rendering  g_rendering(w+) of the same latent and noise, same shape
    """
    with torch.no_grad():
        target = perceptual.features(blurred(image_real.detach(), spec))
    return perceptual.distance(perceptual.features(blurred(image_rendering, spec)), target).mean()
