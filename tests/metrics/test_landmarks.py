"""The landmark distance: 0 for itself, the same at every scale, and a count of what dlib does not see."""

import math

import numpy as np
import pytest
from PIL import Image

from metrics.landmarks import landmark_distance, portrait_landmarks

POINTS = np.random.default_rng(0).uniform(0.2, 0.8, (68, 2))


def test_by_hand():
    assert landmark_distance(POINTS, POINTS) == 0
    eyes = np.linalg.norm(POINTS[45] - POINTS[36])
    assert landmark_distance(POINTS + [0.03, 0.04], POINTS) == pytest.approx(0.05 / eyes)


def test_scale_free():
    moved = POINTS + np.random.default_rng(1).normal(0, 0.01, (68, 2))
    assert landmark_distance(7 * moved, 7 * POINTS) == pytest.approx(landmark_distance(moved, POINTS))


def test_a_face_that_is_not_there_is_no_number():
    assert math.isnan(landmark_distance(None, POINTS)) and math.isnan(landmark_distance(POINTS, None))
    assert portrait_landmarks(np.full((128, 128, 3), 90, np.uint8)) is None


def test_a_picture_and_its_reduction_have_the_same_landmarks(samples):
    """Within 1.5 % of the eye distance; the face moved by 3 % of the picture is further away than that."""
    face = Image.open(samples / "avatar05_portrait.png").convert("RGB").crop((200, 150, 824, 774)).resize((512, 512))
    whole, small = (portrait_landmarks(np.asarray(face.resize((side, side)))) for side in (512, 256))
    assert landmark_distance(small, whole) < 0.015
    shifted = portrait_landmarks(np.roll(np.asarray(face), 15, axis=1))
    assert landmark_distance(shifted, whole) > 0.03
