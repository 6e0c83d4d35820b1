"""The first guess: what is seen stays, what is not follows it in light, and hidden materials are left alone."""

import numpy as np

from texture.guess import first_guess, lit_guess, material_shares, push_pull, seen_materials, soft_inside
from texture.light import relit


def test_push_pull_keeps_what_is_known_and_continues_it():
    values = np.zeros([20, 30, 1], np.float32)
    values[:, :10] = 7
    weight = np.zeros([20, 30])
    weight[:, :10] = 1
    filled = push_pull(values, weight)
    assert np.allclose(filled, 7, atol=1e-4)  # one known colour fills everything, not the black beside it


def test_push_pull_lies_between_what_it_knows():
    values, weight = np.random.default_rng(0).random([17, 23, 3]).astype(np.float32), np.zeros([17, 23])
    weight[2:5, 3:20] = 1
    filled = push_pull(values, weight)
    assert np.array_equal(filled[2:5, 3:20], values[2:5, 3:20])
    assert filled.min() >= values.min() and filled.max() <= values.max()


def test_soft_inside_is_zero_at_the_border_and_one_within():
    mask = np.zeros([400, 400], bool)
    mask[100:300, 100:300] = True
    soft = soft_inside(mask, 0.01)
    assert soft[~mask].max() == 0 and soft[110:290, 110:290].min() == 1 and 0 < soft[102, 200] < 1


def half_seen(size=128):
    content = np.full([size, size, 3], 120, np.float32) + np.random.default_rng(0).normal(0, 2, [size, size, 3])
    visible = np.zeros([size, size], bool)
    visible[:, : size // 3] = True
    return content.astype(np.float32), visible, np.ones([size, size], bool)


def test_unseen_texels_follow_the_light_of_the_seen():
    content, visible, covered = half_seen()
    guess = first_guess(content, content + (30, 10, -20), visible, covered, mirror=False)
    assert np.abs(guess - content - (30, 10, -20)).max() < 1


def test_hidden_materials_keep_their_colour():
    content, visible, covered = half_seen()
    content[:, 100:] = 20  # hair, of which the picture shows nothing
    assert not seen_materials(content, visible, covered)[:, 100:].any()
    assert seen_materials(content, visible, covered)[:, :100].mean() > 0.95
    guess = first_guess(content, content + 30, visible, covered, mirror=False)
    assert np.abs(guess[:, 108:] - 20).max() < 1


def test_unseen_side_takes_the_mirror_image():
    content, visible, covered = half_seen()
    sampled = content.copy()
    sampled[60:70, 20:30] += 60  # a birthmark on the seen side
    guess = first_guess(content, sampled, visible, covered, mirror=True)
    assert np.abs(guess[62:68, 100:106] - sampled[62:68, 22:28][:, ::-1]).max() < 1
    alone = first_guess(content, sampled, visible, covered, mirror=False)
    assert np.abs(alone[62:68, 100:106] - content[62:68, 100:106]).max() < 20


def test_shares_give_the_pool_the_proportions_of_the_visible():
    content = np.full([100, 100, 3], 200, np.float32)
    content[:, :20] = 100  # lips: a fifth of the pool, and half of what is visible
    visible, pool = np.zeros([100, 100], bool), np.ones([100, 100], bool)
    visible[:10, 10:30] = True
    shares = material_shares(content, visible, pool)
    assert np.isclose(shares[:, :20].sum(), shares[:, 20:].sum()) and np.isclose(shares.sum(), visible.sum())
    content[50:, 50:] = 30  # not seen
    assert material_shares(content, visible, pool)[50:, 50:].max() == 0


def test_light_comes_off_before_and_on_after():
    """Where light is known, the unseen side is the seen one's colour in its own light."""
    content, visible, covered = half_seen()
    content[:] = 120
    light = np.ones([128, 128, 3], np.float32)
    light[:, :64] = 2.0
    light[:, 64:] = 0.5  # the unseen side lies in the shade
    sampled = relit(np.full([128, 128, 3], 90.0), light)
    guess = lit_guess(content, sampled, visible, covered, True, light)
    assert np.abs(guess - sampled)[4:-4, 4:-4].max() < 1
    assert np.array_equal(guess[20:100, 10:30].round(), sampled[20:100, 10:30].round())
