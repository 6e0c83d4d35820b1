"""Meshes: subdivision, tubes, what a hat covers."""

import numpy as np
import pytest

pytest.importorskip("scipy")
from avatars import accessories
from avatars.geometry import Binding, compact, components, rotation, subdivision

CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
FACES = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]


def test_a_subdivided_cube():
    matrix, quads = subdivision(FACES, 8)
    points = matrix @ CUBE
    assert matrix.shape == (8 + 6 + 12, 8) and quads.shape == (24, 4)
    assert np.allclose(matrix.sum(1), 1)
    # Catmull and Clark: corner = (F + 2 R + (n - 3) P) / n with n = 3; F = mean of face points, R = of edge middles
    assert np.allclose(np.abs(points[:8]), 5 / 9, atol=1e-6)
    assert np.allclose(np.sort(np.abs(points[14:]), axis=1), [0, 0.75, 0.75], atol=1e-6)


def test_the_border_of_an_open_mesh_stays():
    matrix, _ = subdivision([[0, 1, 3, 2]], 4)
    square = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], float)
    points = matrix @ square
    assert np.allclose(points[5:], [[0.5, 0], [1, 0.5], [0.5, 1], [0, 0.5]])  # edge points: the middles


def test_parts_and_unused_vertices():
    faces = [[0, 1, 2], [4, 5, 6]]
    parts = components(faces, 8)
    assert len(set(parts[:3])) == 1 and len(set(parts[4:7])) == 1 and parts[0] != parts[4]
    renumbered, used = compact(faces, 8)
    assert used.tolist() == [0, 1, 2, 4, 5, 6] and renumbered == [[0, 1, 2], [3, 4, 5]]


def test_bound_points_follow_their_surface():
    rng = np.random.default_rng(0)
    surface = rng.normal(size=(200, 3)).astype(np.float32)
    points = surface[:50] + 0.01
    bound = Binding(points, surface)
    assert np.allclose(bound(surface + [1, 2, 3]), points + [1, 2, 3], atol=1e-5)


def test_rotation_turns_counterclockwise():
    assert np.allclose(rotation([0, 0, 1], 90) @ [1, 0, 0], [0, 1, 0])


def test_a_closed_tube_has_its_radius_everywhere():
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    line = np.stack([np.cos(turn), np.zeros(40), np.sin(turn)], 1)
    vertices, quads = accessories.tube(line, 0.1, closed=True)
    assert np.allclose(np.linalg.norm(vertices.reshape(40, 8, 3) - line[:, None], axis=2), 0.1)
    assert len(quads) == 40 * 8 and set(quads.ravel()) == set(range(320))


@pytest.mark.parametrize("kind", ["beanie", "cap", "brim"])
def test_a_hat_goes_over_the_head(kind):
    rng = np.random.default_rng(1)
    ball = rng.normal(size=(4000, 3))
    ball *= 0.09 / np.linalg.norm(
        ball, axis=1, keepdims=True
    )  # a head of 9 cm radius, eyes at the height of its middle
    hat = accessories.Hat({"kind": kind, "height": 0.055}, np.array([0, -0.08, 0.0]), ball)
    dome = hat.vertices[: hat.COLUMNS * hat.ROWS]
    assert 0.092 < np.linalg.norm(dome, axis=1).min() and np.linalg.norm(dome, axis=1).max() < 0.105
    covered = hat.covers(ball)
    assert covered[ball[:, 2] > 0.08].all() and not covered[ball[:, 2] < -0.03].any()
    front = hat.vertices[:, 1].min()
    assert front < -0.13 if kind in ("cap", "brim") else front > -0.11
