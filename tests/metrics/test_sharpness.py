"""A blurred face is less sharp, the same face as sharp as it is, and only the inside counts."""

import cv2
import numpy as np

from metrics.sharpness import sharpness


def test_blur_noise_and_outside():
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    inside = np.zeros((64, 64), bool)
    inside[16:48, 16:48] = True
    assert sharpness(picture, picture, inside) == 1
    soft = cv2.GaussianBlur(picture, (0, 0), 2)
    assert sharpness(soft, picture, inside) < 0.05 < 20 < sharpness(picture, soft, inside)
    elsewhere = np.where(inside[..., None], picture, soft)
    assert 0.95 < sharpness(elsewhere, picture, inside) <= 1
    assert np.isnan(sharpness(picture, picture, np.zeros((64, 64), bool)))
