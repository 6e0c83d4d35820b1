"""What holds for every inversion method: one form, portraits side by side, a start, and a generator left alone."""

import copy

import pytest
import torch

from inversion import image2stylegan, latent_optimization, pivotal_tuning

METHODS = [latent_optimization, image2stylegan, pivotal_tuning]
FAST = {latent_optimization: {}, image2stylegan: dict(lr=0.05), pivotal_tuning: dict(pivot_steps=10, lr=3e-3, stop=0)}


@pytest.mark.parametrize("invert", METHODS)
def test_reconstruction_improves_and_says_so(invert, small_generator, perceptual, target):
    seen = []
    before = {k: v.clone() for k, v in small_generator.state_dict().items()}
    result = invert(
        small_generator, target, perceptual, steps=40, on_step=lambda step, lpips: seen.append(step), **FAST[invert]
    )
    first, last = result.history[0]["lpips"], result.history[-1]["lpips"]
    assert all(b < 0.7 * a for a, b in zip(first, last, strict=True))
    assert result.w_plus.shape == (2, small_generator.num_ws, 16) and result.image.shape == target.shape
    assert {39} <= set(seen)
    assert all(torch.equal(v, before[k]) for k, v in small_generator.state_dict().items())
    assert not result.w_plus.requires_grad and not result.image.requires_grad


@pytest.mark.parametrize("invert", METHODS)
def test_cudnn_looks_for_its_fastest_algorithm_in_every_step_and_not_afterwards(
    invert, small_generator, perceptual, target
):
    seen = []
    note = lambda *step: seen.append(torch.backends.cudnn.benchmark)  # noqa: E731
    invert(small_generator, target, perceptual, steps=2, on_step=note, **FAST[invert])
    assert seen and all(seen) and not torch.backends.cudnn.benchmark


@pytest.mark.parametrize("invert", METHODS)
def test_portraits_do_not_influence_each_other(invert, small_generator, perceptual, target):
    together = invert(small_generator, target, perceptual, steps=6, **FAST[invert])
    alone = invert(small_generator, target[1:], perceptual, steps=6, **FAST[invert])
    # The generator's rounding differs with the batch, and Adam divides by gradients near zero.
    torch.testing.assert_close(alone.w_plus, together.w_plus[1:], rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(alone.image, together.image[1:], rtol=1e-2, atol=5e-2)
    assert (together.w_plus[1:] - together.w_plus[:1]).abs().max() > 0.1


@pytest.mark.parametrize("invert", METHODS)
def test_start(invert, small_generator, perceptual, target):
    """Begun at the answer a method is there at once; a start of the wrong shape is refused."""
    w = small_generator.mapping(torch.randn(2, 16, generator=torch.Generator().manual_seed(4)))
    result = invert(small_generator, target, perceptual, steps=1, start=w, **({"lr": 0.0} | FAST[invert]))
    assert max(result.history[0]["lpips"]) < (0.05 if invert is latent_optimization else 1e-6)  # it disturbs w+
    with pytest.raises(ValueError, match="start must be"):
        invert(small_generator, target, perceptual, steps=1, start=w[:, :, :8])
    with pytest.raises(ValueError, match="start must be"):
        invert(small_generator, target, perceptual, steps=1, start=w * float("nan"))


@pytest.mark.parametrize("invert", METHODS)
def test_bad_targets_are_refused(invert, small_generator, perceptual):
    for bad in (torch.zeros(1, 3, 16, 16), torch.full((1, 3, 32, 32), float("nan"))):
        with pytest.raises(ValueError, match="target"):
            invert(small_generator, bad, perceptual, steps=1)


def test_pivotal_tuning_keeps_the_pivot_and_stops_by_itself(small_generator, perceptual, target):
    w = small_generator.mapping(torch.randn(2, 16, generator=torch.Generator().manual_seed(5)))
    settings = dict(steps=30, lr=3e-3, start=w)
    whole = pivotal_tuning(small_generator, target, perceptual, stop=0, **settings)
    stop = whole.history[20]["lpips"][0]
    result = pivotal_tuning(small_generator, target[:1], perceptual, stop=stop, **(settings | {"start": w[:1]}))
    assert torch.equal(result.w_plus, w[:1]) and len(result.history) <= 21
    assert result.history[-1]["lpips"][0] <= stop < result.history[-2]["lpips"][0]
    for i, tuned in enumerate(whole.generators):
        torch.testing.assert_close(tuned.synthesis(w[i : i + 1], noise_mode="const"), whole.image[i : i + 1])


def test_without_noise_weight_the_noise_is_the_generators_own(small_generator, perceptual, target):
    noisy = copy.deepcopy(small_generator)
    for name, parameter in noisy.named_parameters():
        if name.endswith("noise_strength"):
            parameter.fill_(0.1)
    result = latent_optimization(noisy, target, perceptual, steps=5, noise_weight=None)
    assert torch.equal(result.image, noisy.synthesis(result.w_plus, noise_mode="const"))
    assert result.history[-1]["noise"] == [0, 0]
    sought = latent_optimization(noisy, target, perceptual, steps=5)
    assert not torch.allclose(sought.image, noisy.synthesis(sought.w_plus, noise_mode="const"), atol=1e-3)
