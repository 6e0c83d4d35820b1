"""Squares over time: steady motion is left alone, trembling goes, gaps are filled, nothing lags."""

import numpy as np
import pytest

from alignment.crop import check_quad
from alignment.smoothing import compose, describe, smooth_quads


def moving(count=20, turn=0.05):
    """[T, 4, 2]: accelerating to the right, growing, turning through half a circle and more."""
    t = np.arange(count)
    return np.stack([compose([100 + 3 * i + 0.1 * i**2, 80 - i, np.log(60) + 0.01 * i, 2.8 + turn * i]) for i in t])


def test_motion_and_acceleration_are_kept():
    quads = moving()
    np.testing.assert_allclose(smooth_quads(quads), quads, atol=1e-6)
    for quad in smooth_quads(quads):
        check_quad(quad)


def test_description_leads_back_and_angles_do_not_jump():
    quads = moving()
    values = describe(quads)
    np.testing.assert_allclose(np.stack([compose(value) for value in values]), quads, atol=1e-9)
    assert np.abs(np.diff(values[:, 3])).max() < 0.1  # although the angle passes pi


def test_trembling_is_taken_out():
    quads = moving(40)
    shaken = quads + np.random.default_rng(0).normal(0, 1.5, (40, 1, 2))  # every square moves as a whole
    before, after = (np.diff(q - quads, axis=0).std() for q in (shaken, smooth_quads(shaken)))
    assert after < 0.35 * before


def test_no_lag():
    """A sudden stop is rounded off in the same way before and after it."""
    x = np.r_[np.arange(20.0), np.full(20, 19.0)]
    quads = np.stack([compose([a, 0, 3, 0]) for a in x])
    back = np.stack([compose([a, 0, 3, 0]) for a in x[::-1]])
    np.testing.assert_allclose(smooth_quads(quads), smooth_quads(back)[::-1], atol=1e-9)


def test_gaps_are_filled_from_both_sides():
    quads = moving()
    holes = quads.copy()
    holes[[4, 9, 10, 11]] = np.nan
    np.testing.assert_allclose(smooth_quads(holes), quads, atol=1e-6)


def test_few_frames():
    one = moving(1)
    np.testing.assert_allclose(smooth_quads(one), one)
    far = np.full([60, 4, 2], np.nan)
    far[[0, 59]] = compose([10, 10, 3, 0])
    np.testing.assert_allclose(smooth_quads(far), np.broadcast_to(far[0], far.shape), atol=1e-6)
    with pytest.raises(ValueError, match="in no frame"):
        smooth_quads(far[1:3])


def test_a_closed_motion_has_no_ends():
    """Smoothed from another frame on, the same frames get the same squares."""
    t = 2 * np.pi * np.arange(16) / 16
    quads = np.stack([compose([100 + 9 * np.sin(a), 80 + 9 * np.cos(a), 4 + 0.1 * np.sin(a), 0.1]) for a in t])
    quads += np.random.default_rng(0).normal(0, 0.5, (16, 1, 2))
    turned = np.roll(smooth_quads(np.roll(quads, 5, axis=0), loop=True), -5, axis=0)
    np.testing.assert_allclose(smooth_quads(quads, loop=True), turned, atol=1e-9)
    assert np.abs(smooth_quads(quads) - smooth_quads(quads, loop=True))[[0, -1]].max() > 0.1
