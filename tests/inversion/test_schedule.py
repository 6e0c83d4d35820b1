"""Schedules by name, and the inversion that follows one."""

import torch

from inversion import Schedule, Tuning, invert, latent_optimization, regenerate
from pipeline.presets import PRESETS, chosen


def test_the_papers_schedule_is_eq_4_alone():
    assert PRESETS["paper"].schedule == Schedule(500, lr=0.1, disturbance=0.05)
    assert chosen("fast", 7).schedule == Schedule(7, encoded_lr=0.04)
    assert chosen("paper", 7).schedule.disturbance == 0.05
    assert chosen("fast") is PRESETS["fast"]
    assert chosen("fast", 7).finish == PRESETS["fast"].finish
    assert 2 * PRESETS["fast"].schedule.length <= PRESETS["paper"].schedule.length


def test_tuning_follows_eq_4_and_comes_closer(small_generator, perceptual, target):
    steps = []
    schedule = Schedule(5, tuning=Tuning(20, lr=3e-3))
    result = invert(small_generator, target, perceptual, schedule, on_step=lambda step, lpips: steps.append(step))
    assert len(steps) == 5 + 2 * 20 and len(result.history) == 25  # portraits are tuned one after the other
    alone = latent_optimization(small_generator, target, perceptual, steps=5, disturbance=schedule.disturbance)
    assert torch.equal(result.w_plus, alone.w_plus)
    before, after = (perceptual(image, target) for image in (alone.image, result.image))
    assert (after < 0.8 * before).all()
    assert regenerate(small_generator, result, small_generator).shape == target.shape


def test_without_tuning_it_is_eq_4(small_generator, perceptual, target):
    result = invert(small_generator, target, perceptual, Schedule(3, disturbance=0.05))
    assert result.generators is None
    assert torch.equal(result.image, latent_optimization(small_generator, target, perceptual, steps=3).image)
