"""Schedules by name, and the inversion that follows one."""

import torch

from inversion import invert, latent_optimization, regenerate
from inversion.presets import PRESETS, chosen, length


def test_the_papers_schedule_is_eq_4_alone():
    assert PRESETS["paper"] == {"steps": 500, "lr": 0.1, "disturbance": 0.05} and length(PRESETS["paper"]) == 500
    assert chosen("fast", 7) == PRESETS["paper"] | {"steps": 7} and chosen("fast") is PRESETS["fast"]
    assert 2 * length(PRESETS["fast"]) <= length(PRESETS["paper"])


def test_tuning_follows_eq_4_and_comes_closer(small_generator, perceptual, target):
    steps = []
    schedule = {"steps": 5, "lr": 0.1, "tuning": {"steps": 20, "lr": 3e-3}}
    result = invert(small_generator, target, perceptual, **schedule, on_step=lambda step, lpips: steps.append(step))
    assert len(steps) == 5 + 2 * 20 and len(result.history) == 25  # portraits are tuned one after the other
    alone = latent_optimization(small_generator, target, perceptual, steps=5)
    assert torch.equal(result.w_plus, alone.w_plus)
    before, after = (perceptual(image, target) for image in (alone.image, result.image))
    assert (after < 0.8 * before).all()
    assert regenerate(small_generator, result, small_generator).shape == target.shape


def test_without_tuning_it_is_eq_4(small_generator, perceptual, target):
    result = invert(small_generator, target, perceptual, steps=3, lr=0.1)
    assert result.generators is None
    assert torch.equal(result.image, latent_optimization(small_generator, target, perceptual, steps=3).image)
