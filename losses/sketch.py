"""Eq. 1: the same latent, drawn by both generators, must give the same line drawing."""

from dataclasses import dataclass

import torch

from losses.resize import downsample


@dataclass(frozen=True)
class SketchSpec:
    """How Eq. 1 compares and what it weighs in Eq. 3; the defaults are the paper's."""

    weight: float = 5e-6  # lambda_s
    size: int = 512  # side of the pictures S sees
    reduction: str = "sum"  # over pixels and channels, averaged over the batch: the reading that fits lambda_s; "mean":
    # averaged over everything, so that a weight carries over between sizes


def sketch_loss(extractor, image_real, image_rendering, spec=SketchSpec()):
    """Eq. 1: || S(down(g_real(w+))) - S(down(g_rendering(w+))) ||_1, a scalar, not weighted.

    extractor        frozen SketchExtractor S
    image_real       g_real(w+), [N, 3, H, W] in [-1, 1]; no gradient flows into it
    image_rendering  g_rendering(w+) of the same latent and noise, same shape
    spec             size and reduction. Raises ValueError for another reduction than 'sum' or 'mean'
    """
    if spec.reduction not in ("sum", "mean"):
        raise ValueError(f"sketch_loss: reduction is 'sum' or 'mean', not {spec.reduction!r}")
    with torch.no_grad():
        target = extractor(downsample(image_real.detach(), spec.size))
    difference = (extractor(downsample(image_rendering, spec.size)) - target).abs()
    return difference.mean() if spec.reduction == "mean" else difference.sum() / len(difference)
