"""g_real draws the latent, changed as tuning changed g_rendering."""

import copy

import pytest
import torch

from inversion import Inversion, regenerate
from stylegan2.generator import Generator


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


def test_the_tuning_of_the_same_generator_comes_back_whole(small_generator, w_plus):
    tuned = [randomized(small_generator, seed) for seed in (1, 2)]
    image = regenerate(small_generator, Inversion(w_plus, None, [], tuned), small_generator)
    for i, G in enumerate(tuned):
        wanted = G.synthesis(w_plus[i : i + 1], noise_mode="const")
        torch.testing.assert_close(image[i : i + 1], wanted, rtol=1e-4, atol=1e-4)
    assert (image[0] - small_generator.synthesis(w_plus, noise_mode="const")[0]).abs().max() > 0.01


def test_another_generators_tuning_is_added_and_nothing_is_touched(small_generator, w_plus):
    other, tuned = randomized(small_generator, 3), randomized(small_generator, 4)
    before = {k: v.clone() for k, v in other.state_dict().items()}
    image = regenerate(other, Inversion(w_plus[:1], None, [], [tuned]), small_generator)
    assert all(torch.equal(v, before[k]) for k, v in other.state_dict().items())
    both = copy.deepcopy(other)
    both.load_state_dict({
        k: v + tuned.state_dict()[k] - small_generator.state_dict()[k] if k.startswith("synthesis.") else v
        for k, v in before.items()
    })  # fmt: skip
    wanted = both.synthesis(w_plus[:1], noise_mode="const")
    torch.testing.assert_close(image, wanted, rtol=1e-4, atol=1e-4)


def test_another_architecture_is_refused(small_generator, w_plus):
    wider = Generator(16, 0, 16, 32, 3, {"num_layers": 2}, {"channel_base": 512, "channel_max": 32})
    with pytest.raises(ValueError, match="differ in architecture"):
        regenerate(wider, Inversion(w_plus[:1], None, [], [small_generator]), small_generator)
