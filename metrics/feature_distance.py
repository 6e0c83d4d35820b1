"""How far two sets of pictures are apart in the embedded perceptual network: for runs without Inception weights.

The formula is that of the Frechet inception distance (Heusel et al. 2017), the features are not: numbers of this file
compare with each other only, never with a published FID.
"""

import torch


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
