"""Eq. 1: the same latent, drawn by both generators, must give the same line drawing."""

import torch
from torch.nn.functional import interpolate


def downsample(image, size):
    """[N, C, H, W] -> [N, C, size, size], antialiased bilinear; returned as it is when it has that size already."""
    if image.shape[2:] == (size, size):
        return image
    return interpolate(image, size=(size, size), mode="bilinear", align_corners=False, antialias=True)


def sketch_loss(extractor, image_real, image_rendering, size=512, reduction="sum"):
    """Eq. 1: || S(down(g_real(w+))) - S(down(g_rendering(w+))) ||_1, a scalar.

    extractor        frozen SketchExtractor S
    image_real       g_real(w+), [N, 3, H, W] in [-1, 1]; no gradient flows into it
    image_rendering  g_rendering(w+) of the same latent and noise, same shape
    size             side of the pictures S sees (the paper: 512)
    reduction        'sum': summed over pixels and channels, averaged over the batch, the reading that fits the paper's
                     weight of 5e-6; 'mean': averaged over everything, so that a weight carries over between sizes
    """
    if reduction not in ("sum", "mean"):
        raise ValueError(f"sketch_loss: reduction is 'sum' or 'mean', not {reduction!r}")
    with torch.no_grad():
        target = extractor(downsample(image_real.detach(), size))
    difference = (extractor(downsample(image_rendering, size)) - target).abs()
    return difference.mean() if reduction == "mean" else difference.sum() / len(difference)
