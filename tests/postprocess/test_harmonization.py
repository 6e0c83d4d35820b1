"""Colours pulled to those of the picture: known maps come back, what differs for another reason has no say."""

import numpy as np
import pytest

from alignment.oklab import oklab_to_srgb, srgb_to_oklab
from postprocess.harmonization import LARGEST_GAIN, harmonize, ring, transport

SIDE = 160
Y, X = np.mgrid[:SIDE, :SIDE]
FACE = (X - 80) ** 2 + (Y - 80) ** 2 < 50**2
NOTHING, ALL = np.zeros_like(FACE), np.ones_like(FACE)


def skin_like():
    """Oklab [h, w, 3] with the shading and the speckle of skin."""
    noise = np.random.default_rng(0).normal(0, 1, (SIDE, SIDE, 3))
    shade = 0.06 * np.sin(X / 13) + 0.05 * np.cos(Y / 17)
    return np.array([0.65, 0.05, 0.05]) + shade[..., None] * [1, 0.2, 0.3] + noise * [0.03, 0.01, 0.01]


def test_a_cast_and_a_change_of_contrast_are_undone():
    picture = skin_like()
    portrait = (picture - [0.65, 0.05, 0.05]) / [1.1, 1.1, 1.1] + [0.58, 0.01, 0.09]
    before, after = oklab_to_srgb(portrait), oklab_to_srgb(picture)
    result = harmonize(before, after, ALL, NOTHING, NOTHING, FACE, SIDE)
    error = np.linalg.norm(srgb_to_oklab(result) - picture, axis=2)[FACE].mean()
    assert np.linalg.norm(portrait - picture, axis=2)[FACE].mean() > 0.08 and error < 0.01


def test_equal_colours_stay():
    colours = oklab_to_srgb(skin_like())
    np.testing.assert_allclose(harmonize(colours, colours, ALL, NOTHING, NOTHING, FACE, SIDE), colours, atol=0.5)


def test_a_shadow_over_a_third_of_the_ring_has_no_say():
    portrait, picture = skin_like(), skin_like()
    picture[:, :65, 0] -= 0.3
    result = harmonize(oklab_to_srgb(portrait), oklab_to_srgb(picture), ALL, NOTHING, NOTHING, FACE, SIDE)
    assert np.abs(srgb_to_oklab(result) - portrait)[FACE].mean() < 0.01


def test_hair_and_skin_have_maps_of_their_own():
    hairy = Y < 70
    portrait, picture = skin_like(), skin_like()
    portrait[hairy] -= [0.4, 0, 0]
    picture[hairy] -= [0.35, 0, 0]
    picture[~hairy] += [0, 0.03, 0]
    result = srgb_to_oklab(harmonize(*map(oklab_to_srgb, (portrait, picture)), ~hairy, hairy, hairy, FACE, SIDE))
    for part in (FACE & (Y < 60), FACE & (Y > 80)):  # away from where one changes into the other
        np.testing.assert_allclose(result[part].mean(axis=0), picture[part].mean(axis=0), atol=0.008)


def test_too_little_to_compare_changes_nothing():
    colours = oklab_to_srgb(skin_like())
    few = NOTHING.copy()
    few[80, 30:33] = True
    np.testing.assert_allclose(harmonize(colours, colours / 2, few, NOTHING, NOTHING, FACE, SIDE), colours, atol=0.05)


def test_a_cloth_that_the_parser_takes_for_skin_tints_nothing():
    portrait, picture = skin_like(), skin_like() * 0 + [0.85, 0, 0]
    colours = oklab_to_srgb(portrait)
    result = harmonize(colours, oklab_to_srgb(picture), ALL, NOTHING, NOTHING, FACE, SIDE)
    np.testing.assert_allclose(result, colours, atol=0.05)


def test_transport_maps_one_covariance_to_the_other():
    rng = np.random.default_rng(1)
    root = np.eye(3) * 0.2 + rng.normal(0, 0.005, (3, 3))
    source, goal = root @ root.T, 1.2 * root.T @ root
    T = transport(source, goal)
    np.testing.assert_allclose(T, T.T, atol=1e-12)
    np.testing.assert_allclose(T @ source @ T, goal, rtol=0.05, atol=1e-3)
    assert np.linalg.eigvalsh(transport(source, 100 * goal)).max() == pytest.approx(LARGEST_GAIN)


def test_ring_lies_around_the_border():
    distance = np.abs(np.hypot(X - 80, Y - 80) - 50)
    assert ring(FACE, SIDE)[distance < 6].all() and not ring(FACE, SIDE)[distance > 10].any()
