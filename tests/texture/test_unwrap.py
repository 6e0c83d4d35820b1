"""Unwrapping is the inverse of rendering where the surface is seen, and knows where it is not."""

import numpy as np
import pytest
from relief import front_camera, make_relief, smooth_texture

from texture import Mesh, read_camera, read_mesh, unwrap
from texture.rasterize import draw_texels, render_picture
from texture.unwrap import cosines, mirrored_layout, turn


def test_unwrapping_a_render_gives_the_texture_back(relief, camera):
    texture = smooth_texture()
    camera = front_camera(256, right=15)
    result = unwrap(relief, camera, render_picture(relief, camera, texture), (64, 64))
    inner = result.visible.copy()
    inner[:2] = inner[-2:] = inner[:, :2] = inner[:, -2:] = False  # beside the outline the backdrop is mixed in
    assert inner.sum() > 2000
    error = np.abs(result.sampled - texture)[inner]
    assert error.mean() < 2 and error.max() < 12  # a shift by one texel: mean 8


def test_steep_texels_do_not_count(relief):
    camera = front_camera(128, right=50)
    result = unwrap(relief, camera, np.zeros([128, 128, 3], np.uint8), (64, 64))
    steep = cosines(relief, camera)[draw_texels(relief, 64, 64).face] < 0.3  # closing may add those just below 0.4
    assert steep.sum() > 200 and not (result.visible & steep).any()
    assert result.visible.sum() > 500
    assert unwrap(relief, camera, np.zeros([128, 128, 3], np.uint8), (64, 64), facing=0.6).visible.sum() < (
        result.visible.sum()
    )


def test_hidden_texels_do_not_count(relief, camera):
    """A small patch before the large one hides its middle; each has half of the texture."""
    small = make_relief(8)
    joined = Mesh(
        np.concatenate([relief.vertices, small.vertices * 0.4 - (0, 2, 0)]),
        np.concatenate([relief.faces, small.faces + len(relief.vertices)]),
        np.concatenate([relief.uv * (0.5, 1), small.uv * (0.5, 1) + (0.5, 0)]),
    )
    visible = unwrap(joined, camera, np.zeros([96, 96, 3], np.uint8), (64, 128)).visible
    assert not visible[28:36, 28:36].any()  # the middle of the large patch
    assert visible[10:50, 70:120].all() and visible[4:8, 4:60].all()


def test_mask_of_the_picture_is_carried_over(relief, camera):
    mask = np.zeros([96, 96], bool)
    mask[:, :48] = True  # the left half of the picture: u below a half
    result = unwrap(relief, camera, np.zeros([96, 96, 3], np.uint8), (64, 64), mask)
    assert result.visible[:, 4:30].all() and not result.visible[:, 34:].any()
    assert not result.pixels[:, 48:].any()


def test_wrong_size_and_wrong_side_are_refused(relief, camera):
    with pytest.raises(ValueError, match="96 x 96 pixels, but this one has 50 x 40"):
        unwrap(relief, camera, np.zeros([40, 50, 3], np.uint8), (64, 64))
    with pytest.raises(ValueError, match="no texel is seen"):
        unwrap(relief, front_camera(right=180), np.zeros([96, 96, 3], np.uint8), (64, 64))


@pytest.mark.parametrize("right", [-30, 0, 40])
def test_turn_is_told_from_a_mirrored_layout(relief, right):
    found = turn(relief, front_camera(right=right, away=200, focal=70), draw_texels(relief, 64, 64))
    assert found == pytest.approx(-right, abs=1.5)  # positive to its own right


def test_a_lopsided_layout_tells_no_turn(relief, camera):
    lopsided = Mesh(relief.vertices, relief.faces, relief.uv * (0.5, 1))
    texels = draw_texels(lopsided, 64, 64)
    assert not mirrored_layout(texels.covered) and turn(lopsided, camera, texels) is None


def test_shared_case_is_seen_where_its_makers_saw_it(case0):
    from PIL import Image

    mesh, camera = read_mesh(case0 / "head.obj"), read_camera(case0 / "camera.json")
    picture = np.asarray(Image.open(case0 / "photo.png").convert("RGB"))
    seen = np.asarray(Image.open(case0 / "visible.png").convert("L")) > 127
    result = unwrap(mesh, camera, picture, (1024, 1024))
    assert (result.visible & seen).sum() > 0.98 * seen.sum()  # theirs leaves out hair, which no mesh shows
    assert turn(mesh, camera, draw_texels(mesh, 1024, 1024)) == pytest.approx(-25, abs=3)
