"""A small perceptual network and two pictures that the small generator can draw."""

import pytest
import torch

from losses.perceptual import PerceptualNetwork


@pytest.fixture
def perceptual():
    torch.manual_seed(3)
    return PerceptualNetwork([8, 8], [1, 1]).requires_grad_(False)


@pytest.fixture
def target(small_generator):
    w = small_generator.mapping(torch.randn(2, 16, generator=torch.Generator().manual_seed(4)))
    return small_generator.synthesis(w, noise_mode="const")
