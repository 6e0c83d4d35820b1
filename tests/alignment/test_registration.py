"""A crop cut a little off is put where it belongs; what would move far, or worsens the edges, is left alone."""

import numpy as np
import pytest
from PIL import Image

from alignment import crop_face, detect_faces, ffhq_quad, register
from alignment.registration import INNER, small_affine


@pytest.fixture(scope="module")
def portrait(samples):
    picture = np.asarray(Image.open(samples / "avatar05_portrait.png").convert("RGB"))
    return picture, ffhq_quad(detect_faces(picture)[0].landmarks)


@pytest.mark.parametrize("size", [128, 256])
@pytest.mark.parametrize("shift", [(0.01, 0), (0, -0.012), (-0.008, 0.008)])  # of the side
def test_known_shifts_are_recovered(portrait, size, shift):
    picture, quad = portrait
    side = np.hypot(*(quad[3] - quad[0]))
    truth = quad + np.array(shift) * side
    found = register(crop_face(picture, truth, size, 1024), crop_face(picture, quad, size, 1024), quad)
    assert found.moved and found.refused is None
    error = np.abs(found.quad.mean(axis=0) - truth.mean(axis=0)).max() / side
    assert error < 0.3 * np.abs(shift).max()
    assert found.move == pytest.approx(np.linalg.norm(shift), rel=0.5)


def test_an_exact_portrait_stays_where_it_is(portrait):
    picture, quad = portrait
    crop = crop_face(picture, quad, 128, 1024)
    found = register(crop, crop, quad)
    assert not found.moved and np.array_equal(found.quad, quad)


def test_a_far_move_is_refused(portrait):
    picture, quad = portrait
    side = np.hypot(*(quad[3] - quad[0]))
    found = register(crop_face(picture, quad + 0.04 * side, 128, 1024), crop_face(picture, quad, 128, 1024), quad)
    assert "would move" in found.refused and np.array_equal(found.quad, quad)


def test_landmarks_of_no_face_are_refused_by_the_edges(portrait):
    """A flat portrait: its landmarks are guesses, and no map of it makes edges agree."""
    picture, quad = portrait
    flat = np.full((128, 128, 3), 128, np.uint8)
    flat += np.random.default_rng(0).integers(0, 3, flat.shape, dtype=np.uint8)
    found = register(flat, crop_face(picture, quad, 128, 1024), quad)
    assert found.refused and np.array_equal(found.quad, quad)


def test_small_affine():
    points = np.random.default_rng(0).random((51, 2))
    assert points.shape == points[: INNER.stop - INNER.start].shape
    linear, shift = small_affine(points, points + [0.01, -0.02])
    np.testing.assert_allclose(points @ linear.T + shift, points + [0.01, -0.02], atol=1e-12)
    linear, shift = small_affine(points, 1.05 * points)  # wide apart: most of the growth is believed
    assert 1.035 < linear[0, 0] < 1.05 and abs(linear[0, 1]) < 0.005
    near = 0.5 + 0.01 * points  # close together: next to none
    assert small_affine(near, 1.05 * near)[0][0, 0] < 1.002
