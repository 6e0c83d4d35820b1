"""Eq. 1 and Eq. 2: values worked out by hand, and where the gradient may go."""

import pytest
import torch
from torch import nn

from losses.color import ColorSpec, color_loss
from losses.resize import LPIPS_SIZE, comparable, downsample
from losses.sketch import SketchSpec, sketch_loss
from sketch.blur import gaussian_blur


class Pixels(nn.Module):
    """A perceptual network whose features are the pixels themselves."""

    def features(self, x):
        return [x.flatten(1)]

    def distance(self, a, b):
        return (a[0] - b[0]).square().sum(1)


def pictures(count=2, size=16):
    generator = torch.Generator().manual_seed(3)
    a, b = torch.rand(2, count, 3, size, size, generator=generator) * 2 - 1
    return a.requires_grad_(), b.requires_grad_()


def test_sketch_loss_is_the_l1_norm_of_each_picture_averaged_over_the_batch():
    real, rendering = pictures()
    loss = sketch_loss(nn.Identity(), real, rendering, SketchSpec(size=16))
    expected = (real - rendering).abs().flatten(1).sum(1).mean()
    assert torch.isclose(loss, expected)
    mean = sketch_loss(nn.Identity(), real, rendering, SketchSpec(size=16, reduction="mean"))
    assert torch.isclose(mean * 3 * 16 * 16, expected)
    with pytest.raises(ValueError, match="reduction"):
        sketch_loss(nn.Identity(), real, rendering, SketchSpec(size=16, reduction="none"))


def test_sketch_loss_compares_at_the_given_size():
    real, rendering = pictures()
    small = sketch_loss(nn.Identity(), real, rendering, SketchSpec(size=8, reduction="mean"))
    assert torch.isclose(small, (downsample(real, 8) - downsample(rendering, 8)).abs().mean())
    assert downsample(real, 16) is real
    x = torch.zeros(1, 1, 8, 8)
    x[..., ::2] = 1  # stripes must average out, not alias
    assert (downsample(x, 4)[..., 1:-1] - 0.5).abs().max() < 0.01


def test_gradients_flow_into_the_rendering_only():
    for loss in (
        lambda a, b: sketch_loss(nn.Identity(), a, b, SketchSpec(size=16)),
        lambda a, b: color_loss(Pixels(), a, b, ColorSpec(size=16, kernel=5, sigma=2.0)),
    ):
        real, rendering = pictures()
        loss(real, rendering).backward()
        assert real.grad is None
        assert rendering.grad.abs().sum() > 0


def test_gaussian_blur_is_the_two_dimensional_gaussian():
    x = torch.zeros(1, 2, 31, 31)
    x[0, 0, 15, 15] = 1
    x[0, 1] = 0.7
    y = gaussian_blur(x, kernel=13, sigma=10.0)
    offsets = torch.arange(-6, 7.0)
    window = torch.exp(-(offsets[:, None] ** 2 + offsets**2) / 200)
    assert torch.allclose(y[0, 0, 9:22, 9:22], window / window.sum(), atol=1e-7)
    assert y[0, 0].count_nonzero() == 169
    assert torch.allclose(y[0, 1], torch.full([31, 31], 0.7))  # channels stay apart, borders are reflected
    for kernel, size in ((4, 31), (13, 6)):
        with pytest.raises(ValueError, match="kernel"):
            gaussian_blur(torch.zeros(1, 3, size, size), kernel=kernel)


def test_color_loss_sees_colour_and_not_detail():
    real = torch.zeros(2, 3, 32, 32)
    checker = (torch.arange(32)[:, None] + torch.arange(32)) % 2 * 2.0 - 1
    tint = torch.tensor([0.2, -0.1, 0.0]).view(1, 3, 1, 1)
    detail = color_loss(Pixels(), real, real + 0.2 * checker, ColorSpec(size=32))
    colour = color_loss(Pixels(), real, real + tint, ColorSpec(size=32))
    assert torch.isclose(colour, torch.tensor((0.2**2 + 0.1**2) * 32 * 32), rtol=1e-4)
    assert detail < 1e-2 * colour


def test_lpips_sees_the_same_picture_wherever_it_is_compared():
    """At most LPIPS_SIZE pixels; a larger picture by area, so that every pixel counts the same."""
    small, large = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 2 * LPIPS_SIZE, 2 * LPIPS_SIZE)
    assert comparable(small) is small
    torch.testing.assert_close(comparable(large), torch.nn.functional.avg_pool2d(large, 2))
