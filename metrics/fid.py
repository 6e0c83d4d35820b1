"""How far two sets of pictures are apart in Inception features: FID (Heusel et al. 2017), KID (Binkowski et al. 2018),
precision and recall (Kynkaanniemi et al. 2019). Network and formulas are torch-fidelity's, weights from a local file.

The weights are those of the original TensorFlow network, `python scripts/download_weights.py inception`; nothing is
downloaded here. Which pictures, and where their features are kept: metrics/features.py.
"""

from pathlib import Path

import torch

import weights
from weights import WeightsError

FILE = Path(weights.__file__).parent / "downloads" / "weights-inception-2015-12-05-6726825d.pth"
SHA256_PREFIX = "6726825d"
BLOCK = 2000  # rows of the distances between all features that are in memory at a time


def load_inception(path=FILE, device="cpu"):
    """The frozen network. Raises WeightsError, naming file and remedy, when it is missing, another one, or damaged."""
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; python scripts/download_weights.py inception")
    found = weights.sha256(path)
    if not found.startswith(SHA256_PREFIX):
        raise WeightsError(f"{path}: SHA-256 {found[:16]} is not the original's {SHA256_PREFIX}...; fetch it again")
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise WeightsError("FID needs torch-fidelity: pip install -e .[tables]") from error
    try:
        return FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(path)).to(device)
    except Exception as error:
        raise WeightsError(f"{path}: not torch-fidelity's Inception weights ({error})") from error


def eight_bits(images):
    """Pictures [N, 3, R, R] in [-1, 1] -> uint8 of the same shape, rounded as files are."""
    return ((images + 1) * 127.5).round().clamp(0, 255).byte()


@torch.no_grad()
def inception_features(network, images):
    """Pictures [N, 3, R, R] in [-1, 1] -> float64 [N, 2048]; rounded to 8 bits first, as files would be."""
    return network(eight_bits(images))[0].double().cpu()


def fid(features, reference):
    """FID of two sets of features, float64 [N, 2048] and [M, 2048] (any width); a float. Compare only at equal N."""
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    statistics = [fid_features_to_statistics(f) for f in (features, reference)]
    return float(fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"])


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
