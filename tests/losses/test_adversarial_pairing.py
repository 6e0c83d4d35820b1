"""The relativistic pairing loss: only differences count, and D and G pull in opposite directions."""

import math

import torch

from losses.adversarial import pairing_loss


def test_value_and_invariance():
    higher, lower = torch.tensor([[1.0], [-2.0]]), torch.tensor([[0.5], [1.0]])
    expected = (math.log(1 + math.exp(-0.5)) + math.log(1 + math.exp(3.0))) / 2
    assert math.isclose(pairing_loss(higher, lower).item(), expected, rel_tol=1e-6)
    assert torch.allclose(pairing_loss(higher + 7, lower + 7), pairing_loss(higher, lower))


def test_gradients_are_opposite():
    real, fake = torch.randn(5, 1, requires_grad=True), torch.randn(5, 1, requires_grad=True)
    pairing_loss(real, fake).backward()
    assert (real.grad < 0).all() and torch.allclose(real.grad, -fake.grad)
