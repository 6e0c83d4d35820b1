"""How far two sets of pictures are apart in the embedded perceptual network: for runs without Inception weights.

The formula is that of the Frechet inception distance (Heusel et al. 2017), the features are not: numbers of this file
compare with each other only, never with a published FID.
"""

import functools

import torch


@torch.no_grad()
def pooled_features(network, images):
    """Pictures [N, 3, R, R] in [-1, 1] -> float64 [N, C]: the means over positions of a PerceptualNetwork's last two
    activations."""
    return torch.cat([tap.double().mean((2, 3)) for tap in network.activations(images)[-2:]], dim=1)


def frechet_distance(a, b):
    """Squared Frechet distance of the normal distributions fitted to float64 [N, C] and [M, C]; a float.

    |mean_a - mean_b|^2 + tr(A + B - 2 (B^(1/2) A B^(1/2))^(1/2)), A and B the covariances (Dowson and Landau 1982).
    """
    return frechet_distance_to(*moments(b))(a)


def moments(b):
    """(mean [C], covariance [C, C]) of features [N, C], or of statistics that have them as arrays `mu` and `sigma`."""
    if torch.is_tensor(b):
        return b.mean(0), torch.cov(b.T)
    return torch.from_numpy(b.mu), torch.from_numpy(b.sigma)


def frechet_distance_to(mean, covariance):
    """The function a -> frechet_distance(a, b), b being a set of this mean and covariance. The trace of the square root
    comes from the N x N matrix with the same eigenvalues where that is the smaller one."""

    @functools.cache
    def root():
        values, vectors = torch.linalg.eigh(covariance)
        return (vectors * values.clamp(min=0).sqrt()) @ vectors.T

    def distance(a):
        centred = (a - a.mean(0)) / (len(a) - 1) ** 0.5  # [N, C], A = centred^T centred
        product = centred @ covariance @ centred.T if len(a) < a.shape[1] else root() @ (centred.T @ centred) @ root()
        cross = torch.linalg.eigvalsh(product).clamp(min=0).sqrt().sum()
        return float((a.mean(0) - mean).square().sum() + centred.square().sum() + covariance.trace() - 2 * cross)

    return distance


def resampled_distances(features, reference, compare=frechet_distance, samples=200):
    """How sure a distance of sets is: a list of floats, compare(features, reference) first, then the Frechet distances
    of `samples` resampled `features` (bootstrap). features: [N, C]; reference: [M, C], or statistics (`moments`)."""
    generator = torch.Generator().manual_seed(0)
    values, frechet = [float(compare(features, reference))], frechet_distance_to(*moments(reference))
    for _ in range(samples):
        index = torch.randint(0, len(features), [len(features)], generator=generator)
        values.append(frechet(features[index]))
    return values


def paired_distances(features, reference, samples=1000, seed=0):
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
