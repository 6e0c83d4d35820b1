"""g_real draws the latent, changed as tuning changed g_rendering."""

import copy

import pytest
import torch

from inversion import Inversion, regenerate
from stylegan2 import Generator

COARSE = ("synthesis.b4.", "synthesis.b8.", "synthesis.b16.")  # of the generator at 32x32


def randomized(generator, seed):
    """A copy with every weight of the synthesis moved a little."""
    result, random = copy.deepcopy(generator), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in result.synthesis.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=random)
    return result


@pytest.fixture
def w_plus(small_generator):
    return small_generator.mapping(torch.randn(2, 16, generator=torch.Generator().manual_seed(4))).detach()


def test_without_tuning_it_is_the_generators_picture(small_generator, w_plus):
    image = regenerate(small_generator, Inversion(w_plus, None, []))
    assert torch.equal(image, small_generator.synthesis(w_plus, noise_mode="const"))


def test_the_tuning_is_added_to_the_coarse_weights_and_nothing_is_touched(small_generator, w_plus):
    other, tuned = randomized(small_generator, 3), [randomized(small_generator, seed) for seed in (4, 5)]
    before = {k: v.clone() for k, v in other.state_dict().items()}
    images = regenerate(other, Inversion(w_plus, None, [], tuned), small_generator)
    assert all(torch.equal(v, before[k]) for k, v in other.state_dict().items())
    for i, G in enumerate(tuned):
        bent, change = copy.deepcopy(other), G.state_dict()
        bent.load_state_dict(
            {
                k: v + change[k] - small_generator.state_dict()[k] if k.startswith(COARSE) and "torgb" not in k else v
                for k, v in before.items()
            }
        )
        wanted = bent.synthesis(w_plus[i : i + 1], noise_mode="const")
        torch.testing.assert_close(images[i : i + 1], wanted, rtol=1e-4, atol=1e-4)
        plain = other.synthesis(w_plus[i : i + 1], noise_mode="const")
        assert (images[i : i + 1] - plain).abs().max() > 0.01


def test_the_look_is_not_carried_over(small_generator, w_plus):
    """A change of colours (ToRGB) or of the finest block alone leaves the portrait as it was."""
    tuned = randomized(small_generator, 1)
    state = tuned.state_dict()
    kept = {k: v for k, v in small_generator.state_dict().items() if k.startswith(COARSE) and "torgb" not in k}
    tuned.load_state_dict(state | kept)
    image = regenerate(small_generator, Inversion(w_plus[:1], None, [], [tuned]), small_generator)
    assert torch.equal(image, small_generator.synthesis(w_plus[:1], noise_mode="const"))
    assert not torch.equal(image, tuned.synthesis(w_plus[:1], noise_mode="const"))


def test_another_architecture_is_refused(small_generator, w_plus):
    wider = Generator(16, 0, 16, 32, 3, {"num_layers": 2}, {"channel_base": 512, "channel_max": 32})
    with pytest.raises(ValueError, match="differ in architecture"):
        regenerate(wider, Inversion(w_plus[:1], None, [], [small_generator]), small_generator)
