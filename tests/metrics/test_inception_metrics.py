"""FID, KID, precision and recall through torch-fidelity, against closed forms and plain formulas."""

import numpy as np
import pytest
import torch

from metrics import fid
from weights import WeightsError

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


def test_statistics_are_pytorch_fids(tmp_path):
    """A set given by mean and covariance counts as its features do; the file is an .npz of mu and sigma."""
    a, b = normal(200, 5, 0), normal(300, 5, 1, shift=0.5)
    fid.write_statistics(tmp_path / "b.npz", fid.statistics(b))
    with np.load(tmp_path / "b.npz") as file:
        assert set(file) == {"mu", "sigma"} and file["mu"].dtype == np.float64
        np.testing.assert_allclose(file["sigma"], np.cov(b.numpy(), rowvar=False))
    read = fid.read_statistics(tmp_path / "b.npz")
    assert fid.fid(a, read) == pytest.approx(fid.fid(a, b), rel=1e-9) == fid.fid(fid.statistics(a), b)
    with pytest.raises(ValueError, match="4 and of 5"):
        fid.fid(normal(10, 4, 0), read)


@pytest.mark.parametrize(
    "content, said",
    [
        ({"mu": np.zeros(3)}, "no mu and sigma"),
        ({"mu": np.zeros(3), "sigma": np.zeros((3, 2))}, "do not fit"),
        ({"mu": np.zeros(3), "sigma": np.full((3, 3), np.nan)}, "not finite"),
        ({"mu": np.array([{}], dtype=object), "sigma": np.eye(1)}, "pickled object"),
    ],
)
def test_other_statistics_are_refused(tmp_path, content, said):
    np.savez(tmp_path / "x.npz", **content)
    with pytest.raises(WeightsError, match=f"x.npz: .*{said}"):
        fid.read_statistics(tmp_path / "x.npz")


def test_statistics_are_no_training_pictures(tmp_path):
    from training.dataset import DatasetError, training_names

    fid.write_statistics(tmp_path / "x.npz", fid.statistics(normal(9, 2, 0)))
    with pytest.raises(DatasetError, match="x.npz: holds numbers"):
        training_names(tmp_path / "x.npz")


@pytest.fixture(scope="module")
def inception_state():
    """Tensors of the true names and shapes, all 0.01: Inception without the library reading a file."""
    with torch.device("meta"):
        network = fid._inception_skeleton()
    return {name: torch.full(t.shape, 0.01, dtype=t.dtype) for name, t in network.state_dict().items()}


def test_inception_is_filled_by_us(tmp_path, monkeypatch, inception_state):
    monkeypatch.setattr(fid, "SHA256_PREFIX", "")
    loads = []
    original = torch.load
    monkeypatch.setattr(torch, "load", lambda path, **k: loads.append(str(path)) or original(path, **k))
    torch.save(inception_state, tmp_path / "w.pth")
    network = fid.load_inception(tmp_path / "w.pth")
    assert type(network).__module__.startswith("torch_fidelity") and not network.training
    assert torch.equal(network.fc.weight, inception_state["fc.weight"])
    features = fid.inception_features(network, torch.zeros(1, 3, 32, 32))
    assert features.shape == (1, 2048) and features.dtype == torch.float64
    assert str(tmp_path / "w.pth") not in loads, "the library has read the file itself"

    torch.save({"state_dict": inception_state | {"fc.bias": torch.zeros(7)}}, tmp_path / "short.pth")
    with pytest.raises(WeightsError, match=r"short.pth: .* fc.bias, is \[7\], expected \[1008\]"):
        fid.load_inception(tmp_path / "short.pth")
    (tmp_path / "spoilt.pth").write_bytes(b"x" * 100)
    with pytest.raises(WeightsError, match="spoilt.pth: not a checkpoint"):
        fid.load_inception(tmp_path / "spoilt.pth")
    monkeypatch.undo()
    with pytest.raises(WeightsError, match="is not the original's 6726825d"):
        fid.load_inception(tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="none.pth: no such .*download_weights.py inception"):
        fid.load_inception(tmp_path / "none.pth")
