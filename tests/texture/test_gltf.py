"""glTF: every way to say the same gives the same mesh, the new texture is shown, and damage costs one line."""

import io
import json
import random
import struct

import numpy as np
import pytest
import trimesh
from gltf import make_glb, pack, png
from PIL import Image
from relief import make_relief, smooth_texture

from texture import Mesh, MeshError, read_model
from texture.model import read_mesh

SKIN = smooth_texture(48)


def written(folder, data, name="head.glb"):
    (folder / name).write_bytes(data)
    return folder / name


def test_own_texture_is_read_and_replaced(relief, tmp_path):
    path = written(tmp_path, make_glb([relief], [png(SKIN)]))
    model = read_model(path)
    (part,) = model.parts
    assert np.array_equal(model.texture_of(part).pixels, SKIN) and part.faces.all()
    assert np.allclose(model.mesh.uv[model.mesh.faces], relief.uv[relief.faces], atol=1e-6)
    model.write_with(tmp_path / "out.glb", part, SKIN // 2)
    again = read_model(tmp_path / "out.glb")
    assert np.array_equal(again.texture_of(again.parts[0]).pixels, SKIN // 2)
    assert np.array_equal(again.mesh.vertices, model.mesh.vertices)
    (other,) = trimesh.load_scene(tmp_path / "out.glb").geometry.values()  # another reader sees the same
    assert np.array_equal(np.asarray(other.visual.material.baseColorTexture.convert("RGB")), SKIN // 2)


@pytest.mark.parametrize("kind, step", [("u1", 1 / 255), ("u2", 1 / 65535)])
def test_whole_numbers_are_normalised(relief, tmp_path, kind, step):
    mesh = read_mesh(written(tmp_path, make_glb([relief], [png(SKIN)], uv_kind=kind)))
    assert np.abs(mesh.uv[mesh.faces] - relief.uv[relief.faces]).max() <= step


def moved(transform):
    def change(scene):
        texture = scene["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"]
        texture["extensions"] = {"KHR_texture_transform": transform}

    return change


@pytest.mark.parametrize(
    "transform, expected",  # of u, v with v up
    [
        ({"offset": [0.25, 0.5]}, lambda u, v: (u + 0.25, v - 0.5)),
        ({"scale": [0.5, 0.25]}, lambda u, v: (u / 2, 1 - (1 - v) / 4)),
        ({"rotation": np.pi / 2}, lambda u, v: (1 - v, 1 + u)),  # down the picture's left side, seen from its corner
        ({"offset": [0, 1], "rotation": np.pi / 2, "scale": [1, 1]}, lambda u, v: (1 - v, u)),  # quarter turn
    ],
)
def test_transforms_of_the_texture_are_applied(relief, tmp_path, transform, expected):
    plain = read_mesh(written(tmp_path, make_glb([relief], [png(SKIN)])))
    mesh = read_mesh(written(tmp_path, make_glb([relief], [png(SKIN)], change=moved(transform))))
    assert np.allclose(mesh.uv, np.stack(expected(*plain.uv.T), 1), atol=1e-6)


def test_transform_names_its_own_uvs(relief, tmp_path):
    def change(scene):
        moved({"texCoord": 1})(scene)
        attributes = scene["meshes"][0]["primitives"][0]["attributes"]
        attributes["TEXCOORD_1"] = attributes.pop("TEXCOORD_0")

    mesh = read_mesh(written(tmp_path, make_glb([relief], [png(SKIN)], change=change)))
    assert np.allclose(mesh.uv[mesh.faces], relief.uv[relief.faces], atol=1e-6)


def test_nodes_place_their_meshes(relief, tmp_path):
    def change(scene):
        scene["nodes"] = [{"children": [1], "translation": [1, 2, 3], "scale": [2, 2, 2]},
                          {"mesh": 0, "rotation": [0, 0, 2**-0.5, 2**-0.5]}]  # fmt: skip

    data = make_glb([relief], [png(SKIN)], change=change)
    mesh = read_mesh(written(tmp_path, data))
    expected = trimesh.load_scene(io.BytesIO(data), file_type="glb").to_geometry().vertices
    assert np.allclose(np.sort(mesh.vertices, 0), np.sort(expected, 0), atol=1e-5)
    x, y, z = relief.vertices.T
    assert np.allclose(mesh.vertices, np.stack([1 - 2 * y, 2 + 2 * x, 3 + 2 * z], 1), atol=1e-5)


def test_mirrored_node_turns_the_winding(relief, tmp_path):
    data = make_glb([relief], [png(SKIN)], change=lambda scene: scene["nodes"][0].update(scale=[-1, 1, 1]))
    assert read_mesh(written(tmp_path, data)).face_normals()[:, 1].max() < 0  # still towards -y


def test_strips_and_fans(tmp_path):
    square = Mesh(np.array([[0, 0, 0], [1, 0, 0], [0, 0, 1], [1, 0, 1.0]]), np.array([[0, 1, 2, 3]]),
                  np.array([[0, 0], [1, 0], [0, 1], [1, 1.0]]))  # fmt: skip
    for mode, order in ((5, [0, 1, 2, 3]), (6, [0, 1, 3, 2])):
        mesh = Mesh(square.vertices, np.array([order]), square.uv)
        data = make_glb([mesh], [png(SKIN)], change=lambda s, m=mode: s["meshes"][0]["primitives"][0].update(mode=m))
        read = read_mesh(written(tmp_path, data))
        assert len(read.faces) == 2 and np.allclose(read.face_normals(), [0, -1, 0])


def test_texture_files_beside_a_gltf(relief, tmp_path):
    data = make_glb([relief], [png(SKIN)])
    length = struct.unpack_from("<I", data, 12)[0]
    scene, body = json.loads(data[20 : 20 + length]), data[28 + length :]
    (tmp_path / "tex tures").mkdir()
    Image.fromarray(SKIN).save(tmp_path / "tex tures/skin.png")
    (tmp_path / "head.bin").write_bytes(body)
    scene["buffers"][0]["uri"] = "head.bin"
    scene["images"] = [{"uri": "tex%20tures/skin.png"}]
    model = read_model(written(tmp_path, json.dumps(scene).encode(), "head.gltf"))
    assert model.parts[0].file == "skin.png" and np.array_equal(model.texture_of(model.parts[0]).pixels, SKIN)
    (tmp_path / "out").mkdir()
    model.write_with(tmp_path / "out/mesh.glb", model.parts[0], SKIN // 3)
    again = read_model(tmp_path / "out/mesh.glb")  # needs no other file
    assert np.array_equal(again.texture_of(again.parts[0]).pixels, SKIN // 3)

    (tmp_path.parent / "secret.png").write_bytes(png(SKIN))
    for uri in ("../secret.png", "/etc/passwd", "file:///etc/passwd", "http://127.0.0.1:1/a.png"):
        scene["images"] = [{"uri": uri}]
        with pytest.raises(MeshError, match="does not lie beside it"):
            read_model(written(tmp_path, json.dumps(scene).encode(), "head.gltf"))


def test_mesh_without_a_material_gets_one(relief, tmp_path):
    model = read_model(written(tmp_path, make_glb([relief])))
    (part,) = model.parts
    assert part.map is None and model.texture_of(part) is None
    model.write_with(tmp_path / "out.glb", part, SKIN)
    again = read_model(tmp_path / "out.glb")
    assert np.array_equal(again.texture_of(again.parts[0]).pixels, SKIN)


def test_parts_by_picture(tmp_path):
    """Three meshes, the last two of one picture under two materials."""
    meshes = [make_relief(3), make_relief(4), make_relief(5)]
    materials = [{"name": name, "pbrMetallicRoughness": {"baseColorTexture": {"index": i}}}
                 for name, i in (("eyes", 0), ("skin", 1), ("ears", 1))]  # fmt: skip
    model = read_model(written(tmp_path, make_glb(meshes, [png(SKIN), png(SKIN // 2)], materials=materials)))
    eyes, skin = model.parts
    assert eyes.faces.sum() == 18 and skin.faces.sum() == 32 + 50
    assert model.choose([5, 9]) is skin and model.choose([9, 5]) is eyes
    model.write_with(tmp_path / "out.glb", skin, SKIN // 4)
    again = read_model(tmp_path / "out.glb")
    assert [np.array_equal(again.texture_of(p).pixels, x) for p, x in
            zip(again.parts, (SKIN, SKIN // 4), strict=True)] == [True, True]  # fmt: skip


def test_uvs_outside_need_a_texture_that_repeats(relief, tmp_path):
    far = Mesh(relief.vertices, relief.faces, relief.uv + (3, -2))
    model = read_model(written(tmp_path, make_glb([far], [png(SKIN)])))
    assert len(model.parts) == 1 and model.parts[0].tile is None

    def clamp(scene):
        scene["samplers"] = [{"wrapS": 33071}]
        scene["textures"][0]["sampler"] = 0

    with pytest.raises(MeshError, match="UVs outside 0 to 1"):
        read_model(written(tmp_path, make_glb([far], [png(SKIN)], change=clamp)))


@pytest.mark.parametrize(
    "change, complaint",
    [
        (lambda s: s.update(extensionsRequired=["KHR_draco_mesh_compression"]), "compressed by KHR_draco"),
        (lambda s: s["textures"][0].pop("source"), "Basis"),
        (lambda s: s["accessors"][1].update(count=10**9), "elements"),
        (lambda s: s["accessors"][1].update(count=10**5), "behind its buffer"),
        (lambda s: s["accessors"][1].update(count=-5), "whole number"),
        (lambda s: s["accessors"][1].update(byteOffset=-8), "whole number"),
        (lambda s: s["bufferViews"][0].update(byteOffset=10**9), "behind its buffer"),
        (lambda s: s["buffers"][0].update(byteLength=10**9), "cut short"),
        (lambda s: s["nodes"].append({"children": [0, 0]}) or s["scenes"][0].update(nodes=[1]), "two parents"),
        (lambda s: s["nodes"][0].update(children=[0]), "two parents"),
        (lambda s: s["nodes"][0].update(mesh=7), "not a readable"),
        (lambda s: s["nodes"][0].update(mesh="a"), "not a readable"),
        (lambda s: s["nodes"][0].update(scale=[float("nan")] * 3), "NaN"),
        (lambda s: s["nodes"][0].update(scale=[1e300] * 3), "NaN|1e9"),
        (lambda s: s["meshes"][0]["primitives"][0].update(mode=1), "no triangles"),
        (lambda s: s["meshes"][0]["primitives"][0]["attributes"].pop("TEXCOORD_0"), "no UVs"),
        (lambda s: s.update(asset={"version": "1.0"}), "not a readable"),
        (lambda s: s.update(nodes=5), "not a readable"),
    ],
)
def test_damage_is_one_line(relief, tmp_path, change, complaint):
    path = written(tmp_path, make_glb([relief], [png(SKIN)], change=change))
    with pytest.raises(MeshError, match=complaint) as failure:
        read_model(path)
    assert str(failure.value).startswith(str(path)) and str(failure.value).isprintable()


@pytest.mark.parametrize("text", [b"[" * 100_000, b"", b"[]", b"null", b'{"asset":{"version":2}}', b"\xff\xfe"])
def test_json_that_is_none(tmp_path, text):
    for name, data in (("a.gltf", text), ("a.glb", pack(text, b""))):
        with pytest.raises(MeshError):
            read_model(written(tmp_path, data, name))


def test_mutated_files_end_in_one_line(tmp_path):
    data, rng, refused = make_glb([make_relief(3)], [png(SKIN)]), random.Random(0), 0
    for _ in range(150):
        changed = bytearray(data)
        for _ in range(rng.randint(1, 12)):
            changed[rng.randrange(len(changed) if rng.random() < 0.3 else 1600)] = rng.randrange(256)
        try:
            model = read_model(written(tmp_path, bytes(changed[: rng.choice([len(data), rng.randrange(len(data))])])))
            model.texture_of(model.parts[0])
        except Exception as error:
            assert type(error).__name__ in ("MeshError", "PictureError") and str(error).isprintable()
            refused += 1
    assert refused > 100
