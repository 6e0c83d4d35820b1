"""The framework ablation: both identity losses guide the inversion, with the weights they have in Eq. 3."""

from dataclasses import replace

import pytest
import torch

from inversion import guided
from inversion.guided import guidance_to
from losses.color import ColorSpec, color_loss
from losses.perceptual import PerceptualNetwork
from losses.sketch import SketchSpec, sketch_loss
from sketch.network import SketchExtractor

SKETCH = SketchSpec(weight=10, size=32, reduction="mean")
COLOR = ColorSpec(weight=30, size=16, kernel=3, sigma=1.0)


@pytest.fixture
def networks():
    torch.manual_seed(3)
    return (
        PerceptualNetwork([8, 8], [1, 1]).requires_grad_(False),
        SketchExtractor(ngf=4, n_downsampling=1, n_blocks=1).requires_grad_(False),
    )


@pytest.fixture
def target(small_generator):
    w = small_generator.mapping(torch.randn(2, 16, generator=torch.Generator().manual_seed(4)))
    return small_generator.synthesis(w, noise_mode="const")


def test_guidance_is_the_weighted_mean_of_eqs_1_and_2(networks):
    perceptual, extractor = networks
    a, b = torch.rand(2, 1, 3, 32, 32) * 2 - 1
    for reduction, weight in (("mean", 10), ("sum", 10 / (3 * 32**2))):
        spec = replace(SKETCH, reduction=reduction, weight=weight)
        found = guidance_to(b, perceptual, extractor, spec, COLOR)(a)
        sketch = sketch_loss(extractor, a, b, spec) * weight
        color = color_loss(perceptual, a, b, COLOR) * 30
        assert found.item() == pytest.approx((sketch + color).item() / 40, rel=1e-5)


def test_the_guidance_falls_and_portraits_stay_apart(networks, small_generator, target):
    perceptual, extractor = networks
    given = dict(extractor=extractor, sketch=SKETCH, color=COLOR)
    seen = []
    result = guided(
        small_generator, target, perceptual, steps=40, on_step=lambda step, value: seen.append(step), **given
    )
    first, last = result.history[0]["guidance"], result.history[-1]["guidance"]
    assert all(b < 0.7 * a for a, b in zip(first, last, strict=True)) and seen == list(range(40))
    assert result.w_plus.shape == (2, small_generator.num_ws, 16) and result.image.shape == target.shape
    alone = guided(small_generator, target[1:], perceptual, steps=3, **given)
    together = guided(small_generator, target, perceptual, steps=3, **given)
    torch.testing.assert_close(alone.w_plus, together.w_plus[1:], rtol=1e-2, atol=1e-2)


def test_losses_that_are_both_off_are_refused(networks, small_generator, target):
    perceptual, extractor = networks
    off = dict(sketch=replace(SKETCH, weight=0), color=replace(COLOR, weight=0))
    with pytest.raises(ValueError, match="must not both be 0"):
        guided(small_generator, target, perceptual, extractor=extractor, steps=1, **off)
    with pytest.raises(ValueError, match="'sum' or 'mean'"):
        guided(
            small_generator,
            target,
            perceptual,
            extractor=extractor,
            steps=1,
            sketch=replace(SKETCH, reduction="x"),
            color=COLOR,
        )
