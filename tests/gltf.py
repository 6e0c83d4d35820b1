"""A small glTF writer for tests: every choice the format leaves is one argument."""

import io
import json
import struct

import numpy as np
from PIL import Image


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def make_glb(meshes, pictures=(), uv_kind="f4", materials=None, change=None):
    """Bytes of a .glb. meshes: [Mesh], one primitive each, primitive i with material i where there is one. uv_kind:
    "f4", or "u1" or "u2", normalised. materials: default one a picture. change: called with the JSON before it is
    written."""
    data, views, accessors, primitives = bytearray(), [], [], []

    def view(content):
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": len(content)})
        data.extend(content + bytes(-len(content) % 4))
        return len(views) - 1

    def accessor(values, kind, code, form, **more):
        values = np.asarray(values).astype(kind)
        described = {"bufferView": view(values.tobytes()), "componentType": code, "count": len(values), "type": form}
        accessors.append(described | more)
        return len(accessors) - 1

    if materials is None:
        textures = range(len(pictures))
        materials = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": i}}} for i in textures]
    for number, mesh in enumerate(meshes):
        uv = mesh.uv * (1, -1) + (0, 1)
        if uv_kind == "f4":
            uv = accessor(uv, "<f4", 5126, "VEC2")
        else:
            most, code = {"u1": (255, 5121), "u2": (65535, 5123)}[uv_kind]
            uv = np.rint(uv * most)
            wide = np.zeros([len(uv), 4 // np.dtype(uv_kind).itemsize]) if uv_kind == "u1" else uv
            wide[:, :2] = uv
            uv = accessor(wide, "<" + uv_kind, code, "VEC2", normalized=True)
            if uv_kind == "u1":  # rows of four bytes
                views[-1]["byteStride"] = 4
        where = accessor(mesh.vertices, "<f4", 5126, "VEC3")
        order = accessor(mesh.faces.reshape(-1, 1), "<u4", 5125, "SCALAR")
        primitive = {"attributes": {"POSITION": where, "TEXCOORD_0": uv}, "indices": order}
        primitives.append(primitive | ({"material": number} if number < len(materials) else {}))
    scene = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": primitives}],
        "images": [{"bufferView": view(content), "mimeType": "image/png"} for content in pictures],
        "textures": [{"source": i} for i in range(len(pictures))],
        "materials": materials,
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(data)}],
    }
    if change is not None:
        change(scene)
    text = json.dumps(scene).encode()
    return pack(text, bytes(data))


def pack(text, data):
    text += b" " * (-len(text) % 4)
    body = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(data), 0x004E4942) + data
    return b"glTF" + struct.pack("<II", 2, 12 + len(body)) + body
