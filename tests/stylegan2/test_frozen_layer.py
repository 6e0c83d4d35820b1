"""The layer of a frozen generator equals the operators it stands for, with its first and second derivatives."""

from importlib import import_module

import pytest
import torch

from stylegan2.ops import bias_act, conv2d_resample, modulated_conv2d, setup_filter
from stylegan2.ops.conv2d_resample import conv_transpose_by_phases
from stylegan2.ops.frozen_layer import frozen_layer


def inputs(n, up, dtype=torch.float64):
    random = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, generator=random, dtype=torch.float64).to(dtype)

    size = 6 * up
    x, styles = draw(n, 3, 6, 5).requires_grad_(), (draw(n, 3) + 1).requires_grad_()
    return x, styles, draw(1, 1, size, 5 * up).requires_grad_(), draw(4, 3, 3, 3), draw(4)


def layer(x, styles, noise, weight, bias, up, clamp):
    f = setup_filter([1, 3, 3, 1])
    return frozen_layer(x, weight, styles, noise, bias, up, 1, f, 1.4, clamp)


def operators(x, styles, noise, weight, bias, up, clamp):
    f = setup_filter([1, 3, 3, 1])
    z = modulated_conv2d(x, weight, styles, noise, up, 1, 1, f, flip_weight=up == 1)
    return bias_act(z, bias, act="lrelu", gain=1.4, clamp=clamp)


CASES = pytest.mark.parametrize("n,up,clamp", [(1, 1, None), (1, 2, None), (3, 1, 0.8), (3, 2, 0.8), (1, 2, 0.8)])


@CASES
def test_equals_the_operators(n, up, clamp, monkeypatch):
    monkeypatch.setattr("stylegan2.ops.frozen_layer.BAND", 40)  # several bands
    arguments = inputs(n, up)
    results = []
    for function in (operators, layer):
        y = function(*arguments, up, clamp)
        upstream = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=y.dtype)
        results.append([y, *torch.autograd.grad(y, arguments[:3], upstream)])
    for expected, actual in zip(*results, strict=True):
        assert torch.allclose(actual, expected, rtol=1e-6, atol=1e-9)


@CASES
def test_first_and_second_derivatives(n, up, clamp):
    *wanted, weight, bias = inputs(n, up)
    assert torch.autograd.gradcheck(lambda *a: layer(*a, weight, bias, up, clamp), wanted)
    assert torch.autograd.gradgradcheck(lambda *a: layer(*a, weight, bias, up, clamp), wanted)


def test_without_noise():
    x, styles, _, weight, bias = inputs(2, 1)
    expected, actual = (function(x, styles, None, weight, bias, 1, None) for function in (operators, layer))
    assert torch.allclose(expected, actual)
    grads = [torch.autograd.grad(y.square().sum(), (x, styles), create_graph=True) for y in (expected, actual)]
    assert all(torch.allclose(a, b) for a, b in zip(*grads, strict=True))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_transposed_convolution_by_phases(layout):
    x = torch.randn(2, 3, 5, 7).to(memory_format=layout)
    w = torch.randn(3, 4, 3, 3)
    wanted = torch.nn.functional.conv_transpose2d(x, w, stride=2)
    torch.testing.assert_close(conv_transpose_by_phases(x, w), wanted, atol=1e-5, rtol=1e-5)


def test_phases_and_the_operator_give_one_layer(monkeypatch):
    """At a size where the phases are used, the up-sampling convolution is what it is without them."""
    x, w, f = torch.randn(1, 2, 32, 32), torch.randn(3, 2, 3, 3), setup_filter([1, 3, 3, 1])
    with torch.no_grad():
        fast = conv2d_resample(x, w, f, up=2, padding=1, flip_weight=False)
        monkeypatch.setattr(import_module("stylegan2.ops.conv2d_resample"), "phases_pay", lambda *arguments: False)
        plain = conv2d_resample(x, w, f, up=2, padding=1, flip_weight=False)
    torch.testing.assert_close(fast, plain, atol=1e-5, rtol=1e-5)
