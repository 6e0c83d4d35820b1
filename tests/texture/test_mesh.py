"""Meshes of every format come in with the same corners; what cannot be used is refused in one line."""

import random
import zipfile

import numpy as np
import pytest
import trimesh
from PIL import Image
from relief import make_relief, smooth_texture

from texture import MeshError, read_mesh, read_model

SEAM = """v 0 0 0\nv 1 0 0\nv 1 0 1\nv 0 0 1
vt 0 0\nvt 0.4 0\nvt 0.4 1\nvt 0.6 0\nvt 1 1\nvt 0.6 1
f 1/1 2/2 3/3\nf 1/4 3/5 4/6
"""


def exported(mesh, path):
    visual = trimesh.visual.TextureVisuals(uv=mesh.uv, material=trimesh.visual.material.SimpleMaterial())
    trimesh.Trimesh(mesh.vertices, mesh.faces, visual=visual, process=False).export(path)
    return path


def obj(*patches):
    """Text of an OBJ file: patches are (mesh, uv, material or None)."""
    lines, first = ["mtllib head.mtl"], 1
    for mesh, uv, material in patches:
        lines += [f"usemtl {material}"] if material else []
        lines += [f"v {x} {y} {z}" for x, y, z in mesh.vertices] + [f"vt {u} {v}" for u, v in uv]
        lines += ["f " + " ".join(f"{i}/{i}" for i in face + first) for face in mesh.faces]
        first += len(mesh.vertices)
    return "\n".join(lines) + "\n"


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


@pytest.mark.parametrize(
    "face", ["f 1/1 2/2 3/3 4/4", "f -4/-4 -3/-3 -2/-2 -1/-1 # end", "f 1/1/1 2/2/1 \\\n3/3/1 4/4/1"]
)
def test_polygons_are_cut_into_triangles(tmp_path, face):
    path = tmp_path / "quad.obj"
    path.write_text(f"v 0 0 0\nv 1 0 0\nv 1 0 1\nv 0 0 1\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nvn 0 -1 0\n{face}\n")
    mesh = read_mesh(path)
    assert mesh.faces.shape == (2, 3) and np.allclose(mesh.uv, mesh.vertices[:, [0, 2]])


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("v 0 0 0\nv 1 0 0\nv 1 0 1\nf 1 2 3\n", "no UVs"),
        ("v 0 0 0\nv 1 0 0\n", "no triangles"),
        ("", "empty"),
        ("v 0 0 0\nv 1 0 0\nv 1 0 1\nvt 0 0\nvt 0 0\nvt 0 0\nf 1/1 2/2 3/3\n", "UVs lie on one line"),
        (SEAM + "f 1/1 2/2 9/3\n", "not there"),
        (SEAM + "f 1/1 2/2 3/9\n", "not there"),
        (SEAM + "f 1/1 2/2 -9/3\n", "not there"),
        (SEAM + "f 1/1 0/2 3/3\n", "not there"),
        (SEAM + "v 1 x 3\n", "could not convert"),
        (SEAM + "v 1 2\n", "not a readable"),
        (SEAM.replace("v 0 0 0", "v nan 0 0"), "NaN"),
        (SEAM.replace("v 0 0 0", "v 1e300 0 0"), "1e9"),
        (SEAM.replace("vt 0.4 0", "vt inf 0"), "NaN or infinite"),
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


@pytest.mark.parametrize("name", ["head.zip", "head.3mf", "head.stl", "head.dae", "head.tar.gz", "head"])
def test_nothing_is_unpacked(relief, tmp_path, name):
    exported(relief, tmp_path / "head.obj")
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.write(tmp_path / "head.obj", "head.obj")
    with pytest.raises(MeshError, match="not a mesh of a kind"):
        read_mesh(tmp_path / name)


def test_ply_that_claims_more_than_it_holds(relief, tmp_path):
    path = exported(relief, tmp_path / "head.ply")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"element vertex 625", b"element vertex 999999999999"))
    with pytest.raises(MeshError, match="cut short, or too large"):
        read_mesh(path)
    rng = random.Random(0)
    for _ in range(60):
        changed = bytearray(data)
        for _ in range(rng.randint(1, 8)):
            changed[rng.randrange(400 if rng.random() < 0.7 else len(data))] = rng.randrange(256)
        path.write_bytes(changed[: rng.choice([len(data), rng.randrange(len(data))])])
        try:
            read_model(path)
        except MeshError as error:
            assert str(error).isprintable()


