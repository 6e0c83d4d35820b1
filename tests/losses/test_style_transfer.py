"""Style transfer losses: equal to their definitions written out, in bounded memory."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from losses import style_transfer
from losses.perceptual import PerceptualNetwork, VGGPerceptual
from losses.style_transfer import (
    Samples,
    columns_at,
    content_loss,
    cosine_distance,
    euclidean_distance,
    feature_maps,
    layer_gains,
    moment_distance,
    nearest,
    opponent,
    relaxed_emd,
    sample,
)


def points(count, channels, seed):
    return torch.randn(count, channels, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def plain_emd(distances):
    return torch.maximum(distances.min(1).values.mean(), distances.min(0).values.mean())


@pytest.mark.parametrize("pairs", [7, 2**21])  # portions of one row, and all at once
def test_emd_and_its_derivative_equal_the_definition(monkeypatch, pairs):
    monkeypatch.setattr(style_transfer, "PAIRS", pairs)
    for seed, (rows, others) in enumerate([(9, 13), (13, 9)]):
        a, b = points(rows, 5, seed).requires_grad_(), points(others, 5, seed + 10)
        for ours, expected in (
            (relaxed_emd(normalize(a), normalize(b), cosine_distance), plain_emd(1 - normalize(a) @ normalize(b).T)),
            (relaxed_emd(a, b, euclidean_distance), plain_emd((a[:, None] - b).norm(dim=2))),
        ):
            assert torch.allclose(ours, expected)
            gradients = [torch.autograd.grad(loss, a, retain_graph=True)[0] for loss in (ours, expected)]
            assert torch.allclose(*gradients)


def test_nearest_finds_each_point_in_a_shuffled_copy():
    a = points(50, 4, 0)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(1))
    to_b, to_a = nearest(a, a[order])
    assert torch.equal(order[to_b], torch.arange(50)) and torch.equal(to_a, order)


def test_equal_points_have_no_distance_and_a_finite_derivative():
    a = points(6, 3, 0).requires_grad_()
    loss = relaxed_emd(a, a.detach(), euclidean_distance)
    assert loss == 0 and torch.equal(torch.autograd.grad(loss, a)[0], torch.zeros_like(a))


def as_samples(columns):
    return Samples(columns, columns[:, :3])


def test_content_is_the_mean_difference_of_all_cosines():
    a, b = points(8, 5, 0), points(8, 5, 1)
    distance = [1 - torch.nn.functional.cosine_similarity(x[:, None], x[None], dim=2) for x in (a, b)]
    assert torch.allclose(content_loss(as_samples(a), as_samples(b)), (distance[0] - distance[1]).abs().mean())
    rotation = torch.linalg.qr(points(5, 5, 2))[0]
    assert content_loss(as_samples(a @ rotation), as_samples(a)) < 1e-12  # only relations among the points count


def test_moments_see_mean_and_covariance():
    a = points(500, 3, 0)
    b = (a - a.mean(0)) * 2 + a.mean(0)
    a, b, moved = as_samples(a), as_samples(b), as_samples(a + 0.5)
    assert moment_distance(a, a) == 0
    assert torch.allclose(moment_distance(moved, a), torch.tensor(0.5, dtype=torch.double))
    assert torch.allclose(moment_distance(b, a), 3 * torch.cov(a.columns.T).abs().mean())


def test_opponent_keeps_lengths_and_puts_grey_first():
    colors = points(20, 3, 0)
    assert torch.allclose(opponent(colors).norm(dim=1), colors.norm(dim=1), atol=1e-6)
    assert torch.allclose(opponent(torch.ones(1, 3)), torch.tensor([[3**0.5, 0, 0]]), atol=1e-6)


def test_samples_read_the_right_places():
    picture = torch.zeros(1, 3, 8, 8)
    picture[0, 0, 2, 5] = 1  # row 2, column 5: centre at x = 5.5 / 8, y = 2.5 / 8
    maps = feature_maps(PerceptualNetwork([4, 8], [1, 1]), picture)
    where = torch.tensor([[2 * 5.5 / 8 - 1, 2 * 2.5 / 8 - 1], [-1.0, -1.0]])
    found = sample(maps, where, [1.0] * len(maps))
    assert found.columns.shape == (2, 3 + 4 + 8)
    assert torch.allclose(found.colors, torch.tensor([[1.0, 0, 0], [0, 0, 0]]))
    gained = sample(maps, where, layer_gains(maps))
    assert torch.equal(gained.colors, found.colors)  # colours keep their range
    assert torch.allclose(gained.columns[0, 0], picture.square().sum(1).mean() ** -0.5)


def vgg_like():
    """VGGPerceptual's forward pass with tapped layers of a few channels."""
    network = torch.nn.Module()
    widths = [(3, 4), (4, 4), 0, (4, 6), (6, 6), 0, (6, 5), (5, 5), (5, 5), 0, (5, 3), (3, 3), (3, 3), 0]
    layers = []
    for pair in [*widths, (3, 7), (7, 7), (7, 7)]:
        conv = torch.nn.Conv2d(*(pair or (1, 1)), 3, padding=1)
        layers += [conv, torch.nn.ReLU()] if pair else [torch.nn.MaxPool2d(2)]
    network.trunk = torch.nn.Sequential(*layers)
    network.shift, network.scale = torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1), torch.tensor(2.0)
    return network


