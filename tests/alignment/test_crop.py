import numpy as np
import pytest
from PIL import Image

from alignment import crop_face, ffhq_quad
from alignment.crop import _pad_and_fade, sampled_quad, shrink_factor


@pytest.mark.parametrize("case", ["plain256", "plain512", "pad", "shrink"])
def test_golden_quad(golden, case):
    _, landmarks, quad, *_ = golden["cases"][case]
    result = ffhq_quad(landmarks)
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, quad, rtol=0, atol=1e-9)


@pytest.mark.parametrize("case", ["plain256", "plain512", "pad", "shrink"])
def test_golden_crop(golden, case):
    picture, landmarks, _, size, expected = golden["cases"][case]
    result = crop_face(picture, ffhq_quad(landmarks), size)
    difference = np.abs(result.astype(int) - expected)
    assert result.dtype == np.uint8 and difference.max() <= 2 and difference.mean() < 0.05


def test_sub_pixel_geometry():
    """A crop pixel looks at the place that crop.py states. Red rises along x or y, green falls: truncation cancels."""
    centre, angle, half = np.array([31.3, 30.8]), 0.3, 14.0
    right, down = half * np.array([np.cos(angle), np.sin(angle)]), half * np.array([-np.sin(angle), np.cos(angle)])
    quad = np.array([centre - right - down, centre - right + down, centre + right + down, centre + right - down])
    steps = (np.arange(64) + 0.5) / 64
    expected = quad[0] + steps[None, :, None] * 2 * right + steps[:, None, None] * 2 * down  # [64, 64, 2]
    rise = np.tile(4 * np.arange(64, dtype=np.uint8), (64, 1))
    for axis, ramp in enumerate((rise, rise.T)):
        crop = crop_face(np.dstack([ramp, 252 - ramp, ramp]), quad, 64, transform_size=1024).astype(float)
        place = (crop[..., 0] - crop[..., 1] + 252) / 8
        assert abs((place - expected[..., axis]).mean()) < 0.02
        assert np.abs(place - expected[..., axis]).max() < 0.2  # grey levels are a quarter of a pixel


@pytest.mark.parametrize("sigma", [12, 18, 30])  # the blur changes to a copy reduced by 2, 3, 5 at these values
def test_reduced_blur_equals_the_full_one(golden, sigma):
    picture = Image.fromarray(golden["cases"]["plain256"][0][:300, 100:450])
    pad = (190, 180, 170, 185)
    below, above = (np.asarray(_pad_and_fade(picture, pad, s), int) for s in (sigma - 0.01, sigma + 0.01))
    difference = np.abs(below - above)
    assert difference.max() <= 2 and difference.mean() < 0.25  # rounding turns 0.1 into a level here and there


def test_size_above_the_transform_size(golden):
    picture, _, quad, *_ = golden["cases"]["plain256"]
    assert crop_face(picture, quad, 300, transform_size=256).shape == (300, 300, 3)


def test_sampled_quad_is_the_quad_until_the_picture_is_shrunk(golden):
    picture, _, quad, *_ = golden["cases"]["plain256"]
    np.testing.assert_array_equal(sampled_quad(quad, 64, picture.shape), quad)
    assert shrink_factor(quad, 64) == 1 and shrink_factor(quad, 40) == 2  # golden: shrink 2
    np.testing.assert_allclose(sampled_quad(quad, 40, picture.shape), quad + 0.5)  # 512 divides evenly: (2 - 1) / 2


def test_degenerate_landmarks_are_refused():
    for wrong in (np.zeros((68, 2)), np.zeros((5, 2)), np.full((68, 2), np.nan)):
        with pytest.raises(ValueError, match="landmarks"):
            ffhq_quad(wrong)


@pytest.mark.parametrize(
    ("quad", "reason"),
    [
        (np.zeros((4, 2)), "no area"),
        (np.zeros((3, 2)), "4 .x, y. corners"),
        ([[0, 0], [0, 9], [9, 9], [12, 0]], "parallelogram"),
        ([[900, 0], [900, 9], [909, 9], [909, 0]], "outside"),
        ([[63, 0], [63, 30], [93, 30], [93, 0]], "outside"),
        ([[5, 5], [5, 7], [7, 7], [7, 5]], "side is 2 pixels"),
        ([[-900, -900], [-900, 900], [900, 900], [900, -900]], "side is 1800 pixels"),
    ],
)
def test_impossible_quads_are_refused(quad, reason):
    with pytest.raises(ValueError, match=reason):
        crop_face(np.zeros((64, 64, 3), np.uint8), quad, 32)


def test_wrong_arrays_are_refused():
    with pytest.raises(ValueError, match="uint8 array"):
        crop_face(np.zeros((64, 64, 3)), [[0, 0], [0, 9], [9, 9], [9, 0]], 32)