def test_own_texture_of_an_obj(relief, tmp_path):
    """However the MTL spells it, it is found in the mesh's folder or below, and nowhere else."""
    path, pixels = tmp_path / "in/head.obj", smooth_texture(40)
    (tmp_path / "in/maps").mkdir(parents=True)
    path.write_text(obj((relief, relief.uv, "skin")))
    Image.fromarray(pixels).save(tmp_path / "in/maps/my skin.png")
    Image.fromarray(pixels // 2).save(tmp_path / "in/beside.png")
    Image.fromarray(pixels).save(tmp_path / "secret.png")
    for name, expected in (
        ("maps/my skin.png", pixels),
        ("-clamp on -bm 1.0 maps\\my skin.png", pixels),
        ("C:\\Users\\me\\beside.png", pixels // 2),
        ("/home/me/beside.png", pixels // 2),
        ("../secret.png", None),
        (str(tmp_path / "secret.png"), None),
    ):
        (tmp_path / "in/head.mtl").write_text(f"newmtl skin\nKd 1 1 1\nmap_Kd {name}\n")
        model = read_model(path)
        if expected is None:
            with pytest.raises(Exception, match="secret.png: no such file"):
                model.texture_of(model.parts[0])
        else:
            assert np.array_equal(model.texture_of(model.parts[0]).pixels, expected)
    (tmp_path / "in/head.mtl").write_text("newmtl skin\nmap_Kd -s 2 2 1 beside.png\n")
    with pytest.raises(MeshError, match="scales or moves a map"):
        read_model(path)


def test_parts_by_material(tmp_path):
    a, b, c = make_relief(2), make_relief(3), make_relief(4)
    path = tmp_path / "head.obj"
    path.write_text(obj((a, a.uv, "skin"), (b, b.uv, "eyes"), (c, c.uv, "ears")))
    (tmp_path / "head.mtl").write_text(
        "newmtl skin\nmap_Kd skin.png\nnewmtl eyes\nmap_Kd eyes.png\nnewmtl ears\nmap_Kd skin.png\n"
    )
    for name in ("skin.png", "eyes.png"):
        Image.new("RGB", (32, 32)).save(tmp_path / name)
    model = read_model(path)
    skin, eyes = model.parts
    assert skin.faces.sum() == 8 + 32 and eyes.faces.sum() == 18
    assert model.choose([1, 9]) is eyes
    assert model.choose([1, 9], tmp_path / "else/SKIN.jpg") is skin
    assert model.choose([1, 9], tmp_path / "new.png") is eyes
    mesh = model.mesh_of(skin)
    assert np.array_equal(mesh.painted, skin.faces) and mesh.faces is model.mesh.faces


@pytest.mark.parametrize("named", ["skin.1001.png", "skin.<UDIM>.png"])
def test_tiles_are_parts(tmp_path, named):
    """Three patches in tiles 1001, 1002 and 1011."""
    relief, shifts = make_relief(2), ((0, 0), (1, 0), (0, 1))
    path = tmp_path / "head.obj"
    path.write_text(obj(*((relief, relief.uv + shift, "skin") for shift in shifts)))
    (tmp_path / "head.mtl").write_text(f"newmtl skin\nmap_Kd {named}\n")
    for number in (1001, 1002, 1011):
        Image.new("RGB", (32, 32), (number % 100, 0, 0)).save(tmp_path / f"skin.{number}.png")
    model = read_model(path)
    assert [part.name for part in model.parts] == [f"skin, tile {number}" for number in (1001, 1002, 1011)]
    for part, shift, level in zip(model.parts, shifts, (1, 2, 11), strict=True):
        mesh = model.mesh_of(part)
        assert np.allclose(np.sort(mesh.uv[mesh.faces[part.faces]]), np.sort(relief.uv[relief.faces])), shift
        assert model.texture_of(part).pixels[0, 0, 0] == level
    assert model.choose([1, 5, 9]) is model.parts[2]
    assert model.choose([1, 5, 9], tmp_path / "skin.1002.png") is model.parts[1]
    assert model.choose([1, 5, 9], tmp_path / "skin.png") is model.parts[0]
    assert model.choose([0, 5, 9], tmp_path / "skin.png") is model.parts[1]  # 1001 is not seen


def test_a_texture_that_repeats_has_no_tiles(relief, tmp_path):
    path = tmp_path / "head.obj"
    for uv in (relief.uv * 3.1, relief.uv - 5.5):
        path.write_text(obj((relief, uv, None)))
        (part,) = read_model(path).parts
        assert part.tile is None and part.faces.all()
