"""The scene of a glTF file as triangles.

They stand as at rest, with the UVs that the colour texture of each material uses: integers are normalised,
KHR_texture_transform is applied.
"""

import numpy as np

from .gltf import COMPRESSED, MOST, WEBP, accessor_values, index_of, picture_bytes
from .obj import Loose

REPEAT = 10497
SPECULAR = "KHR_materials_pbrSpecularGlossiness"
TRANSFORM = "KHR_texture_transform"


def read_gltf(document):
    """The Loose of a Document; maps: (number of the picture, its bytes) or None."""
    scene = document.json
    materials = [*scene.get("materials", []), {}]  # the last: none
    images = [_picture_of(scene, material) for material in materials]
    used = {image: picture_bytes(document, image) for image in set(images) if image is not None}
    maps = [None if image is None else (image, used[image]) for image in images]
    parts, corners = [], 0
    for node, matrix in _nodes(scene):
        if "mesh" not in node:
            continue
        for primitive in scene["meshes"][index_of(node["mesh"])]["primitives"]:
            part = _primitive(document, primitive, matrix, materials)
            if part is not None:
                parts.append(part)
                corners += part[1].size
                if corners > MOST:
                    raise ValueError(f"over {MOST} corners of triangles; export the head alone")
    if not parts:
        raise ValueError("no triangles")
    starts = np.cumsum([0] + [len(vertices) for vertices, *_ in parts])
    return Loose(
        np.concatenate([vertices for vertices, *_ in parts]),
        np.concatenate([faces + start for (_, faces, _, _), start in zip(parts, starts, strict=False)]),
        np.concatenate([uv for _, _, uv, _ in parts]),
        np.concatenate([np.full(len(faces), material) for _, faces, _, material in parts]),
        [str(material.get("name", "")) for material in materials],
        maps,
        tiled=False,
    )


def _colour_texture(material):
    """The texture of a material's colour, {index, texCoord, extensions}, or {}."""
    specular = material.get("extensions", {}).get(SPECULAR, {}).get("diffuseTexture")
    return specular or material.get("pbrMetallicRoughness", {}).get("baseColorTexture") or {}


def _picture_of(scene, material):
    """Number of the picture in a material's colour, or None."""
    found = _colour_texture(material)
    if "index" not in found:
        return None
    texture = scene["textures"][index_of(found["index"])]
    webp = texture.get("extensions", {}).get(WEBP, {}).get("source")
    source = texture.get("source") if webp is None else webp
    if source is None:
        raise ValueError("its texture is compressed (Basis); export it with PNG or JPEG textures")
    scene["images"][index_of(source)]  # is there
    return source


def _nodes(scene):
    """(node, matrix [4, 4] to the world) of the scene's nodes. Raises ValueError for one that is met twice."""
    nodes = scene.get("nodes", [])
    if "scenes" in scene:
        roots = scene["scenes"][index_of(scene.get("scene", 0))].get("nodes", [])
    else:
        roots = sorted(set(range(len(nodes))) - {child for node in nodes for child in node.get("children", [])})
    waiting, met = [(root, np.eye(4)) for root in roots], set()
    while waiting:
        index, above = waiting.pop()
        if index in met:
            raise ValueError("a node has two parents")
        met.add(index)
        node = nodes[index_of(index)]
        matrix = above @ _matrix(node)
        yield node, np.eye(4) if "skin" in node else matrix  # skinned: the joints place it, at rest where it lies
        waiting += [(child, matrix) for child in node.get("children", [])]


def _matrix(node):
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    x, y, z, w = np.array(node.get("rotation", (0, 0, 0, 1)), np.float64)
    turn = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
    matrix = np.eye(4)
    matrix[:3, :3] = turn * np.array(node.get("scale", (1, 1, 1)), np.float64)
    matrix[:3, 3] = np.array(node.get("translation", (0, 0, 0)), np.float64)
    return matrix


def _primitive(document, primitive, matrix, materials):
    """(vertices, faces, uv, material number) of a primitive, or None where it holds no triangles."""
    if any(name in primitive.get("extensions", {}) for name in COMPRESSED):
        raise ValueError("its geometry is compressed; export it uncompressed")
    attributes = primitive["attributes"]
    vertices = accessor_values(document, attributes["POSITION"])[:, :3]
    vertices = vertices @ matrix[:3, :3].T + matrix[:3, 3]
    order = np.arange(len(vertices))
    if "indices" in primitive:
        order = accessor_values(document, primitive["indices"], raw=True)[:, 0].astype(np.int64)
    faces = _triangles(order, primitive.get("mode", 4))
    if not len(faces):
        return None
    if faces.max() >= len(vertices):
        raise ValueError("a triangle names a vertex that is not there")
    if np.linalg.det(matrix[:3, :3]) < 0:  # mirrored: the winding turns over
        faces = faces[:, ::-1]
    number = index_of(primitive["material"]) if "material" in primitive else len(materials) - 1
    texture = _colour_texture(materials[number])
    moved = texture.get("extensions", {}).get(TRANSFORM, {})
    name = f"TEXCOORD_{index_of(moved.get('texCoord', texture.get('texCoord', 0)))}"
    uv = np.full([len(vertices), 2], np.nan)
    if name in attributes:
        uv = accessor_values(document, attributes[name])[:, :2]
        if len(uv) != len(vertices):
            raise ValueError("not as many UVs as vertices")
        uv = _moved(uv, moved)
        if "index" in texture and ((uv < -1e-3).any() or (uv > 1 + 1e-3).any()):
            _check_repeats(document.json, texture)
    return vertices, faces, uv * (1, -1) + (0, 1), number


def _triangles(order, mode):
    """int64 [F, 3] of vertex numbers in the order of a primitive's mode: triangles, strip or fan; none of points."""
    if mode == 4:
        return order[: len(order) // 3 * 3].reshape(-1, 3)
    if mode == 5 and len(order) > 2:
        faces = np.stack([order[:-2], order[1:-1], order[2:]], 1)
        faces[1::2] = faces[1::2, [1, 0, 2]]
        return faces
    if mode == 6 and len(order) > 2:
        return np.stack([np.full(len(order) - 2, order[0]), order[1:-1], order[2:]], 1)
    return np.zeros([0, 3], np.int64)


def _moved(uv, transform):
    """UVs (v down) by KHR_texture_transform: scaled, turned counter-clockwise as it is seen, moved."""
    angle = float(transform.get("rotation", 0))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    scale = np.array(transform.get("scale", (1, 1)), np.float64)
    return (uv * scale) @ turn.T + np.array(transform.get("offset", (0, 0)), np.float64)


def _check_repeats(scene, texture):
    sampler = scene["textures"][texture["index"]].get("sampler")
    sampler = {} if sampler is None else scene["samplers"][index_of(sampler)]
    if {sampler.get("wrapS", REPEAT), sampler.get("wrapT", REPEAT)} != {REPEAT}:
        raise ValueError("UVs outside 0 to 1 where its texture is clamped or mirrored; move them inside")
