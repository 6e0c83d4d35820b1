"""Light: known lights are found again, cannot be negative, and come off and on without loss."""

import numpy as np
import pytest
from relief import make_relief

from texture.light import DULL, fit, harmonics, linear, relit, shading, sphere, vertex_normals
from texture.rasterize import draw_texels


def test_harmonics_are_orthonormal():
    directions = sphere(4000)
    y = harmonics(directions)
    assert np.allclose(4 * np.pi * y.T @ y / len(y), np.eye(9), atol=2e-3)
    assert np.allclose(np.linalg.norm(directions, axis=1), 1)


def test_a_dull_surface_under_one_source():
    """The cosine law, cut off at order 2: within 0.06 of the truth (Ramamoorthi and Hanrahan's bound is 9 %)."""
    source, normals = np.array([[0.6, 0.0, 0.8]]), sphere(500)
    looks = (harmonics(normals) * DULL) @ harmonics(source)[0] * np.pi
    assert np.abs(looks - np.maximum(normals @ source[0], 0)).max() < 0.1


def test_a_light_is_found_from_the_side_that_is_seen():
    light = harmonics(np.array([[0.8, -0.6, 0.0]])).T * [[2.0, 1.0, 0.5]]
    light = light + 0.8 * harmonics(sphere(48)).mean(0)[:, None]
    normals = sphere(3000)
    basis = harmonics(normals) * DULL
    seen = normals[:, 1] < -0.2
    colours = np.maximum(basis @ light, 0) * np.random.default_rng(0).normal(1, 0.03, [3000, 1])
    colours[::40] = 1.0  # highlights
    found = fit(colours[seen], basis[seen])
    error = np.abs(basis @ found - basis @ light).mean(0) / (basis @ light).mean(0)
    assert (error < 0.35).all()
    assert np.abs((basis @ found - basis @ light)[seen]).mean() < 0.04
    radiance = harmonics(sphere(200)) @ found
    assert radiance.min() > -0.35 * radiance.max()  # what the cut-off rings, no more


def test_even_light_is_found_even():
    basis = harmonics(sphere(1000)) * DULL
    found = fit(np.full([1000, 3], 0.3), basis)
    assert np.abs(basis @ found - 0.3).max() < 0.03


def test_shading_follows_the_light_on_a_mesh():
    mesh = make_relief(16, depth=1.2)
    texels = draw_texels(mesh, 64, 64)
    normal = texels.interpolate(mesh, vertex_normals(mesh))
    lit = 100 * np.clip(0.3 + 0.7 * normal[..., :1], 0.05, None) ** (1 / 2.2) * np.ones(3)
    factor = shading(mesh, texels, lit, texels.covered)
    even = relit(lit, 1 / factor)
    assert factor.shape == (64, 64, 3) and factor.dtype == np.float32
    assert even.std() < 0.5 * lit[texels.covered].std()
    assert np.allclose(relit(even, factor), lit, rtol=1e-4)


def test_vertices_of_a_seam_share_their_normal():
    mesh = make_relief(6)
    doubled = type(mesh)(
        np.concatenate([mesh.vertices] * 2),
        np.where((np.arange(len(mesh.faces)) % 2 == 0)[:, None], mesh.faces, mesh.faces + len(mesh.vertices)),
        np.concatenate([mesh.uv] * 2),
    )
    normal, expected = vertex_normals(doubled), vertex_normals(mesh)
    assert np.allclose(normal[: len(expected)], expected) and np.allclose(normal[len(expected) :], expected)


@pytest.mark.parametrize("levels", [30.0, 128.0, 250.0])
def test_relit_is_linear_in_light(levels):
    half = relit(np.full([1, 1, 3], levels), np.full([1, 1, 3], 0.5))
    assert linear(half)[0, 0, 0] == pytest.approx(linear(np.array(levels)) / 2, rel=1e-5)
