"""glTF 2.0 files: container, buffers and accessors; and written again with another texture.

Khronos, "glTF 2.0 Specification". A .glb or .gltf is read as data; other files are taken from the mesh's own folder
alone. Compressed geometry and textures (Draco, meshopt, Basis) are refused.
"""

import base64
import json
import re
import struct
from dataclasses import dataclass
from urllib.parse import unquote

import numpy as np

from .obj import beside

MAGIC, JSON_CHUNK, BIN_CHUNK = b"glTF", 0x4E4F534A, 0x004E4942
KINDS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
MOST = 20_000_000  # elements of an accessor
MOST_BYTES = 2**31  # of one file
COMPRESSED = ("KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_texture_basisu")
WEBP = "EXT_texture_webp"


@dataclass(frozen=True)
class Document:
    """A glTF file: its JSON, and the bytes of its buffers."""

    path: object
    json: dict
    buffers: list  # bytes


def read_document(path, data):
    """The Document of a .glb or .gltf file's bytes. Raises ValueError and the like for damage."""
    chunk = b""
    if data[:4] == MAGIC:
        if struct.unpack_from("<I", data, 4)[0] != 2:
            raise ValueError("glTF of another version than 2")
        text, position = None, 12
        while position + 8 <= len(data):
            length, kind = struct.unpack_from("<II", data, position)
            content = data[position + 8 : position + 8 + length]
            if len(content) < length:
                raise ValueError("cut short")
            text = content if kind == JSON_CHUNK and text is None else text
            chunk = content if kind == BIN_CHUNK and not chunk else chunk
            position += 8 + length + -length % 4
        data = text or b""
    document = json.loads(data.decode("utf-8-sig"))
    if not isinstance(document, dict) or str(document["asset"]["version"])[:2] not in ("2", "2."):
        raise ValueError("no glTF of version 2")
    required = [name for name in COMPRESSED if name in document.get("extensionsRequired", [])]
    if required:
        raise ValueError(f"compressed by {required[0]}, which is not read here; export it uncompressed")
    buffers = []
    for index, buffer in enumerate(document.get("buffers", [])):
        content = chunk if index == 0 and "uri" not in buffer else resource(path, buffer["uri"])
        if len(content) < buffer["byteLength"]:
            raise ValueError("a buffer is cut short")
        buffers.append(content)
        if sum(map(len, buffers)) > MOST_BYTES:
            raise ValueError(f"over {MOST_BYTES >> 30} GiB of buffers")
    return Document(path, document, buffers)


