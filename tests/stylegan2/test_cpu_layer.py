"""The layer that is one function on the CPU equals the operators it stands for, as do its derivatives."""

import pytest
import torch

from stylegan2.ops import bias_act, modulated_conv2d, setup_filter
from stylegan2.ops.cpu_layer import cpu_layer, separate_operators


def inputs(n, up, frozen=False):
    """x, styles, noise, weight, bias."""
    random = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, generator=random, dtype=torch.float64)

    found = [draw(n, 2, 4, 3), draw(n, 2) + 1, draw(1, 1, 4 * up, 3 * up), draw(3, 2, 3, 3), draw(3)]
    return [t.requires_grad_(not frozen or index < 3) for index, t in enumerate(found)]


def layer(x, styles, noise, weight, bias, up, clamp):
    f = setup_filter([1, 3, 3, 1])
    return cpu_layer(x, weight, styles, noise, bias, up, 1, f, 1.4, clamp)


def operators(x, styles, noise, weight, bias, up, clamp):
    f = setup_filter([1, 3, 3, 1])
    z = modulated_conv2d(x, weight, styles, noise, up, 1, 1, f, flip_weight=up == 1)
    return bias_act(z, bias, act="lrelu", gain=1.4, clamp=clamp)


CASES = pytest.mark.parametrize("n,up,clamp", [(1, 1, None), (1, 2, None), (3, 1, 0.8), (3, 2, 0.8), (1, 2, 0.8)])


@CASES
@pytest.mark.parametrize("frozen", [False, True])
def test_equals_the_operators(n, up, clamp, frozen, monkeypatch):
    monkeypatch.setattr("stylegan2.ops.cpu_bias_act.BAND", 40)  # several bands
    arguments = inputs(n, up, frozen)
    results = []
    for function in (operators, layer):
        y = function(*arguments, up, clamp)
        upstream = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=y.dtype)
        results.append([y, *torch.autograd.grad(y, arguments[: 3 if frozen else 5], upstream)])
    for expected, actual in zip(*results, strict=True):
        assert torch.allclose(actual, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("n,up,clamp", [(2, 1, 0.8), (1, 2, None)])
def test_first_and_second_derivatives(n, up, clamp):
    assert torch.autograd.gradcheck(lambda *a: layer(*a, up, clamp), inputs(n, up))
    *wanted, weight, bias = inputs(n, up, frozen=True)
    assert torch.autograd.gradgradcheck(lambda *a: layer(*a, weight, bias, up, clamp), wanted)


def test_second_derivatives_of_a_trained_layer_are_the_operators():
    """As path length regularisation asks for them: the length of a gradient, differentiated to the weights."""
    found = []
    for function in (operators, layer):
        x, styles, noise, weight, bias = inputs(2, 2)
        (gradient,) = torch.autograd.grad(function(x, styles, noise, weight, bias, 2, None).sin().sum(), styles,
                                          create_graph=True)  # fmt: skip
        found.append(torch.autograd.grad(gradient.square().sum(), (styles, weight, bias)))
    for expected, actual in zip(*found, strict=True):
        torch.testing.assert_close(actual, expected)


def test_a_training_step_is_that_of_the_operators():
    """Gradients of all weights of a synthesis network, with and without the function, at sizes of real layers."""
    from stylegan2.generator import SynthesisNetwork

    torch.manual_seed(0)
    G = SynthesisNetwork(16, 32, 3, channel_base=512, channel_max=32).to(memory_format=torch.channels_last)
    w_plus = torch.randn(2, G.num_ws, 16)
    noise = [torch.randn(2, 1, *shape) for shape in G.noise_shapes()]
    for name, parameter in G.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(0.3)
    gradients = []
    for separately in (True, False):
        G.zero_grad()
        if separately:
            with separate_operators():
                image = G(w_plus, noise=noise)
        else:
            image = G(w_plus, noise=noise)
        image.square().mean().backward()
        gradients.append({name: p.grad.clone() for name, p in G.named_parameters()})
    for name, expected in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], expected, rtol=1e-3, atol=1e-5 * float(expected.abs().max()))


def test_bias_and_activation_in_bands(monkeypatch):
    """Values, derivatives and second derivatives are those of the separate operators, clamped or not."""
    import torch.nn.functional as F

    from stylegan2.ops.cpu_bias_act import cpu_bias_act

    monkeypatch.setattr("stylegan2.ops.cpu_bias_act.BAND", 40)
    x, b = torch.randn(2, 3, 5, 4).double().requires_grad_(), torch.randn(3).double().requires_grad_()
    for clamp in (None, 0.7):
        y = F.leaky_relu(x + b[:, None, None], 0.2) * 1.4
        expected = y if clamp is None else y.clamp(-clamp, clamp)
        assert torch.allclose(cpu_bias_act(x, b, 0.2, 1.4, clamp), expected)
        assert torch.autograd.gradcheck(lambda x, b, clamp=clamp: cpu_bias_act(x, b, 0.2, 1.4, clamp), (x, b))
        assert torch.autograd.gradgradcheck(lambda x, b, clamp=clamp: cpu_bias_act(x, b, 0.2, 1.4, clamp), (x, b))


def test_without_noise():
    x, styles, _, weight, bias = inputs(2, 1)
    expected, actual = (function(x, styles, None, weight, bias, 1, None) for function in (operators, layer))
    assert torch.allclose(expected, actual)
    grads = [torch.autograd.grad(y.square().sum(), (x, styles), create_graph=True) for y in (expected, actual)]
    assert all(torch.allclose(a, b) for a, b in zip(*grads, strict=True))
