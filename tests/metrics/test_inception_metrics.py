"""FID, KID, precision and recall through torch-fidelity, against closed forms and plain formulas."""

import pytest
import torch

from metrics import fid

pytest.importorskip("torch_fidelity", reason="torch-fidelity is not installed")


def normal(n, width, seed, shift=0.0, deviation=1.0):
    draws = torch.randn([n, width], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return draws * deviation + shift


def test_fid_of_normal_distributions():
    """|difference of means|^2 + width * (difference of deviations)^2."""
    a, b = normal(100_000, 4, 0), normal(100_000, 4, 1, shift=0.5, deviation=2)
    assert fid.fid(a, b) == pytest.approx(4 * 0.5**2 + 4 * 1, rel=0.02)


def plain_kid(x, y):
    """Unbiased squared maximum mean discrepancy, cubic kernel (Binkowski et al. 2018, Eq. 4)."""

    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    def of_others(k):
        return (k.sum() - k.trace()) / (len(k) * (len(k) - 1))

    return float(of_others(kernel(x, x)) + of_others(kernel(y, y)) - 2 * kernel(x, y).mean())


def test_kid_of_whole_sets():
    x, y = normal(40, 5, 0), normal(40, 5, 1, shift=0.3)
    mean, deviation = fid.kid(x, y, subsets=3)
    assert mean == pytest.approx(plain_kid(x, y), rel=1e-6) and deviation == pytest.approx(0, abs=1e-9)


def test_kid_of_subsets():
    """The mean over subsets is near the whole sets' value, repeats with its seed, and is about 0 for equal ones."""
    x, y = normal(300, 5, 0), normal(200, 5, 1, shift=0.3)
    mean, deviation = fid.kid(x, y, subset_size=100)
    assert deviation > 0 and mean == pytest.approx(plain_kid(x, y), abs=3 * deviation / 10)
    assert (mean, deviation) == fid.kid(x, y, subset_size=100) != fid.kid(x, y, subset_size=100, seed=1)
    same, spread = fid.kid(x[:150], x[150:], subset_size=100)
    assert abs(same) < 3 * spread < mean


def share_within(points, reference, neighbours):
    """The share of `points` that lie in a ball around some reference point, up to its n-th nearest other one."""
    radii = torch.cdist(reference, reference).sort(1).values[:, neighbours]  # the nearest is the point itself
    return (torch.cdist(points, reference) <= radii).any(1).double().mean().item()


@pytest.mark.parametrize("block", [7, 1000])
def test_precision_and_recall_of_small_sets(block, monkeypatch):
    """Narrow pictures in a wide reference are precise and recall little; the other way round the opposite."""
    monkeypatch.setattr(fid, "BLOCK", block)
    narrow, wide = normal(60, 3, 0, deviation=0.3), normal(80, 3, 1)
    precision, recall = fid.precision_recall(narrow, wide)
    assert precision == pytest.approx(share_within(narrow, wide, 3))
    assert recall == pytest.approx(share_within(wide, narrow, 3))
    assert precision > 0.9 and recall < 0.3
    assert fid.precision_recall(wide, narrow) == (pytest.approx(recall), pytest.approx(precision))
    assert fid.precision_recall(narrow, wide, neighbours=1)[1] < recall
