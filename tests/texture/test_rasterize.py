"""The renderer: against ray casting, against finite differences, and on meshes as they come."""

import dataclasses

import numpy as np
import pytest
import torch
from relief import front_camera, make_relief, smooth_texture
from scipy.ndimage import map_coordinates

from texture import Mesh, draw, rasterize, read_camera, read_mesh, render, view_of
from texture.rasterize import draw_texels, join, picture_of, render_picture


def checker(size=64, squares=8):
    tile = np.indices([size, size]) * squares // size
    return ((tile.sum(0) % 2) * 200 + 20).astype(np.uint8)[..., None].repeat(3, 2)


def ray_cast(mesh, camera, texture):
    """The same picture by trimesh's ray casting and scipy's interpolation: (picture float [H, W, 3], face [H, W])."""
    trimesh = pytest.importorskip("trimesh")
    pytest.importorskip("rtree")
    y, x = np.indices([camera.height, camera.width]) + 0.5
    local = np.stack([(x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy, np.ones_like(x)], 2).reshape(-1, 3)
    directions = local @ camera.world_to_camera[:, :3]
    scene = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    caster = trimesh.ray.ray_triangle.RayMeshIntersector(scene)
    place, ray, face = caster.intersects_location(
        np.broadcast_to(camera.centre, directions.shape), directions, multiple_hits=False
    )
    weights = trimesh.triangles.points_to_barycentric(mesh.vertices[mesh.faces[face]], place)
    uv = (mesh.uv[mesh.faces[face]] * weights[..., None]).sum(1)
    row, column = (1 - uv[:, 1]) * texture.shape[0] - 0.5, uv[:, 0] * texture.shape[1] - 0.5
    picture = np.zeros([len(directions), 3])
    for channel in range(3):
        values = texture[..., channel].astype(float)
        picture[ray, channel] = map_coordinates(values, [row, column], order=1, mode="nearest")
    faces = np.full(len(directions), -1)
    faces[ray] = face
    return picture.reshape(*x.shape, 3), faces.reshape(x.shape)


def test_checker_equals_ray_casting():
    mesh, camera, texture = make_relief(), front_camera(right=20), checker()
    expected, faces = ray_cast(mesh, camera, texture)
    fragments = draw(mesh, camera)
    assert (fragments.face >= 0).sum() > 2000
    assert ((fragments.face >= 0) != (faces >= 0)).mean() < 0.002  # pixels whose centre lies on the outline
    same = (fragments.face == faces) & (faces >= 0)
    assert same.sum() > 0.98 * (faces >= 0).sum()
    view = dataclasses.replace(view_of(mesh, camera), footprint=torch.zeros(int(fragments.covered.sum())))  # no mipmaps
    drawn = picture_of(render(torch.from_numpy(texture).permute(2, 0, 1)[None].float(), view), view)
    assert np.abs(drawn.permute(1, 2, 0).numpy() - expected)[same].max() < 0.5  # of 200 levels


def test_gradient_equals_finite_differences():
    mesh, camera = make_relief(6), front_camera(12)
    view = view_of(mesh, camera).double()
    view = dataclasses.replace(view, footprint=view.footprint * 1.7)  # off the mipmaps' own levels
    texture = torch.rand(1, 2, 16, 16, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    assert view.footprint.max() * 16 > 1.2  # mipmaps take part
    assert torch.autograd.gradcheck(lambda t: render(t, view), texture.requires_grad_())


def test_render_is_linear(relief, camera):
    view = view_of(relief, camera)
    a, b = torch.rand(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(0)).unbind(0)
    assert torch.allclose(render(2 * a - b, view), 2 * render(a, view) - render(b, view), atol=1e-5)


def test_joined_views_show_what_each_does(relief, camera):
    views = [view_of(relief, camera), view_of(relief, front_camera(64, right=30))]
    texture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    both = join(views)
    assert torch.equal(render(texture, both), torch.cat([render(texture, view) for view in views], 1))
    assert both.inside.sum() == len(both.position) and join(views[:1]) is views[0]


def test_fine_pattern_far_away_turns_grey(relief):
    texture = checker(256, 128)  # squares of two texels, each pixel sees dozens
    picture = render_picture(relief, front_camera(32, away=12), texture)
    seen = draw(relief, front_camera(32, away=12)).covered
    assert np.abs(picture[seen].astype(float) - 120).max() < 12


def test_shared_case_equals_its_render(case0):
    from PIL import Image

    mesh, camera = read_mesh(case0 / "head.obj"), read_camera(case0 / "camera.json")
    texture = np.asarray(Image.open(case0 / "texture_true.png").convert("RGB"))
    expected = np.asarray(Image.open(case0 / "rendered.png").convert("RGB")).astype(float)
    error = np.abs(render_picture(mesh, camera, texture) - expected)
    assert error.mean() < 0.05 and np.quantile(error, 0.999) <= 4


def test_portions_change_nothing_and_bound_the_pairs(relief, monkeypatch):
    """Bands of one row and of all rows; two triangles over the whole grid take no more at once than many small ones."""
    quad = Mesh(np.array([[0, 0, 0], [1, 0, 0], [0, 0, 1], [1, 0, 1.0]]), np.array([[0, 1, 2], [1, 3, 2]]),
                np.array([[0, 0], [1, 0], [0, 1], [1, 1.0]]))  # fmt: skip
    whole = [draw_texels(quad, 64, 96), draw(relief, front_camera(96, right=20))]
    seen, portions = [], rasterize._portions

    def counting(*args):
        for low, high, part in portions(*args):
            seen.append(int((high - low).prod(1).sum()))
            yield low, high, part

    monkeypatch.setattr(rasterize, "_portions", counting)
    for pairs in (50, 500, 5000):
        monkeypatch.setattr(rasterize, "PAIRS", pairs)
        seen.clear()
        for expected, found in zip(
            whole, [draw_texels(quad, 64, 96), draw(relief, front_camera(96, right=20))], strict=True
        ):
            assert np.array_equal(found.face, expected.face) and np.array_equal(found.weights, expected.weights)
        assert max(seen) <= 2 * max(pairs, 96)


def test_nearer_surface_hides_the_farther(relief, camera):
    front = Mesh(relief.vertices - (0, 2, 0), relief.faces, relief.uv)
    both = Mesh(
        np.concatenate([relief.vertices, front.vertices]),
        np.concatenate([relief.faces, front.faces + len(relief.vertices)]),
        np.concatenate([relief.uv, front.uv]),
    )
    fragments = draw(both, camera)
    assert (fragments.face[draw(front, camera).covered] >= len(relief.faces)).all()


def test_looking_away_is_not_drawn(relief, camera):
    turned = Mesh(relief.vertices, relief.faces[:, ::-1], relief.uv)
    assert not draw(turned, camera).covered.any() and draw(turned, camera, cull=False).covered.any()


def test_triangles_without_area_change_nothing(relief, camera):
    extra = np.array([[0, 0, 0], [5, 5, 9], [0, 1, 2], [0, 0, 3]])  # points, a line along an edge
    worse = Mesh(relief.vertices, np.concatenate([relief.faces, extra]), relief.uv)
    assert np.array_equal(draw(relief, camera).face, draw(worse, camera).face)
    assert np.array_equal(draw_texels(relief, 32, 32).face, draw_texels(worse, 32, 32).face)
    assert np.array_equal(
        render_picture(relief, camera, smooth_texture()), render_picture(worse, camera, smooth_texture())
    )


def test_flipped_uvs_show_the_mirrored_texture(relief, camera):
    flipped = Mesh(relief.vertices, relief.faces, relief.uv * (-1, 1) + (1, 0))
    texture = smooth_texture()
    a = render_picture(flipped, camera, texture[:, ::-1]).astype(int)
    assert np.abs(a - render_picture(relief, camera, texture)).max() <= 1
    assert np.array_equal(draw_texels(flipped, 64, 64).covered, draw_texels(relief, 64, 64).covered)


def test_uvs_outside_the_square_repeat(relief, camera):
    texture = smooth_texture()
    moved = Mesh(relief.vertices, relief.faces, relief.uv * 0.8 + (0.5, -3.3))  # across the border and tiles away
    tiled = np.tile(texture, (3, 3, 1))
    inside = Mesh(relief.vertices, relief.faces, (relief.uv * 0.8 + (1.5, 0.7)) / 3)  # the same in a 3 x 3 carpet
    assert np.abs(render_picture(moved, camera, texture).astype(int) - render_picture(inside, camera, tiled)).max() <= 1
    covered = draw_texels(inside, 192, 192).covered.reshape(3, 64, 3, 64).any((0, 2))
    assert (draw_texels(moved, 64, 64).covered != covered).mean() < 0.01


def test_several_islands(relief, camera):
    """Halves of the patch in far corners of the texture look as if they were together."""
    left = relief.vertices[relief.faces][..., 0].mean(1) < 0
    vertices = np.concatenate([relief.vertices, relief.vertices])
    faces = np.where(left[:, None], relief.faces, relief.faces + len(relief.vertices))
    apart = np.concatenate([relief.uv * 0.5, relief.uv * 0.5 + 0.5])
    texture = np.zeros([128, 128, 3], np.uint8)
    small = smooth_texture()
    texture[64:, :64] = texture[:64, 64:] = small
    a = render_picture(Mesh(vertices, faces, apart), camera, texture).astype(int)
    error = np.abs(a - render_picture(relief, camera, small))
    middle = draw(relief, camera).covered.copy()
    middle[:28] = middle[-28:] = middle[:, :28] = middle[:, -28:] = False  # borders of the islands meet black
    assert error[middle].max() <= 1
    assert draw_texels(Mesh(vertices, faces, apart), 128, 128).covered.mean() == pytest.approx(0.25, abs=0.01)