def with_picture(document, image, material, png):
    """The bytes of a .glb of the Document in which picture number `image` is `png`; None: a picture is added, and
    material number `material` (one more than there are: all triangles without one) shows it. Other files that the
    Document names become part of it."""
    scene = json.loads(json.dumps(document.json))
    data, starts = bytearray(), []
    for buffer in document.buffers:
        starts.append(len(data))
        data += buffer + bytes(-len(buffer) % 4)
    views = scene.setdefault("bufferViews", [])
    for view in views:
        view["byteOffset"] = view.get("byteOffset", 0) + starts[view["buffer"]]
        view["buffer"] = 0

    def embedded(content):
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": len(content)})
        data.extend(content + bytes(-len(content) % 4))
        return len(views) - 1

    images = scene.setdefault("images", [])
    if image is None:
        image = len(images)
        images.append({})
        _show(scene, material, image)
    for texture in scene.get("textures", []):
        if texture.get("extensions", {}).get(WEBP, {}).get("source") == image:
            del texture["extensions"][WEBP]
            texture["source"] = image
    for number, entry in enumerate(images):
        if number != image and "uri" in entry and not entry["uri"].startswith("data:"):
            content = resource(document.path, entry.pop("uri"))
            entry |= {"bufferView": embedded(content), "mimeType": _kind_of(content)}
    named = {key: images[image][key] for key in ("name", "extras") if key in images[image]}
    images[image] = named | {"bufferView": embedded(png), "mimeType": "image/png"}
    scene["buffers"] = [{"byteLength": len(data)}]
    text = json.dumps(scene, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<II", len(text), JSON_CHUNK) + text + struct.pack("<II", len(data), BIN_CHUNK) + data
    return MAGIC + struct.pack("<II", 2, 12 + len(body)) + body


def _show(scene, material, image):
    """Give a material, which is made where there is none, a texture of that picture."""
    materials, textures = scene.setdefault("materials", []), scene.setdefault("textures", [])
    if material == len(materials):
        materials.append({"pbrMetallicRoughness": {"metallicFactor": 0}})
        for mesh in scene["meshes"]:
            for primitive in mesh["primitives"]:
                primitive.setdefault("material", material)
    textures.append({"source": image})
    materials[material].setdefault("pbrMetallicRoughness", {})["baseColorTexture"] = {"index": len(textures) - 1}


def picture_bytes(document, image):
    entry = document.json["images"][image]
    if "uri" in entry:
        return resource(document.path, entry["uri"])
    return view_of_buffer(document, entry["bufferView"])[0]


def resource(path, uri):
    """The bytes behind a URI: data, or a file in the mesh's folder."""
    data = re.match(r"data:[^,]*?(;base64)?,", uri)
    if data:
        if not data[1]:
            raise ValueError("data that is not in base64")
        return base64.b64decode(uri[data.end() :], validate=True)
    file = beside(path, unquote(uri))
    if file is None:
        raise ValueError(f"{uri[:100]!r} does not lie beside it; put it there, or export a .glb")
    if file.stat().st_size > MOST_BYTES:
        raise ValueError(f"{uri[:100]!r} is over {MOST_BYTES >> 30} GiB")
    return file.read_bytes()


def index_of(value):
    if not isinstance(value, int) or value < 0:
        raise ValueError("an index is no whole number")
    return value


def accessor_values(document, number, raw=False):
    """float64 [N, C] of an accessor, integers normalised where it says so; `raw`: as they are."""
    accessor = document.json["accessors"][index_of(number)]
    count, width = index_of(accessor["count"]), WIDTHS[accessor["type"]]
    if count > MOST:
        raise ValueError(f"an accessor of {count} elements")
    kind = np.dtype(KINDS[accessor["componentType"]])
    if "bufferView" in accessor:
        values = _elements(document, accessor["bufferView"], accessor.get("byteOffset", 0), count, width, kind)
    else:
        values = np.zeros([count, width], kind)
    if "sparse" in accessor:
        sparse = accessor["sparse"]
        some, at, other = index_of(sparse["count"]), sparse["indices"], sparse["values"]
        where = _elements(document, at["bufferView"], at.get("byteOffset", 0), some, 1,
                          np.dtype(KINDS[at["componentType"]]))[:, 0]  # fmt: skip
        values = values.copy()
        values[where] = _elements(document, other["bufferView"], other.get("byteOffset", 0), some, width, kind)
    if raw:
        return values
    if accessor.get("normalized") and kind.kind in "iu":
        return np.maximum(values.astype(np.float64) / np.iinfo(kind).max, -1)
    return values.astype(np.float64)


def _elements(document, view, offset, count, width, kind):
    """[count, width] of `kind` out of a buffer view."""
    content, stride = view_of_buffer(document, view)
    size = width * kind.itemsize
    stride = index_of(stride or size)
    if count and (stride < size or index_of(offset) + stride * (count - 1) + size > len(content)):
        raise ValueError("an accessor reaches behind its buffer")
    return np.ndarray([count, width], kind, content, offset, [stride, kind.itemsize])


def view_of_buffer(document, number):
    """(bytes, stride or None) of a buffer view."""
    view = document.json["bufferViews"][index_of(number)]
    if any(name in view.get("extensions", {}) for name in COMPRESSED):
        raise ValueError("its geometry is compressed (meshopt); export it uncompressed")
    start, length = index_of(view.get("byteOffset", 0)), index_of(view["byteLength"])
    content = document.buffers[index_of(view["buffer"])]
    if start + length > len(content):
        raise ValueError("a buffer view reaches behind its buffer")
    return content[start : start + length], view.get("byteStride")


def _kind_of(content):
    return "image/png" if content[:4] == b"\x89PNG" else "image/webp" if content[:4] == b"RIFF" else "image/jpeg"
