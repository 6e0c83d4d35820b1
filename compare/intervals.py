"""Means and distances with how sure they are: 95 % bootstrap intervals over portraits or pictures."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Number:
    """A measured mean with its 95 % interval [low, high] and the count of what was averaged."""

    mean: float
    low: float
    high: float
    count: int

    def __str__(self):
        return f"{self.mean:.4g} [{self.low:.4g}, {self.high:.4g}]"


def number(values):
    """The Number of the finite values of [N]; None when there are none."""
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    return Number(*bootstrap_mean(values), count=len(values)) if len(values) else None


def difference(a, b):
    """The Number of a - b, [N] values of the same portraits, over those where both are finite; None when there are
    none."""
    a, b = (np.asarray(values, dtype=np.float64) for values in (a, b))
    both = np.isfinite(a) & np.isfinite(b)
    return Number(*paired_difference(a[both], b[both]), count=int(both.sum())) if both.any() else None


def set_number(values, count):
    """The Number of a distance between sets: values [1 + samples], that of the set itself first, then those of
    bootstrap samples of its `count` pictures.

    Resampling repeats pictures, which adds to the distance: only the interval's width is taken from the samples.
    """
    values = np.asarray(values, dtype=np.float64)
    low, high = np.quantile(values[1:] - values[1:].mean(), [0.025, 0.975])
    return Number(float(values[0]), float(values[0] + low), float(values[0] + high), count)


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
