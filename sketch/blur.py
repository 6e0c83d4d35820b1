"""Gaussian blur, for the line drawing (lines.py) and for Eq. 2 (losses/color.py)."""

import torch
from torch.nn.functional import conv2d, pad


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
