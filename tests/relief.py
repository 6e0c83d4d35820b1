"""A small mesh with UVs, a camera before it and a texture for it."""

import numpy as np

from texture import Camera, Mesh


def make_relief(n=24, depth=0.5):
    """A bulging square patch that looks to -y: x and z in [-1, 1], u along x, v along z."""
    t = np.linspace(0, 1, n + 1)
    u, v = (grid.ravel() for grid in np.meshgrid(t, t))
    x, z = 2 * u - 1, 2 * v - 1
    vertices = np.stack([x, -depth * (1 - x**2) * (1 - 0.5 * z**2), z], 1)
    corner = (np.arange(n)[:, None] * (n + 1) + np.arange(n)).ravel()  # lower left of every square
    right, up, both = corner + 1, corner + n + 1, corner + n + 2
    faces = np.concatenate([np.stack([corner, right, both], 1), np.stack([corner, both, up], 1)])
    return Mesh(vertices, faces, np.stack([u, v], 1))


def front_camera(size=96, right=0.0, away=6.0, focal=2.2):
    """A camera before the patch, z of the world up; the patch turned to the right of the picture by so many degrees."""
    matrix = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, away]], np.float64)
    camera = Camera(size, size, focal * size, focal * size, size / 2, size / 2, matrix)
    return camera.turned(np.zeros(3), right=right)


def smooth_texture(size=64, seed=0):
    """uint8 [size, size, 3] of soft random blobs."""
    import cv2

    noise = np.random.default_rng(seed).random([8, 8, 3]).astype(np.float32)
    return (cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC).clip(0, 1) * 255).round().astype(np.uint8)
