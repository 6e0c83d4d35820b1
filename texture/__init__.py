"""Refine the texture of a head mesh with pictures of the person, after FaceRefiner (Li et al. 2024).

    mesh, camera = read_mesh("head.obj"), read_camera("camera.json")
    shot = Shot(picture, camera, skin_mask(picture, load_parser()))                     # picture: [h, w, 3]
    refine(Scene(mesh, texture, [shot]), load_perceptual(), TextureSchedule()).texture  # as `texture`, [H, W, 3]

Conventions. UV: origin bottom left, v up, so texel (row i, column j) of an H x W texture is centred on
u = (j + 0.5) / W, v = 1 - (i + 0.5) / H. Camera: x right, y down, z forward; pixel coordinates are continuous, the
centre of the top left pixel is (0.5, 0.5). Faces wind counter-clockwise seen from outside; those that look away are not
drawn.
"""

from .camera import Camera, CameraError, read_camera, solve_camera
from .mesh import Mesh, MeshError
from .model import Model, read_mesh, read_model
from .rasterize import View, draw, draw_texels, render, view_of
from .refine import Refinement, Scene, Shot, TextureSchedule, refine
from .unwrap import unwrap

__all__ = [
    "Camera",
    "CameraError",
    "Mesh",
    "MeshError",
    "Model",
    "Refinement",
    "Scene",
    "Shot",
    "TextureSchedule",
    "View",
    "draw",
    "draw_texels",
    "read_camera",
    "read_mesh",
    "read_model",
    "refine",
    "render",
    "solve_camera",
    "unwrap",
    "view_of",
]
