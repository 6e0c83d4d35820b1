"""How far two sets of pictures are apart in Inception features: FID (Heusel et al. 2017), KID (Binkowski et al. 2018),
precision and recall (Kynkaanniemi et al. 2019). Network and formulas are torch-fidelity's, weights from a local file.

The weights are those of the original TensorFlow network, `python scripts/download_weights.py inception`; nothing is
downloaded here. Which pictures, and where their features are kept: metrics/features.py. The statistics of a set can be
exchanged with pytorch-fid (`mu` and `sigma` in an .npz).
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import weights
from weights import WeightsError
from weights.arrays import read_arrays
from weights.files import REMEDY, check_regular, written_atomically
from weights.networks import filled, state_of
from weights.torch_files import read

FILE = Path(weights.__file__).parent / "downloads" / "weights-inception-2015-12-05-6726825d.pth"
SHA256_PREFIX = "6726825d"
BLOCK = 2000  # rows of the distances between all features that are in memory at a time


def load_inception(path=FILE, device="cpu"):
    """The frozen network. Raises WeightsError, naming file and remedy, when it is missing, another one, or damaged."""
    check_regular(path, "python scripts/download_weights.py inception")
    found = weights.sha256(path)
    if not found.startswith(SHA256_PREFIX):
        raise WeightsError(f"{path}: SHA-256 {found[:16]} is not the original's {SHA256_PREFIX}...; fetch it again")
    what = "torch-fidelity's Inception weights"
    state = state_of(read(path), "Conv2d_1a_3x3.conv.weight", path, what)
    return filled(path, _inception_skeleton, state, what).to(device)


def _inception_skeleton():
    """torch-fidelity's network without its weights. It reads its file in a way that executes what is in it, so it gets
    an empty one of ours, and the weights are put in afterwards."""
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise WeightsError("FID needs torch-fidelity: pip install -e .[tables]") from error

    class Unfilled(FeatureExtractorInceptionV3):
        def load_state_dict(self, *_):
            pass

    with tempfile.TemporaryDirectory() as folder:
        torch.save({}, Path(folder) / "empty.pth")
        network = Unfilled("inception-v3-compat", ["2048"], str(Path(folder) / "empty.pth"))
    network.__class__ = FeatureExtractorInceptionV3
    return network


def eight_bits(images):
    """Pictures [N, 3, R, R] in [-1, 1] -> uint8 of the same shape, rounded as files are."""
    return ((images + 1) * 127.5).round().clamp(0, 255).byte()


@torch.no_grad()
def inception_features(network, images):
    """Pictures [N, 3, R, R] in [-1, 1] -> float64 [N, 2048]; rounded to 8 bits first, as files would be."""
    return network(eight_bits(images))[0].double().cpu()


@dataclass(frozen=True)
class Statistics:
    """All that FID needs of a set: mean [C] and covariance [C, C] of its features, float64 arrays."""

    mu: np.ndarray
    sigma: np.ndarray


def statistics(features):
    """The Statistics of features [N, C], at least two."""
    values = features.double().numpy()
    return Statistics(values.mean(0), np.atleast_2d(np.cov(values, rowvar=False)))


def write_statistics(path, found):
    """Write Statistics as pytorch-fid does, an .npz of `mu` and `sigma`, atomically."""
    with written_atomically(path) as unfinished, open(unfinished, "wb") as file:
        np.savez(file, mu=found.mu, sigma=found.sigma)


def read_statistics(path):
    """The Statistics in an .npz of pytorch-fid or of `write_statistics`. Raises WeightsError, naming the file."""
    arrays = read_arrays(path, "mu", "sigma")
    if arrays.keys() != {"mu", "sigma"}:
        raise WeightsError(f"{path}: holds no mu and sigma, the statistics of pytorch-fid; {REMEDY}")
    mu, sigma = (arrays[name].astype(np.float64) for name in ("mu", "sigma"))
    if mu.ndim != 1 or sigma.shape != (len(mu), len(mu)):
        raise WeightsError(f"{path}: mu {list(mu.shape)} and sigma {list(sigma.shape)} do not fit each other; {REMEDY}")
    if not (np.isfinite(mu).all() and np.isfinite(sigma).all()):
        raise WeightsError(f"{path}: holds numbers that are not finite; compute these statistics again")
    return Statistics(mu, sigma)


def fid(features, reference):
    """FID of two sets, each given as features [N, C] or as Statistics; a float. Compare only at equal N.

    Raises ValueError if they are of different networks (widths).
    """
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    pair = [f if isinstance(f, Statistics) else statistics(f) for f in (features, reference)]
    if len(pair[0].mu) != len(pair[1].mu):
        raise ValueError(f"features of {len(pair[0].mu)} and of {len(pair[1].mu)} numbers cannot be compared")
    pair = [{"mu": one.mu, "sigma": one.sigma} for one in pair]
    return float(fid_statistics_to_metric(*pair, False)["frechet_inception_distance"])


def kid(features, reference, subsets=100, subset_size=1000, seed=2020):
    """Kernel inception distance of float64 [N, C] and [M, C]: (mean, standard deviation) over random subsets.

    The unbiased squared maximum mean discrepancy under the kernel (x.y / C + 1)^3, so it can be negative. Subsets are
    no larger than the smaller set.
    """
    from torch_fidelity.metric_kid import kid_features_to_metric

    found = kid_features_to_metric(
        features,
        reference,
        kid_subsets=subsets,
        kid_subset_size=min(subset_size, len(features), len(reference)),
        rng_seed=seed,
        verbose=False,
    )
    return found["kernel_inception_distance_mean"], found["kernel_inception_distance_std"]


def precision_recall(features, reference, neighbours=3):
    """(precision, recall) of float64 [N, C] against [M, C].

    Precision: the share of `features` that lie within the reference, which is the union of the balls that reach from
    every reference feature to its third nearest other one. Recall: the same with the two sets exchanged.
    """
    from torch_fidelity.metric_prc import calculate_precision_recall_part

    precision, recall = calculate_precision_recall_part(features, reference, neighbours, BLOCK)
    return float(precision), float(recall)
