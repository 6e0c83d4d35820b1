"""Triangles with UVs, as the renderer wants them; models.py reads them from files."""

from dataclasses import dataclass

import numpy as np


class MeshError(Exception):
    """A mesh that cannot be used; the message is one line, 'PATH: what is wrong; remedy'."""

    def __str__(self):
        from alignment.text import shown

        return shown(super().__str__(), 2000)


@dataclass(frozen=True)
class Mesh:
    """Triangles. A vertex on a UV seam appears once for each of its UVs, as renderers want it."""

    vertices: np.ndarray  # float64 [V, 3], in the file's own unit and axes
    faces: np.ndarray  # int64 [F, 3], counter-clockwise seen from outside
    uv: np.ndarray  # float64 [V, 2], origin bottom left, v up; outside [0, 1] the texture repeats
    painted: np.ndarray | None = None  # bool [F], triangles that show the texture at hand, None = all; others hide only

    @property
    def size(self):
        """Length of the bounding box's diagonal."""
        return float(np.linalg.norm(np.ptp(self.vertices, axis=0)))

    @property
    def shows(self):
        """bool [F]: `painted`, spelt out."""
        return np.ones(len(self.faces), bool) if self.painted is None else self.painted

    def face_normals(self):
        """float64 [F, 3], unit length; 0 for a triangle without area."""
        a, b, c = (self.vertices[self.faces[:, i]] for i in range(3))
        normal = np.cross(b - a, c - a)
        return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)
