"""Several pictures as one: more is seen, their lights are made the first one's, and an outlier has little to say."""

from dataclasses import replace

import numpy as np
import pytest
from relief import front_camera, make_relief, smooth_texture

from texture.combine import combine, directions, ratio_of_lights, robust_mean
from texture.light import linear, relit, vertex_normals
from texture.rasterize import draw_texels, render_picture
from texture.unwrap import unwrap

SIZE = (64, 64)


@pytest.fixture(scope="module")
def head():
    """(mesh, its Fragments of texels, true texture, cameras from both sides)."""
    mesh = make_relief(16, depth=1.2)
    return mesh, draw_texels(mesh, *SIZE), smooth_texture(64) // 2 + 80, [front_camera(128, right=a) for a in (25, -25)]


def seen(head, light=None):
    """[Unwrapped] of pictures from both sides, the second one in another light, [64, 64, 3]."""
    mesh, _, true, cameras = head
    other = true if light is None else relit(true.astype(np.float32), light).clip(0, 255).round().astype(np.uint8)
    pictures = [render_picture(mesh, camera, texture) for camera, texture in zip(cameras, (true, other), strict=True)]
    return [unwrap(mesh, camera, picture, SIZE) for camera, picture in zip(cameras, pictures, strict=True)]


def off(head, result, where):
    return np.abs(result.sampled - head[2])[where].mean()


def test_two_pictures_show_more(head):
    parts = seen(head)
    both = combine(head[0], head[1], head[3], parts)
    assert np.array_equal(both.visible, parts[0].visible | parts[1].visible)
    assert both.visible.sum() > 1.2 * max(part.visible.sum() for part in parts)
    assert off(head, both, both.visible) < 3
    assert not both.sampled[~both.visible].any()


def test_one_picture_is_left_as_it_is(head):
    part = seen(head)[0]
    alone = combine(head[0], head[1], head[3][:1], [part])
    assert alone.sampled is part.sampled and alone.visible is part.visible and alone.factors == [None]


def test_light_and_exposure_are_made_the_first_ones(head):
    """Half the exposure, warmer, and lit from one side: without the fit the second picture is 30 levels off."""
    mesh, texels, _, cameras = head
    normal = directions(texels.interpolate(mesh, vertex_normals(mesh)))
    light = (0.5 * (1 + 0.4 * normal[..., :1]) * (1.1, 1.0, 0.8)).astype(np.float32)
    parts = seen(head, light)
    both = combine(mesh, texels, cameras, parts)
    alone = parts[1].visible & ~parts[0].visible
    assert np.abs(parts[1].sampled - head[2])[alone].mean() > 25
    assert off(head, both, alone) < 6
    ends = parts[0].visible[:, 1:] != parts[0].visible[:, :-1]  # where the first picture ends there is no step
    ends &= parts[1].visible[:, 1:] & parts[1].visible[:, :-1]
    step = np.diff(both.sampled - head[2], axis=1)[ends]
    assert len(step) > 20 and np.abs(step).mean() < 3
    assert np.abs(both.factors[1] * light - 1)[both.visible].mean() < 0.1


def test_a_spot_in_the_worse_picture_hardly_shows(head):
    mesh, texels, _, cameras = head
    clean = seen(head)
    towards = [directions(camera.centre - texels.interpolate(mesh, mesh.vertices)) for camera in cameras]
    better = ((towards[0] - towards[1]) * directions(texels.interpolate(mesh, vertex_normals(mesh)))).sum(2) > 0.15
    well = better & clean[0].visible & clean[1].visible
    well &= np.arange(SIZE[0])[:, None] % 32 < 16
    assert well.sum() > 50
    spot = np.where(well[..., None], np.float32([255, 0, 255]), clean[1].sampled)
    spoilt = [clean[0], replace(clean[1], sampled=spot)]
    moved = np.abs(combine(mesh, texels, cameras, spoilt).sampled - combine(mesh, texels, cameras, clean).sampled)
    assert np.median(moved[well]) < 3 and moved[well].mean() < 10


def test_pictures_that_share_nothing_are_put_together(head):
    mesh, texels, _, cameras = head
    parts = seen(head)
    right = np.arange(SIZE[1]) >= SIZE[1] // 2
    halves = [replace(part, visible=part.visible & side) for part, side in zip(parts, (~right, right), strict=True)]
    both = combine(mesh, texels, cameras, halves)
    assert np.isfinite(both.sampled).all() and np.array_equal(both.visible, halves[0].visible | halves[1].visible)


def test_the_majority_and_the_better_seen_win():
    one, other = np.full([1, 1, 3], 100.0), np.full([1, 1, 3], 200.0)
    weights = [np.full([1, 1], 1.0), np.full([1, 1], 0.6)]
    assert np.abs(robust_mean([one, other], weights) - 100).max() < 2
    assert np.abs(robust_mean([one, one + 4, other], [weights[0]] * 3) - 102).max() < 2
    near = robust_mean([one, one + 4], [weights[0]] * 2)
    assert near == pytest.approx(102)  # agreement: the mean
    assert not robust_mean([one], [np.zeros([1, 1])]).any()


def test_ratio_of_lights_is_found_and_bounded():
    normal = directions(np.random.default_rng(0).normal(size=[20, 20, 3]))
    light = 0.6 * (1 + 0.3 * normal[..., 2:]) * np.ones(3)
    colours = np.random.default_rng(1).uniform(60, 200, [20, 20, 3]).astype(np.float32)
    lit = relit(colours, light)
    every = np.ones([20, 20], bool)
    found = ratio_of_lights(lit, colours, normal, every, every)
    assert np.abs(found / light - 1).max() < 0.05
    assert np.allclose(linear(relit(colours, found)), linear(lit), atol=0.03)
    black = np.zeros_like(colours)
    assert ratio_of_lights(lit, black, normal, every, every).max() <= 10
