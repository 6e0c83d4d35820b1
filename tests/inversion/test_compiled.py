"""Compiled or not, the same inversion; without a compiler, a line and the networks as they were."""

import functools

import pytest
import torch

from inversion import Schedule, Tuning, invert, latent_optimization, regenerate
from inversion.compiled import compile_networks
from losses.perceptual import PerceptualNetwork


@pytest.fixture
def perceptual():
    torch.manual_seed(0)
    return PerceptualNetwork([4, 8], [1, 1]).eval().requires_grad_(False)


def test_the_same_inversion(small_generator, perceptual, monkeypatch):
    target = torch.rand(1, 3, 32, 32) * 2 - 1
    plain = latent_optimization(small_generator, target, perceptual, steps=3)
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    before = small_generator.synthesis
    assert compile_networks(small_generator, perceptual) is None
    assert small_generator.synthesis is not before
    compiled = latent_optimization(small_generator, target, perceptual, steps=3)
    torch.testing.assert_close(compiled.image, plain.image, atol=1e-3, rtol=0)
    torch.testing.assert_close(compiled.w_plus, plain.w_plus, atol=1e-3, rtol=0)

    tuned = invert(small_generator, target, perceptual, Schedule(1, tuning=Tuning(1, lr=1e-3)))
    plain_generator = tuned.generators[0]
    assert all("_orig_mod" not in name for name, _ in plain_generator.named_parameters())
    assert regenerate(plain_generator, tuned, small_generator).shape == target.shape


def test_without_a_compiler(small_generator, perceptual, monkeypatch):
    def missing(function):
        def call(*arguments, **options):
            raise RuntimeError("no working C++ compiler\nlong explanation")

        return torch.nn.Identity() if isinstance(function, torch.nn.Module) else call

    synthesis = small_generator.synthesis
    monkeypatch.setattr(torch, "compile", missing)
    note = compile_networks(small_generator, perceptual)
    assert note.startswith("not compiled (") and "\n" not in note
    assert small_generator.synthesis is synthesis and "features" not in vars(perceptual)
    target = torch.zeros(1, 3, 32, 32)
    assert torch.isfinite(latent_optimization(small_generator, target, perceptual, steps=1).image).all()
