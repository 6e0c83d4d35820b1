"""Read a head mesh with UVs: OBJ, PLY, glTF and whatever else trimesh knows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


class MeshError(Exception):
    """A mesh that cannot be used; the message is one line, 'PATH: what is wrong; remedy'."""


@dataclass(frozen=True)
class Mesh:
    """Triangles. A vertex on a UV seam appears once for each of its UVs, as renderers want it."""

    vertices: np.ndarray  # float64 [V, 3], in the file's own unit and axes
    faces: np.ndarray  # int64 [F, 3], counter-clockwise seen from outside
    uv: np.ndarray  # float64 [V, 2], origin bottom left, v up; outside [0, 1] the texture repeats

    @property
    def size(self):
        """Length of the bounding box's diagonal."""
        return float(np.linalg.norm(np.ptp(self.vertices, axis=0)))

    def face_normals(self):
        """float64 [F, 3], unit length; 0 for a triangle without area."""
        a, b, c = (self.vertices[self.faces[:, i]] for i in range(3))
        normal = np.cross(b - a, c - a)
        return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)


def read_mesh(path):
    """Read a file as one Mesh; several parts are joined, polygons are cut into triangles.

    Raises MeshError when the file is missing or damaged, holds no triangles, or any part has no usable UVs.
    """
    import trimesh

    path = Path(path)
    if not path.is_file():
        raise MeshError(f"{path}: no such file; check the path")
    try:
        scene = trimesh.load_scene(path, process=False)
        parts = [part for part in scene.dump() if isinstance(part, trimesh.Trimesh) and len(part.faces)]
    except Exception as error:  # every reader has its own set of exceptions for damaged data
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise MeshError(f"{path}: not a readable mesh ({line}); export it as OBJ, PLY or glTF") from error
    if not parts:
        raise MeshError(f"{path}: holds no triangles; export the head's mesh as OBJ, PLY or glTF")

    vertices, faces, uvs, start = [], [], [], 0
    for part in parts:
        uv = getattr(part.visual, "uv", None)
        if uv is None or len(uv) != len(part.vertices):
            raise MeshError(f"{path}: has no UVs (in one of its parts); unwrap it, or export the textured head alone")
        vertices.append(np.asarray(part.vertices, np.float64))
        faces.append(np.asarray(part.faces, np.int64) + start)
        uvs.append(np.asarray(uv, np.float64)[:, :2])
        start += len(part.vertices)
    mesh = Mesh(np.concatenate(vertices), np.concatenate(faces), np.concatenate(uvs))
    if not (np.isfinite(mesh.vertices).all() and np.isfinite(mesh.uv).all()):
        raise MeshError(f"{path}: holds NaN or infinite coordinates; export it again")
    if np.ptp(mesh.uv, axis=0).min() < 1e-6:
        raise MeshError(f"{path}: all its UVs lie on one line; unwrap it again")
    return mesh
