"""How far two sets of pictures are apart in the embedded perceptual network: for runs without Inception weights.

The formula is that of the Frechet inception distance (Heusel et al. 2017), the features are not: numbers of this file
compare with each other only, never with a published FID.
"""

import torch

from .tables import Number


@torch.no_grad()
def pooled_features(network, images):
    """Pictures [N, 3, R, R] in [-1, 1] -> float64 [N, C]: the means over positions of a PerceptualNetwork's last two
    activations."""
    return torch.cat([tap.double().mean((2, 3)) for tap in network.activations(images)[-2:]], dim=1)


def frechet_distance(a, b):
    """Squared Frechet distance of the normal distributions fitted to float64 [N, C] and [M, C]; a float.

    |mean_a - mean_b|^2 + tr(A + B - 2 (A^(1/2) B A^(1/2))^(1/2)), A and B the covariances (Dowson and Landau 1982).
    """
    mean_a, mean_b = a.mean(0), b.mean(0)
    A, B = torch.cov(a.T), torch.cov(b.T)
    values, vectors = torch.linalg.eigh(A)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root @ B @ root).clamp(min=0).sqrt().sum()
    return float((mean_a - mean_b).square().sum() + A.trace() + B.trace() - 2 * cross)


def resampled_distances(features, reference, compare=frechet_distance, samples=200):
    """How sure a distance of sets [N, C] and [M, C] is: a list of floats, compare(features, reference) first, then the
    Frechet distances of `samples` resampled `features` (bootstrap)."""
    generator = torch.Generator().manual_seed(0)
    values = [float(compare(features, reference))]
    for _ in range(samples):
        index = torch.randint(0, len(features), [len(features)], generator=generator)
        values.append(frechet_distance(features[index], reference))
    return values


def distance_number(values, count):
    """The Number (metrics/tables.py) of `resampled_distances`.

    Resampling repeats pictures, which adds to the distance: only the interval's width is taken from the resampled ones.
    """
    resampled = torch.tensor(values[1:], dtype=torch.float64)
    low, high = (torch.quantile(resampled, share) - resampled.mean() for share in (0.025, 0.975))
    return Number(values[0], values[0] + float(low), values[0] + float(high), count)
