"""What is drawn over a face is told from the face, and comes out of the composite as it went in."""

import numpy as np
import pytest

from postprocess.compositing import composite
from postprocess.foreign import foreign, superpixels
from postprocess.parsing import CLASSES


@pytest.fixture
def pair():
    """(crop, drawn): a shaded face, and a picture of it that is a little soft and a little off; uint8 [128, 128, 3]."""
    import cv2

    row, column = np.mgrid[:128, :128].astype(np.float32)
    shade = np.exp(-((row - 64) ** 2 + (column - 64) ** 2) / 3000)[..., None]
    face = np.float32([200, 150, 120]) * (0.5 + 0.5 * shade)
    noise = np.random.default_rng(0).normal(0, 6, face.shape)
    crop = np.clip(face + noise, 0, 255).astype(np.uint8)
    return crop, np.clip(cv2.GaussianBlur(face, (0, 0), 3) + 4, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [64, 128, 300])
def test_a_bar_is_foreign_and_the_face_is_not(pair, size):
    import cv2

    crop, drawn = (cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA) for pixels in pair)
    assert foreign(crop, drawn).max() < 0.05
    bar = np.s_[int(0.5 * size) : int(0.6 * size), int(0.2 * size) : int(0.8 * size)]
    crop[bar] = (20, 150, 150)
    found = foreign(crop, drawn)
    assert found.shape == (size, size) and found.dtype == np.float32 and found.min() >= 0 and found.max() <= 1
    assert found[bar].mean() > 0.97
    far = np.ones((size, size), bool)
    far[int(0.4 * size) : int(0.7 * size), int(0.1 * size) : int(0.9 * size)] = False
    assert found[far].max() < 0.05


def test_superpixels_follow_colours_not_the_grid():
    pixels = np.full((64, 64, 3), 40, np.uint8)
    pixels[:, 30:] = 220  # an edge that no border of the grid meets
    parts = superpixels(pixels)
    left, right = set(parts[:, :30].ravel()), set(parts[:, 30:].ravel())
    assert not left & right and len(left | right) > 100


def test_what_is_foreign_stays_with_detail_only(pair):
    crop, drawn = pair
    labels, quad = np.full((128, 128), CLASSES.index("skin")), np.array([[0, 0], [0, 128], [128, 128], [128, 0]]) - 0.5
    portrait = np.clip(drawn.astype(int) + (0, 12, 24), 0, 255).astype(np.uint8)
    thing = np.zeros((128, 128), np.uint8)
    thing[50:80, 40:90] = 255
    given = dict(blend="paper", reconstruction=drawn, foreign=thing)
    kept, _ = composite(crop, portrait, labels, quad, detail=1.0, **given)
    redrawn, _ = composite(crop, portrait, labels, quad, detail=0.0, **given)
    inside, outside = np.s_[54:76, 44:86], np.s_[20:40, 40:90]
    assert np.array_equal(kept[inside], crop[inside]) and (kept[outside] != crop[outside]).mean() > 0.3
    assert np.abs(redrawn[inside].astype(int) - portrait[inside]).max() <= 3
