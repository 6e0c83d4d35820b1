"""Frechet distances against their closed form, and against each other."""

import pytest
import torch

from metrics import fid
from metrics.feature_distance import frechet_distance, paired_distances, pooled_features
from weights import WeightsError


def normal(n, mean, deviation, seed):
    draws = torch.randn([n, len(mean)], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return draws * torch.tensor(deviation, dtype=torch.float64) + torch.tensor(mean, dtype=torch.float64)


def test_closed_form_of_two_normal_distributions():
    """|difference of means|^2 + sum (difference of deviations)^2 where the covariances commute."""
    a, b = normal(200_000, [0.0, 1.0, 2.0], [1.0, 2.0, 0.5], 0), normal(200_000, [1.0, 1.0, 0.0], [1.5, 1.0, 0.5], 1)
    assert frechet_distance(a, b) == pytest.approx(1 + 4 + 0.25 + 1.0, rel=0.01)


def test_any_covariance_agrees_with_torch_fidelity():
    pytest.importorskip("torch_fidelity", reason="torch-fidelity is not installed")
    random = torch.Generator().manual_seed(0)
    mix = [torch.randn([6, 6], generator=random, dtype=torch.float64) for _ in range(2)]
    a, b = (normal(500, [0.0] * 6, [1.0] * 6, i) @ m for i, m in enumerate(mix))
    assert frechet_distance(a, b) == pytest.approx(fid.fid(a, b), rel=1e-6)
    assert abs(frechet_distance(a, a)) < 1e-6


def test_few_rows_of_many_numbers_and_statistics_agree_with_the_long_way():
    a, b = normal(9, [0.0] * 20, [1.0] * 20, 0), normal(40, [0.5] * 20, [2.0] * 20, 1)
    A, (values, vectors) = torch.cov(a.T), torch.linalg.eigh(torch.cov(b.T))
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root @ A @ root).clamp(min=0).sqrt().sum()
    expected = (a.mean(0) - b.mean(0)).square().sum() + A.trace() + values.sum() - 2 * cross
    assert frechet_distance(a, b) == pytest.approx(expected.item(), rel=1e-6)
    assert frechet_distance(a, fid.statistics(b)) == pytest.approx(expected.item(), rel=1e-6)


def test_inception_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match="none.pth: no such weight file; python scripts/download"):
        fid.load_inception(tmp_path / "none.pth")
    (tmp_path / "other.pth").write_bytes(b"something else")
    with pytest.raises(WeightsError, match="other.pth: SHA-256 .* is not the original's 6726825d"):
        fid.load_inception(tmp_path / "other.pth")


def test_inception_features_of_a_loaded_network(tmp_path, monkeypatch):
    """With random weights in torch-fidelity's layout: loaded from the file, one row a picture, blind to float noise."""
    extractor = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3", reason="torch-fidelity is missing")
    network = extractor.FeatureExtractorInceptionV3
    with monkeypatch.context() as patch:
        patch.setattr(torch, "load", lambda *a, **k: {})
        patch.setattr(network, "load_state_dict", lambda *a, **k: None)
        torch.save(network("inception-v3-compat", ["2048"], __file__).state_dict(), tmp_path / "random.pth")
    monkeypatch.setattr(fid, "SHA256_PREFIX", "")
    loaded = fid.load_inception(tmp_path / "random.pth")
    images = torch.rand([2, 3, 64, 64]) * 2 - 1
    features = fid.inception_features(loaded, images)
    assert features.shape == (2, 2048) and features.dtype == torch.float64
    assert (features[0] - features[1]).abs().max() > 0
    rounded = ((images + 1) * 127.5).round() / 127.5 - 1
    assert torch.equal(fid.inception_features(loaded, rounded + 1e-4), fid.inception_features(loaded, rounded))
    torch.save({"x": torch.zeros(1)}, tmp_path / "wrong.pth")
    with pytest.raises(WeightsError, match="wrong.pth: does not hold torch-fidelity's"):
        fid.load_inception(tmp_path / "wrong.pth")


def test_pooled_features_have_no_place():
    """Means over positions: a picture moved by whole pooling cells, around the edge, has nearly the same features."""
    from losses.perceptual import PerceptualNetwork

    network = PerceptualNetwork([4, 6, 8], [1, 1, 1]).requires_grad_(False)
    x = torch.rand(3, 3, 64, 64) * 2 - 1
    features = pooled_features(network, x)
    assert features.shape == (3, 14) and features.dtype == torch.float64
    moved = pooled_features(network, x.roll(16, dims=3))
    assert (moved - features).abs().max() < 0.2 * (features[0] - pooled_features(network, -x)[0]).abs().max() + 0.02


def test_paired_distances():
    """The first is the distance itself; the same seed draws the same portraits; more pictures vary less."""
    random = torch.Generator().manual_seed(0)
    mix = torch.randn([8, 8], generator=random, dtype=torch.float64)
    reference, few = normal(300, [0.0] * 8, [1.0] * 8, 1) @ mix, normal(6, [0.5] * 8, [1.0] * 8, 2)
    values = paired_distances(few, reference, samples=50)
    assert values.shape == (51,) and values[0] == pytest.approx(frechet_distance(few, reference), rel=1e-6)
    assert torch.equal(values, paired_distances(few, reference, samples=50)) and values.std() > 0
    shifted = paired_distances(few + 1e-3, reference, samples=50)
    assert (shifted - values)[1:].std() < 0.05 * values[1:].std()
    many = paired_distances(normal(600, [0.5] * 8, [1.0] * 8, 2), reference, samples=50)
    assert many[1:].std() < 0.5 * values[1:].std()
