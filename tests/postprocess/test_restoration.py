"""The formula, and what it must leave alone."""

import numpy as np
import pytest

from alignment import warp_to_picture
from alignment.oklab import oklab_to_srgb, srgb_to_oklab
from postprocess.compositing import BLENDS, composite
from postprocess.parsing import CLASSES
from postprocess.restoration import STRONGEST, change_of_style, restored

SKIN = CLASSES.index("skin")
QUAD = np.array([[20, 30], [20, 180], [170, 180], [170, 30]], np.float64)


@pytest.fixture
def case():
    """(picture [200, 200, 3], portrait and reconstruction [64, 64, 3], labels): noise, all skin."""
    rng = np.random.default_rng(0)
    picture = rng.integers(60, 196, (200, 200, 3), np.uint8)
    portrait, reconstruction = rng.integers(60, 196, (2, 64, 64, 3), np.uint8)
    return picture, portrait, reconstruction, np.full((64, 64), SKIN)


def test_restored_at_both_ends_and_between():
    rng = np.random.default_rng(0)
    picture, portrait = rng.uniform(60, 196, (2, 8, 9, 3)).astype(np.float32)
    change = rng.uniform(-0.02, 0.02, (8, 9, 3)).astype(np.float32)
    np.testing.assert_array_equal(restored(picture, portrait, change, 0), portrait)
    whole = restored(picture, portrait, change, 1)
    np.testing.assert_allclose(srgb_to_oklab(whole) - srgb_to_oklab(picture), change, atol=1e-4)
    np.testing.assert_allclose(restored(picture, portrait, change, 0.5), (portrait + whole) / 2, atol=1e-4)


def test_two_generators_that_agree_change_nothing(case):
    """With all detail kept, whatever they draw: the picture has more than either of them."""
    picture, portrait, _, labels = case
    result, soft = composite(picture, portrait, labels, QUAD, blend="paper", reconstruction=portrait, detail=1)
    assert np.array_equal(result, picture) and soft.max() == pytest.approx(1)


def test_the_formula(case):
    """x' = x + s m [T(g_real) - (1 - d) x - d T(g_rendering)] for generators that differ by one shift in Oklab."""
    picture, _, _, labels = case
    row = np.arange(64.0)[:, None, None]
    reconstruction = np.rint(120 + 40 * np.sin(row / 9) + np.zeros((64, 64, 3))).astype(np.uint8)
    shift = np.array([0.05, 0.02, -0.03], np.float32)
    portrait = np.rint(oklab_to_srgb(srgb_to_oklab(reconstruction) + shift)).astype(np.uint8)
    real, (top, bottom, left, right) = warp_to_picture(portrait.astype(np.float32), QUAD, (200, 200))
    box = np.s_[top:bottom, left:right]
    x = picture[box].astype(np.float32)
    shifted = oklab_to_srgb(srgb_to_oklab(x) + shift)
    for d, s in ((0, 1), (0, 0.5), (0.5, 1), (1, 1), (1, 0.3), (1, 1.5)):
        result, soft = composite(picture, portrait, labels, QUAD, None, "paper", reconstruction, d, s)
        expected = x + s * soft[box][..., None] * ((1 - d) * (real - x) + d * (shifted - x))
        inside = np.s_[25:-25, 25:-25] if d else np.s_[:, :]  # where the change has come in
        assert np.abs(result[box].astype(np.float32) - expected.clip(0, 255))[inside].max() < 2.5, (d, s)


def test_without_detail_it_is_the_blend_as_it_was(case):
    picture, portrait, reconstruction, labels = case
    for blend in BLENDS:
        before, soft = composite(picture, portrait, labels, QUAD, labels, blend)
        after, same = composite(picture, portrait, labels, QUAD, labels, blend, reconstruction, 0.0, 1.0)
        assert np.array_equal(before, after) and np.array_equal(soft, same)
        assert (before != picture).any()


