"""Refine the texture of a head mesh with a picture of the person, after FaceRefiner (Li et al. 2024).

    mesh, camera = read_mesh("head.obj"), read_camera("camera.json")
    result = refine(mesh, texture, picture, camera, load_perceptual(), mask=skin_mask(picture, load_parser()))
    result.texture                                  # uint8 [H, W, 3], as `texture`; `picture` is uint8 [h, w, 3]

Conventions. UV: origin bottom left, v up, so texel (row i, column j) of an H x W texture is centred on
u = (j + 0.5) / W, v = 1 - (i + 0.5) / H. Camera: x right, y down, z forward; pixel coordinates are continuous, the
centre of the top left pixel is (0.5, 0.5). Faces wind counter-clockwise seen from outside; those that look away are not
drawn.
"""

from .camera import Camera, CameraError, read_camera, solve_camera
from .mesh import Mesh, MeshError, read_mesh
from .rasterize import View, draw, render, view_of
from .refine import Refinement, refine
from .unwrap import unwrap

__all__ = [
    "Camera",
    "CameraError",
    "Mesh",
    "MeshError",
    "Refinement",
    "View",
    "draw",
    "read_camera",
    "read_mesh",
    "refine",
    "render",
    "solve_camera",
    "unwrap",
    "view_of",
]
