"""The seam measure on borders whose strength is known."""

import numpy as np
import pytest

from alignment.oklab import srgb_to_oklab
from metrics.seam import measure_seam

SIDE = 200
Y, X = np.mgrid[:260, :260]
DISC = ((X - 130) ** 2 + (Y - 130) ** 2 < 60**2).astype(np.float32)
BEFORE = np.random.default_rng(0).integers(100, 120, (260, 260, 3), dtype=np.uint8)


def pasted(levels, soft):
    return np.clip(np.rint(BEFORE + levels * soft[..., None]), 0, 255).astype(np.uint8)


def test_an_untouched_picture_has_no_seam():
    seam = measure_seam(BEFORE, BEFORE, DISC, SIDE)
    assert seam.step == 0 and seam.gradient == seam.gradient_before == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("levels", [10, 40])
def test_the_step_is_the_difference_in_oklab(levels):
    seam = measure_seam(pasted(levels, DISC), BEFORE, DISC, SIDE)
    grey = srgb_to_oklab([[109.5] * 3, [109.5 + levels] * 3])
    assert seam.step == pytest.approx(100 * np.linalg.norm(grey[1] - grey[0]), rel=0.05)


def test_a_hard_border_shows_in_the_gradient_and_a_feathered_one_less():
    import cv2

    feathered = cv2.GaussianBlur(DISC, (0, 0), 4)
    hard, soft = (measure_seam(pasted(60, mask), BEFORE, mask, SIDE) for mask in (DISC, feathered))
    assert hard.gradient > 3 and 1.05 < soft.gradient < 0.6 * hard.gradient
    assert hard.gradient_before == pytest.approx(1, abs=0.05)


def test_a_mask_without_a_border_is_refused():
    for mask in (np.zeros_like(DISC), np.ones_like(DISC)):
        with pytest.raises(ValueError, match="no border"):
            measure_seam(BEFORE, BEFORE, mask, SIDE)