@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_every_form_of_picture(kind, channels, blend, case):
    """Alpha stays, what is transparent or outside the mask stays, strength 0 changes no sample, 16 bits are used."""
    white = np.iinfo(kind).max
    rng = np.random.default_rng(1)
    picture = rng.integers(white // 4, white // 2, (200, 200, channels)).astype(kind)
    if channels in (2, 4):
        picture[..., -1] = white
        picture[:, 100:, -1] = 0
    _, portrait, reconstruction, labels = case
    faces = dict(under=None if blend == "poisson" else labels, blend=blend, reconstruction=reconstruction, detail=1.0)
    result, soft = composite(picture, portrait, labels, QUAD, **faces)
    assert result.dtype == kind and result.shape == picture.shape
    assert np.array_equal(result[soft == 0], picture[soft == 0]) and (result != picture).any()
    if channels in (2, 4):
        assert np.array_equal(result[..., -1], picture[..., -1])
        assert np.array_equal(result[:, 100:], picture[:, 100:])
    unchanged, _ = composite(picture, portrait, labels, QUAD, **faces, strength=0.0)
    assert np.array_equal(unchanged, picture)


def test_16_bits_keep_their_levels():
    """A gradient finer than 8 bits, made brighter: as many levels as before, in their order."""
    picture = np.repeat(np.linspace(30000, 31000, 200).astype(np.uint16)[None, :, None], 200, axis=0).repeat(3, axis=2)
    portrait, reconstruction = np.full((64, 64, 3), 110, np.uint8), np.full((64, 64, 3), 100, np.uint8)
    labels = np.full((64, 64), SKIN)
    result, soft = composite(picture, portrait, labels, QUAD, None, "paper", reconstruction, 1.0)
    line, sure = result[100, :, 0].astype(int), soft[100] > 0.9999
    sure[:55] = sure[-65:] = False  # where the change has come in
    assert (np.diff(line[sure]) >= 3).all() and sure.sum() > 70
    assert np.abs(line[sure] - picture[100, sure, 0] - 10 * 257).max() < 300  # ten levels, somewhat more in the light


def test_pixels_of_noise_do_not_pass():
    """Of a difference that alternates from pixel to pixel only a trace is left; a constant one passes whole."""
    board = np.indices((64, 64)).sum(axis=0)[..., None] % 2 * np.full(3, 8)
    reconstruction, everywhere = np.full((64, 64, 3), 100, np.uint8), np.full((64, 64), SKIN)
    change = change_of_style((120 + board).astype(np.uint8), reconstruction, everywhere)
    constant = change_of_style(np.full((64, 64, 3), 124, np.uint8), reconstruction, everywhere)
    assert np.ptp(constant, axis=(0, 1)).max() < 1e-5 and constant[0, 0, 0] > 0.05
    assert np.abs(change - constant)[8:-8, 8:-8].max() < 0.1 * 8 * constant[0, 0, 0] / 24


def test_light_from_the_side_stays_the_pictures():
    """A face that g_real lights from the left, as a whole somewhat lighter and redder: only the latter is taken."""
    ramp = np.linspace(30, -30, 64)[None, :, None]
    reconstruction, face = np.full((64, 64, 3), 120, np.uint8), np.full((64, 64), SKIN)
    portrait = np.rint(reconstruction + ramp + np.array([18, 6, 0])).astype(np.uint8)
    change = change_of_style(portrait, reconstruction, face)
    lit = srgb_to_oklab(portrait) - srgb_to_oklab(reconstruction)
    assert np.ptp(change[..., 0][8:-8, 16:-16]) < 0.1 * np.ptp(lit[..., 0])
    assert change[..., 0].mean() == pytest.approx(lit[..., 0].mean(), abs=1e-3)
    np.testing.assert_allclose(change[..., 1:], lit[..., 1:], atol=0.01)


def test_a_stain_is_held_back():
    """A green blot that g_real alone draws: its colour passes up to STRONGEST, that of the whole face passes whole."""
    reconstruction, face = np.full((64, 64, 3), 128, np.uint8), np.full((64, 64), SKIN)
    portrait = np.full((64, 64, 3), (150, 128, 118), np.uint8)
    portrait[28:36, 28:36] = (90, 170, 90)
    change = change_of_style(portrait, reconstruction, face)
    whole = srgb_to_oklab(portrait[0, 0]) - srgb_to_oklab(reconstruction[0, 0])
    np.testing.assert_allclose(change[4, 4, 1:], whole[1:], atol=0.003)
    drawn = srgb_to_oklab(portrait[32, 32]) - srgb_to_oklab(reconstruction[32, 32])
    assert np.linalg.norm(drawn[1:] - whole[1:]) > 3 * STRONGEST
    assert np.linalg.norm(change[32, 32, 1:] - whole[1:]) <= 1.1 * STRONGEST


def test_eyes_and_hair_keep_their_hue():
    """g_real draws a redder face: an eye and the hair take its change of light, and none of its colour."""
    reconstruction, labels = np.full((64, 64, 3), 120, np.uint8), np.full((64, 64), SKIN)
    labels[20:32, 20:32], labels[:12] = CLASSES.index("l_eye"), CLASSES.index("hair")
    change = change_of_style(np.full((64, 64, 3), (150, 126, 110), np.uint8), reconstruction, labels)
    for own in (change[24:28, 24:28, 1:], change[:8, :, 1:]):
        assert np.linalg.norm(own, axis=2).max() < 0.002 < 0.02 < np.linalg.norm(change[48, 48, 1:])
    np.testing.assert_allclose(change[24:28, 24:28, 0], change[48, 48, 0], atol=0.002)


def test_what_is_foreign_stays_with_detail_only():
    """Every sample of it, and the portrait replaces it as in Eq. 5 where no detail is kept."""
    crop = np.random.default_rng(0).integers(80, 160, (64, 64, 3), np.uint8)
    portrait, drawn = np.full((64, 64, 3), (110, 122, 134), np.uint8), np.full((64, 64, 3), 110, np.uint8)
    labels, thing = np.full((64, 64), SKIN), np.zeros((64, 64), np.float32)
    quad = np.array([[0, 0], [0, 64], [64, 64], [64, 0]]) - 0.5
    thing[25:40, 20:45] = 1
    given = dict(blend="paper", reconstruction=drawn, foreign=thing)
    kept, _ = composite(crop, portrait, labels, quad, detail=1.0, **given)
    redrawn, _ = composite(crop, portrait, labels, quad, detail=0.0, **given)
    inside, outside = np.s_[27:38, 22:43], np.s_[14:22, 20:45]
    assert np.array_equal(kept[inside], crop[inside]) and (kept[outside] != crop[outside]).mean() > 0.3
    assert np.abs(redrawn[inside].astype(int) - portrait[inside]).max() <= 3


def test_a_change_of_tone_leaves_no_seam(case):
    """From the border inwards it comes in slowly, where the portrait itself ends within the mask's own blur."""
    picture, portrait, _, labels = case
    flat = np.full_like(picture, 120)
    real, rendering = np.full_like(portrait, 150), np.full_like(portrait, 120)
    steps = [
        np.abs(np.diff(composite(flat, real, labels, QUAD, None, "paper", rendering, d)[0][..., 0].astype(int))).max()
        for d in (0, 1)
    ]
    assert steps[1] <= 4 < 6 < steps[0]


def test_detail_needs_the_reconstruction(case):
    picture, portrait, _, labels = case
    with pytest.raises(ValueError, match="reconstruction"):
        composite(picture, portrait, labels, QUAD, detail=0.5)
