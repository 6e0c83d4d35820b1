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


def resampled_distances(features, reference, samples=1000, seed=0):
    """float64 [1 + samples]: the distance of features [N, C] to the reference [M, C], then that of bootstrap samples.

    Two sets of N pictures of the same portraits get the same samples from the same seed, so their difference is paired.
    Resampling repeats pictures, which adds to the distance: take the spread of the samples, not their level. The trace
    of the square root comes from the N x N matrix with the same eigenvalues, which is small where N is.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(0, len(features), [samples, len(features)], generator=generator)
    mean, B = reference.mean(0), torch.cov(reference.T)
    values = []
    for part in (features, *(features[index] for index in rows)):
        centred = (part - part.mean(0)) / (len(part) - 1) ** 0.5  # [N, C], A = centred^T centred
        cross = torch.linalg.eigvalsh(centred @ B @ centred.T).clamp(min=0).sqrt().sum()
        values.append((part.mean(0) - mean).square().sum() + centred.square().sum() + B.trace() - 2 * cross)
    return torch.stack(values)
