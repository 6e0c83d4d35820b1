"""Meshes of every format come in with the same corners; what cannot be used is refused in one line."""

import numpy as np
import pytest
import trimesh

from texture import MeshError, read_mesh

SEAM = """v 0 0 0\nv 1 0 0\nv 1 0 1\nv 0 0 1
vt 0 0\nvt 0.4 0\nvt 0.4 1\nvt 0.6 0\nvt 1 1\nvt 0.6 1
f 1/1 2/2 3/3\nf 1/4 3/5 4/6
"""


def exported(mesh, path):
    visual = trimesh.visual.TextureVisuals(uv=mesh.uv, material=trimesh.visual.material.SimpleMaterial())
    trimesh.Trimesh(mesh.vertices, mesh.faces, visual=visual, process=False).export(path)
    return path


@pytest.mark.parametrize("suffix", ["obj", "ply", "glb"])
def test_formats_agree(relief, tmp_path, suffix):
    read = read_mesh(exported(relief, tmp_path / f"head.{suffix}"))
    assert np.allclose(read.vertices[read.faces], relief.vertices[relief.faces], atol=1e-6)
    assert np.allclose(read.uv[read.faces], relief.uv[relief.faces], atol=1e-6)  # v not turned upside down


def test_vertex_on_a_seam_keeps_both_uvs(tmp_path):
    path = tmp_path / "seam.obj"
    path.write_text(SEAM)
    mesh = read_mesh(path)
    assert np.allclose(mesh.uv[mesh.faces], [[[0, 0], [0.4, 0], [0.4, 1]], [[0.6, 0], [1, 1], [0.6, 1]]])


def test_polygons_are_cut_into_triangles(tmp_path):
    path = tmp_path / "quad.obj"
    path.write_text("v 0 0 0\nv 1 0 0\nv 1 0 1\nv 0 0 1\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nf 1/1 2/2 3/3 4/4\n")
    assert read_mesh(path).faces.shape == (2, 3)


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("v 0 0 0\nv 1 0 0\nv 1 0 1\nf 1 2 3\n", "no UVs"),
        ("v 0 0 0\nv 1 0 0\n", "no triangles|not a readable"),
        ("v 0 0 0\nv 1 0 0\nv 1 0 1\nvt 0 0\nvt 0 0\nvt 0 0\nf 1/1 2/2 3/3\n", "UVs lie on one line"),
    ],
)
def test_unusable_meshes_are_refused(tmp_path, text, complaint):
    path = tmp_path / "bad.obj"
    path.write_text(text)
    with pytest.raises(MeshError, match=complaint) as failure:
        read_mesh(path)
    assert str(failure.value).startswith(str(path)) and "\n" not in str(failure.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(MeshError, match="none.obj: no such file"):
        read_mesh(tmp_path / "none.obj")


def test_damaged_file_is_named(tmp_path):
    (tmp_path / "head.glb").write_bytes(b"not a glb at all")
    with pytest.raises(MeshError, match="head.glb: not a readable mesh"):
        read_mesh(tmp_path / "head.glb")
