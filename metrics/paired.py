"""Distances between a result and the true picture of the same person, and how sure they are."""

import numpy as np
import torch


def face_l2(result, truth, mask):
    """Mean squared difference over the masked pixels. [N, 3, H, W] in [-1, 1], bool [N, H, W] -> [N]."""
    mask = mask[:, None].float()
    return ((result - truth).square() * mask).sum([1, 2, 3]) / (3 * mask.sum([1, 2, 3])).clamp(min=1)


def face_lpips(perceptual, result, truth, mask):
    """LPIPS with everything outside the mask replaced by the truth, so that only the face can differ. -> [N]."""
    with torch.no_grad():
        return perceptual(torch.where(mask[:, None], result, truth), truth)


def bootstrap_mean(values, samples=10_000, level=0.95, seed=0):
    """(mean, low, high): percentile bootstrap interval of the mean of `values` [N]."""
    values = np.asarray(values, dtype=np.float64)
    rows = np.random.default_rng(seed).integers(0, len(values), [samples, len(values)])
    means = values[rows].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(values.mean()), float(low), float(high)


def paired_difference(a, b, **bootstrap):
    """(mean, low, high) of the mean of a - b, [N] values of the same N portraits in the same order.

    The same portraits are resampled in both, so what makes a portrait hard for both methods cancels; bootstrap: as in
    `bootstrap_mean`. Raises ValueError for different lengths.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"paired values must belong to the same portraits, got {len(a)} and {len(b)}")
    return bootstrap_mean(a - b, **bootstrap)
