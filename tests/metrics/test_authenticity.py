"""The classifier separates what differs, is blind where nothing does, and looks at its region alone."""

import pytest
import torch

from losses.perceptual import PerceptualNetwork
from metrics.authenticity import FEWEST, auc, fit, region_features


def normal(n, mean, seed):
    return torch.randn([n, 6], generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + mean


def test_different_sets_are_separated_and_equal_ones_are_not():
    classifier = fit(normal(100, 1.5, 0), normal(100, -1.5, 1))
    assert auc(classifier(normal(200, 1.5, 2)), classifier(normal(200, -1.5, 3))) > 0.99
    assert (classifier(normal(200, 1.5, 2)) > 0).double().mean() > 0.97
    blind = fit(normal(100, 0, 0), normal(100, 0, 1))
    assert 0.4 < auc(blind(normal(400, 0, 2)), blind(normal(400, 0, 3))) < 0.6


def test_the_same_answer_every_time():
    first, second = (fit(normal(50, 0.5, 0), normal(50, 0, 1)) for _ in range(2))
    assert torch.equal(first.weight, second.weight) and first.bias == second.bias


def test_too_few_pictures_are_refused():
    enough, few = normal(FEWEST, 1, 0), normal(FEWEST - 1, -1, 1)
    fit(enough, enough - 2)
    with pytest.raises(ValueError, match=f"{FEWEST} real and {FEWEST - 1} rendered pictures"):
        fit(enough, few)


def test_auc_by_hand():
    assert auc(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0])) == pytest.approx(3.5 / 4)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return PerceptualNetwork([4, 6], [1, 1]).requires_grad_(False)


def test_features_know_the_region_and_nothing_around_it(network):
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    region = torch.zeros(1, 32, 32, dtype=torch.bool)
    region[:, 8:24, 8:24] = True
    features = region_features(network, x, region)
    assert features.shape == (1, 20) and features.dtype == torch.float64
    around, within = x.clone(), x.clone()
    around[:, :, :8] = 1
    within[:, :, 12:16, 12:20] = 1
    assert torch.equal(region_features(network, around, region), features)
    assert (region_features(network, within, region) - features).abs().max() > 0.01


def test_features_know_no_exposure_and_no_cast(network):
    x = torch.rand(1, 3, 32, 32) - 0.5
    region = torch.ones(1, 32, 32, dtype=torch.bool)
    other = 1.5 * x + torch.tensor([0.2, 0.0, -0.2]).view(3, 1, 1)
    change = (region_features(network, other, region) - region_features(network, x, region)).abs().max()
    texture = (region_features(network, x.roll(1, 2) + x, region) - region_features(network, x, region)).abs().max()
    assert change < 0.2 * texture
