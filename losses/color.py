"""Eq. 2: the same latent, drawn by both generators, must keep its colours; blurred, so that details stay free."""

import torch
from torch.nn.functional import conv2d, pad

from losses.sketch import downsample


def gaussian_blur(x, kernel=13, sigma=10.0):
    """Gaussian blur of [N, C, H, W] with a `kernel` x `kernel` window (odd), reflected at the borders.

    Raises ValueError for an even window or one too wide to be reflected.
    """
    radius = kernel // 2
    if kernel % 2 == 0 or radius >= min(x.shape[2:]):
        raise ValueError(f"gaussian_blur: kernel {kernel} must be odd and less than twice the picture's side")
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32, device=x.device)
    line = torch.exp(-(offsets**2) / (2 * sigma**2))
    line = (line / line.sum()).to(x.dtype).repeat(x.shape[1], 1, 1, 1)  # [C, 1, 1, K], depthwise
    x = conv2d(pad(x, [radius, radius, 0, 0], mode="reflect"), line, groups=x.shape[1])
    return conv2d(pad(x, [0, 0, radius, radius], mode="reflect"), line.mT, groups=x.shape[1])


def color_loss(perceptual, image_real, image_rendering, size=256, kernel=13, sigma=10.0):
    """Eq. 2: LPIPS(blur(down(g_real(w+))), blur(down(g_rendering(w+)))), averaged over the batch; a scalar.

    perceptual       a network with the interface of losses/perceptual.py (the paper: LPIPS with VGG-16)
    image_real       g_real(w+), [N, 3, H, W] in [-1, 1]; no gradient flows into it
    image_rendering  g_rendering(w+) of the same latent and noise, same shape
    size             side of the pictures that are compared (the paper: 256)
    kernel, sigma    the Gaussian blur, in pixels of that size (the paper: 13 and 10)
    """
    with torch.no_grad():
        target = perceptual.features(gaussian_blur(downsample(image_real.detach(), size), kernel, sigma))
    features = perceptual.features(gaussian_blur(downsample(image_rendering, size), kernel, sigma))
    return perceptual.distance(features, target).mean()