@pytest.mark.parametrize("kind", ["own", "vgg"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_columns_and_their_derivative_equal_those_of_the_maps(kind, layout):
    torch.manual_seed(0)
    network = PerceptualNetwork([4, 8, 5], [1, 2, 1]) if kind == "own" else vgg_like()
    network = network.double().requires_grad_(False).to(memory_format=layout)
    picture = torch.randn(1, 3, 37, 50, dtype=torch.double).contiguous(memory_format=layout).requires_grad_()
    special = torch.tensor([[-1.0, -1], [1, 1], [1, -1], [0.999, 0], [0, 0], [0, 0]], dtype=torch.double)
    where = torch.cat([torch.rand(40, 2, dtype=torch.double) * 2 - 1, special])
    maps = feature_maps(network, picture)
    gains = [gain.detach() for gain in layer_gains(maps)]
    expected, found = sample(maps, where, gains), columns_at(network, picture, where, gains)
    assert torch.allclose(found.columns, expected.columns) and torch.allclose(found.colors, expected.colors)
    weights = torch.randn_like(found.columns)
    losses = [(x.columns * weights).sum() + x.colors.square().sum() for x in (found, expected)]
    of_found, of_expected = (torch.autograd.grad(loss, picture)[0] for loss in losses)
    assert torch.allclose(of_found, of_expected)


def test_maps_are_the_networks_own():
    torch.manual_seed(0)
    network, picture = PerceptualNetwork([4, 8], [2, 1]), torch.randn(1, 3, 20, 24)
    for ours, own in zip(feature_maps(network, picture)[1:], network.activations(picture), strict=True):
        assert torch.equal(ours, own)


def test_vgg_hypercolumns_have_the_papers_width():
    from torchvision.models import vgg16

    with torch.device("meta"):
        shapes = vgg16(weights=None).state_dict()
    network = VGGPerceptual({key: torch.zeros(value.shape) for key, value in shapes.items() if "features" in key})
    maps = feature_maps(network, torch.zeros(1, 3, 32, 32))
    assert sum(m.shape[1] for m in maps) == 2179
    assert [m.shape[2] for m in maps] == [32, 32, 32, 16, 16, 8, 8, 8, 4, 2]


@pytest.mark.slow
def test_pairwise_terms_stay_within_memory():
    """2048 x 5000 points of 2179 channels, forward and backward: the whole process within 1.5 GB more than before."""
    program = """
import resource, torch
from losses.style_transfer import *
torch.set_num_threads(1)
a, b = torch.randn(2048, 2179).requires_grad_(), torch.randn(5000, 2179)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
style_loss(Samples(a, a[:, :3]), Samples(b, b[:, :3]), 8.0).backward()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1.5e9
