"""Eq. 5 and the properties a seam must have."""

import numpy as np
import pytest

from postprocess.compositing import BLUR, EROSION, FACE_CLASSES, composite, face_mask, soften
from postprocess.parsing import CLASSES


def square(left, top, side):
    return np.array([[left, top], [left, top + side], [left + side, top + side], [left + side, top]], np.float64)


def test_face_mask_is_the_papers_set_of_classes():
    mask = face_mask(np.arange(19)[None])
    assert [CLASSES[i] for i in np.flatnonzero(mask[0])] == sorted(FACE_CLASSES, key=CLASSES.index)
    assert not mask[0, [CLASSES.index(name) for name in ("background", "neck", "cloth", "hat")]].any()


def test_eq5_by_hand():
    """Deep inside the mask the portrait, far outside the picture, in between the weighted sum."""
    picture = np.full((300, 400, 3), 40, np.uint8)
    portrait = np.full((128, 128, 3), 200, np.uint8)
    mask = np.zeros((128, 128), bool)
    mask[32:96, 32:96] = True
    result, soft = composite(picture, portrait, mask, square(100, 50, 200))
    assert (result[150, 200] == 200).all() and soft[150, 200] == pytest.approx(1)
    assert (result[60, 110] == 40).all() and soft[60, 110] == 0
    expected = np.rint(40 + soft[..., None] * 160.0).clip(0, 255)
    assert np.abs(result - expected).max() <= 1


def test_only_the_face_is_touched():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)
    portrait = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    result, soft = composite(picture, portrait, np.ones((64, 64), bool), square(90, 60, 120))
    outside = np.ones(picture.shape[:2], bool)
    outside[60:181, 90:211] = False
    assert np.array_equal(result[outside], picture[outside])
    assert np.array_equal(result[soft == 0], picture[soft == 0])
    assert (result[120, 150] != picture[120, 150]).any()


def test_mask_fades_before_the_crop_ends():
    """Even when hair fills the crop to its border there is no square: the mask is 0 on the outline."""
    soft = soften(np.ones((200, 200), np.float32), 200)
    assert max(soft[0].max(), soft[-1].max(), soft[:, 0].max(), soft[:, -1].max()) < 0.03
    assert soft[100, 100] == pytest.approx(1, abs=1e-5)


def test_hair_cut_off_by_the_crop_leaves_no_line():
    """A portrait that is 100 levels brighter all over: no neighbouring pixels of the result differ by much."""
    picture = np.full((400, 400, 3), 60, np.uint8)
    portrait = np.full((128, 128, 3), 160, np.uint8)
    result, soft = composite(picture, portrait, np.ones((128, 128), bool), square(50, 50, 300))
    steps = np.abs(np.diff(result[..., 0].astype(int), axis=0)).max()
    assert steps <= 7 and soft[200, 200] == pytest.approx(1) and soft[52].max() < 0.02


@pytest.mark.parametrize("side", [100, 400, 1600])
def test_seam_scales_with_the_face(side):
    """Where the softened mask of a half plane crosses one half, and how wide its ramp is, in shares of the side."""
    mask = np.zeros((side, side), np.float32)
    mask[:, : side // 2] = 1
    line = soften(mask, side)[side // 2]
    inside = line[side // 8 : side // 2 + 1]
    half = np.interp(-0.5, -inside, np.arange(len(inside))) + side // 8
    assert (side // 2 - half) / side == pytest.approx(EROSION + 1.5 * BLUR, abs=1.2 / side + 0.002)
    assert (np.diff(line[side // 8 :]) <= 1e-6).all()  # no halo: it only falls


def test_face_partly_outside_the_picture():
    picture = np.zeros((100, 100, 3), np.uint8)
    portrait = np.full((64, 64, 3), 255, np.uint8)
    result, _ = composite(picture, portrait, np.ones((64, 64), bool), square(-50, -50, 100))
    assert result.shape == picture.shape and result[20, 20].max() > 200 and result[60:, 60:].max() == 0
