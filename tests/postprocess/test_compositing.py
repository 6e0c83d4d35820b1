"""Eq. 5 and the properties a seam must have."""

import numpy as np
import pytest

from alignment import warp_to_picture
from postprocess.compositing import BLENDS, BLUR, EROSION, clone, composite, soften
from postprocess.parsing import CLASSES

BACK, SKIN, HAT = CLASSES.index("background"), CLASSES.index("skin"), CLASSES.index("hat")


def square(left, top, side):
    return np.array([[left, top], [left, top + side], [left + side, top + side], [left + side, top]], np.float64)


def skin(mask):
    """Labels [S, S]: skin where `mask`, else backdrop."""
    return np.where(mask, SKIN, BACK)


def middle(size=128):
    mask = np.zeros((size, size), bool)
    mask[size // 4 : -size // 4, size // 4 : -size // 4] = True
    return mask


def test_eq5_by_hand():
    """Deep inside the mask the portrait, far outside the picture, in between the weighted sum."""
    picture = np.full((300, 400, 3), 40, np.uint8)
    portrait = np.full((128, 128, 3), 200, np.uint8)
    result, soft = composite(picture, portrait, skin(middle()), square(100, 50, 200), blend="paper")
    assert (result[150, 200] == 200).all() and soft[150, 200] == pytest.approx(1)
    assert (result[60, 110] == 40).all() and soft[60, 110] == 0
    expected = np.rint(40 + soft[..., None] * 160.0).clip(0, 255)
    assert np.abs(result - expected).max() <= 1


def test_paper_is_eq5_and_nothing_else():
    """Whatever the picture shows under the face, up to the crop's outline: m = blur(erode(mask)), the weighted sum."""
    rng = np.random.default_rng(0)
    picture, portrait = rng.integers(0, 256, (200, 200, 3), np.uint8), rng.integers(0, 256, (64, 64, 3), np.uint8)
    labels, quad = skin(np.ones((64, 64), bool)), square(20, 30, 150)
    under = np.full((64, 64), HAT)
    patch, (top, bottom, left, right) = warp_to_picture(np.dstack([portrait, np.ones((64, 64))]), quad, (200, 200))
    m = soften(patch[..., 3], 150)[..., None]
    x = picture[top:bottom, left:right].astype(float)
    expected = picture.copy()
    expected[top:bottom, left:right] = np.rint(m * patch[..., :3] + (1 - m) * x).clip(0, 255)
    result, soft = composite(picture, portrait, labels, quad, under, "paper")
    assert np.abs(result.astype(int) - expected).max() <= 1 and (result != expected).mean() < 0.001
    np.testing.assert_array_equal(soft[top:bottom, left:right], m[..., 0])


@pytest.mark.parametrize(("blend", "repeats"), [("harmonized", 10), ("paper", 1), ("poisson", 1)])
def test_only_the_face_is_touched(blend, repeats):
    """With the default blend in a picture of 7680 x 4320."""
    rng = np.random.default_rng(0)
    picture = np.tile(rng.integers(0, 256, (432, 768, 3), dtype=np.uint8), (repeats, repeats, 1))
    portrait = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    labels = skin(np.ones((64, 64), bool))
    left, top = 400 * repeats, 80 * repeats
    result, soft = composite(picture, portrait, labels, square(left, top, 300), labels, blend)
    assert result.shape == picture.shape and result.dtype == picture.dtype
    assert (result[top + 150, left + 150] != picture[top + 150, left + 150]).any()
    inside = np.s_[top : top + 301, left : left + 301]
    assert np.array_equal(result[inside][soft[inside] == 0], picture[inside][soft[inside] == 0])
    result[inside], soft[inside] = picture[inside], 0
    assert np.array_equal(result, picture) and not soft.any()


@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_forms_of_pictures(kind, channels, blend):
    """Bit depth and alpha stay, 16 bits agree with 8, grey stays grey, and nothing is drawn where it is transparent."""
    white = np.iinfo(kind).max
    rng = np.random.default_rng(0)
    picture = (rng.integers(60, 120, (160, 160, channels)) * (white // 255)).astype(kind)
    if channels in (2, 4):
        picture[..., -1] = white
        picture[:, 80:, -1] = 0
    portrait = np.full((64, 64, 3), (200, 150, 100), np.uint8)
    labels = skin(middle(64))
    result, soft = composite(
        picture, portrait, labels, square(30, 30, 100), labels if blend != "poisson" else None, blend
    )
    assert result.dtype == kind and result.shape == picture.shape
    assert np.array_equal(result[soft == 0], picture[soft == 0]) and (result[75, 75] != picture[75, 75]).any()
    if channels in (2, 4):
        assert np.array_equal(result[..., -1], picture[..., -1])
        assert np.array_equal(result[:, 80:], picture[:, 80:])
    if blend == "paper":
        expected = [200, 150, 100] if channels >= 3 else [0.299 * 200 + 0.587 * 150 + 0.114 * 100]
        np.testing.assert_allclose(result[75, 75, : len(expected)] / (white / 255), expected, atol=0.5)


def test_16_bits_are_used():
    """A dark gradient under a half transparent border: far more levels than 8 bits could hold."""
    picture = np.repeat(np.linspace(3000, 4000, 200).astype(np.uint16)[None, :, None], 200, axis=0).repeat(3, axis=2)
    portrait = np.full((64, 64, 3), 14, np.uint8)
    result, soft = composite(picture, portrait, skin(middle(64)), square(50, 50, 100), blend="paper")
    border = (soft > 0) & (soft < 1)
    levels = np.unique(result[border])
    assert len(levels) > 50 and levels.max() - levels.min() < 2 * 257  # of which 8 bits could hold two or three


def test_the_default_agrees_with_the_neck():
    """A portrait with a blue cast on a picture of skin: the cast goes, under paper it stays."""
    rng = np.random.default_rng(0)
    tone = np.array([190, 140, 120])
    picture = (tone + rng.normal(0, 6, (300, 300, 1))).clip(0, 255).astype(np.uint8)
    portrait = (tone + [-30, -10, 25] + rng.normal(0, 6, (128, 128, 1))).clip(0, 255).astype(np.uint8)
    labels, all_skin = skin(middle()), skin(np.ones((128, 128), bool))
    all_skin[middle()] = labels[middle()] = SKIN
    labels[:] = np.where(middle(), SKIN, CLASSES.index("neck"))
    for blend, worst, least in (("harmonized", 4, 0), ("poisson", 4, 0), ("paper", 40, 20)):
        result, soft = composite(picture, portrait, labels, square(50, 50, 200), all_skin, blend)
        error = np.abs(result[soft > 0.99].mean(axis=0) - tone).max()
        assert least <= error <= worst, blend


def test_a_hat_stays_in_front():
    picture = np.full((300, 300, 3), 40, np.uint8)
    portrait = np.full((128, 128, 3), 200, np.uint8)
    labels = skin(middle())
    under = labels.copy()
    under[:64] = HAT
    for blend, hidden in (("harmonized", 0), ("poisson", 0), ("paper", 1)):
        result, soft = composite(picture, portrait, labels, square(50, 50, 200), under, blend)
        assert soft[125, 150] == pytest.approx(hidden) and soft[180, 150] == pytest.approx(1), blend
        assert (result[125, 150] == (200 if hidden else 40)).all(), blend


def test_cloning_a_picture_into_itself_changes_nothing():
    """Neither a shift by OpenCV's centre nor a change of level."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (91, 120, 3)).astype(np.float32)
    for box in (np.s_[20:51, 30:70], np.s_[13:40, 11:52], np.s_[:60, 50:]):
        where = np.zeros(picture.shape[:2], bool)
        where[box] = True
        assert np.abs(clone(picture, picture, where) - picture).max() <= 2


def test_mask_fades_before_the_crop_ends():
    """Even when hair fills the crop to its border there is no square: the mask is 0 on the outline."""
    soft = soften(np.ones((200, 200), np.float32), 200)
    assert max(soft[0].max(), soft[-1].max(), soft[:, 0].max(), soft[:, -1].max()) < 0.03
    assert soft[100, 100] == pytest.approx(1, abs=1e-5)


def test_hair_cut_off_by_the_crop_leaves_no_line():
    """A portrait that is 100 levels brighter all over: no neighbouring pixels of the result differ by much."""
    picture = np.full((400, 400, 3), 60, np.uint8)
    portrait = np.full((128, 128, 3), 160, np.uint8)
    result, soft = composite(picture, portrait, skin(np.ones((128, 128), bool)), square(50, 50, 300))
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


@pytest.mark.parametrize("blend", BLENDS)
def test_face_partly_or_wholly_outside_the_picture(blend):
    picture = np.zeros((100, 100, 3), np.uint8)
    portrait = np.full((64, 64, 3), 255, np.uint8)
    labels = skin(np.ones((64, 64), bool))
    result, _ = composite(picture, portrait, labels, square(-50, -50, 100), labels, blend)
    assert result.shape == picture.shape and result[60:, 60:].max() == 0
    if blend == "paper":
        assert result[20, 20].max() > 200
    result, soft = composite(picture, portrait, labels, square(-500, -50, 100), labels, blend)
    assert not result.any() and not soft.any()


def test_another_blend_is_refused():
    with pytest.raises(ValueError, match="harmonized, paper, poisson"):
        composite(np.zeros((9, 9, 3), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4), int), square(0, 0, 4), blend="x")


@pytest.mark.parametrize("height", [1, 2, 3, 5])
def test_poisson_of_a_sliver(height):
    """A mask so thin that it has no inside is pasted as it is, and ends in no error of OpenCV's."""
    from postprocess.compositing import clone

    new, old = np.full((20, 20, 3), 200, np.float32), np.full((20, 20, 3), 90, np.float32)
    where = np.zeros((20, 20), bool)
    where[8 : 8 + height, 4:16] = True
    assert clone(new, old, where).shape == (20, 20, 3)
