"""The head laid out flat: UVs of its skin, surfaces and light baked into a texture by them.

The layout is MakeHuman's, of which only the head's island and the front of the neck are kept, enlarged so that the head
fills the square. UV: origin bottom left, v up; row 0 of an array is the texture's top.
"""

import bpy
import numpy as np
from mathutils import Vector
from mathutils.bvhtree import BVHTree

from . import materials, scene
from .geometry import components

NOWHERE = (-1.0, -1.0)  # UVs of what has no place in the texture
REACH = 4.0  # metres: positions and normals are emitted as 0.5 + x / REACH


def head_uv(uv):
    """MakeHuman's UVs [k, 2] of the head's island -> the texture's."""
    return np.stack([1.44 * (uv[:, 1] - 0.4846) + 0.5, 0.99 - 1.44 * (uv[:, 0] - 0.640)], 1)


def neck_uv(uv):
    """MakeHuman's UVs [k, 2] of the torso's island, in which the front of the neck lies -> the texture's."""
    return np.stack([2.5 * (uv[:, 0] - 0.3804) + 0.5, 2.5 * (uv[:, 1] - 0.88) + 0.06], 1)


def layout(head, cloth):
    """UVs of the quads of `head.body_part(cloth)`, [q, 4, 2]; NOWHERE at quads that the texture does not hold.

    Eye sockets, the inside of the mouth and the shoulders are islands of their own, or lie outside.
    """
    base = head.base
    faces = head.body_faces(cloth)
    island = np.array(components(base["face_uv"], len(base["uv"])))
    nose = head.landmarks["nose"]
    of_head = next(island[t[0]] for f, t in zip(base["faces"], base["face_uv"], strict=True) if nose in f)
    of_torso = island[np.linalg.norm(base["uv"] - (0.3804, 0.93), axis=1).argmin()]  # the middle of the throat
    out = []
    for corners in (base["face_uv"][i] for i in faces):
        uv = base["uv"][corners]
        placed = head_uv(uv) if island[corners[0]] == of_head else neck_uv(uv)
        held = island[corners[0]] in (of_head, of_torso) and placed.min() > 0 and placed.max() < 1
        if island[corners[0]] == of_torso:
            held = held and placed[:, 1].max() < 0.45  # what lies higher is the back, over the head's island
        if not held:
            placed[:] = NOWHERE
        edges, middle = (placed + np.roll(placed, -1, 0)) / 2, placed.mean(0)
        out += [[placed[k], edges[k], middle, edges[k - 1]] for k in range(len(corners))]
    return np.array(out)


class Atlas:
    """A person's skin with UVs, ready to be baked.

    vertices [n, 3], quads [q, 4] and uv [q, 4, 2] are those of the head's surface that the texture holds.
    """

    def __init__(self, person, size):
        """size: side of the textures."""
        self.body, self.size = person.body, size
        uv = layout(person.mh, person.p["cloth"])
        self.body.data.uv_layers.new(name="UV").data.foreach_set("uv", uv.astype(np.float32).ravel())
        vertices = np.zeros(3 * len(self.body.data.vertices), np.float32)
        self.body.data.vertices.foreach_get("co", vertices)
        vertices = vertices.reshape(-1, 3)
        quads = person.mh.body_part(person.p["cloth"])[1]
        held = uv[:, 0, 0] >= 0
        used, quads = np.unique(quads[held], return_inverse=True)
        self.used, self.vertices = used, vertices[used].astype(float)
        self.quads, self.uv = quads.reshape(-1, 4), uv[held]

    def bake(self, kind, samples=1, **only):
        """float32 [size, size, 3], linear, 0 where nothing is. kind: of Cycles; only: `pass_filter`.

        Cycles denoises what is baked as COMBINED with more than one sample, and nothing else.
        """
        image = bpy.data.images.new("bake", self.size, self.size, float_buffer=True)
        image.colorspace_settings.name = "Linear Rec.709"
        tree = self.body.data.materials[0].node_tree
        target = tree.nodes.new("ShaderNodeTexImage")
        target.image = image
        tree.nodes.active = target
        for other in bpy.context.scene.objects:
            other.select_set(other is self.body)
        bpy.context.view_layer.objects.active = self.body
        bpy.context.scene.cycles.samples = samples
        bpy.context.scene.cycles.use_denoising = samples > 1
        with scene.Quiet():
            bpy.ops.object.bake(type=kind, margin=0, use_clear=True, **only)
        pixels = read_pixels(image)[..., :3]
        tree.nodes.remove(target)
        bpy.data.images.remove(image)
        return pixels

    def bake_geometry(self, output):
        """`Position` or `Normal` of the surface at every texel, float32 [size, size, 3]; 0 where nothing is."""
        worn = self.body.data.materials[0]
        self.body.data.materials[0] = geometry_material(output)
        baked = self.bake("EMIT")
        self.body.data.materials[0] = worn
        return np.where(baked.any(2, keepdims=True), (baked - 0.5) * REACH, 0)

    def texels(self, points):
        """Where in the texture the skin next to each point [n, 3] is: (column, row) as floats [n, 2]."""
        tree = BVHTree.FromPolygons(self.vertices.tolist(), self.quads.tolist())
        out = np.zeros([len(points), 2])
        for i, point in enumerate(points):
            place, _, quad, _ = tree.find_nearest(Vector(point))
            corners = self.vertices[self.quads[quad]]
            weight = 1 / (np.linalg.norm(corners - np.array(place), axis=1) + 1e-6) ** 2
            out[i] = weight @ self.uv[quad] / weight.sum()
        return out * (self.size, -self.size) + (-0.5, self.size - 0.5)

    def obj(self):
        """The head as Wavefront OBJ: quads with UVs, metres, no normals."""
        lines = ["# head and neck, metres, z up, face towards -y; CC0 (MakeHuman geometry, morphed and posed)"]
        places, corner = np.unique(self.uv.reshape(-1, 2).round(6), axis=0, return_inverse=True)
        corner = corner.reshape(-1, 4)
        lines += ["v {:.5f} {:.5f} {:.5f}".format(*v) for v in self.vertices]
        lines += ["vt {:.6f} {:.6f}".format(*t) for t in places]
        for quad, texels in zip(self.quads + 1, corner + 1, strict=True):
            lines.append("f " + " ".join(f"{v}/{t}" for v, t in zip(quad, texels, strict=True)))
        return "\n".join(lines) + "\n"


def geometry_material(output):
    """Emission of the surface's `Position` or `Normal`, as 0.5 + x / REACH."""
    m = materials.Nodes("geometry")
    scaled = m.node("VectorMath", operation="MULTIPLY_ADD")
    m.set(scaled.inputs[0], m.node("NewGeometry").outputs[output])
    scaled.inputs[1].default_value, scaled.inputs[2].default_value = (1 / REACH,) * 3, (0.5,) * 3
    emission = m.node("Emission")
    m.set(emission.inputs[0], scaled.outputs[0])
    return m.done(emission)


def texture_material(pixels):
    """Emission of a texture, uint8 [H, W, 3], on surfaces that face the camera; black on those that do not."""
    m = materials.Nodes("texture")
    image = bpy.data.images.new("texture", pixels.shape[1], pixels.shape[0])
    image.colorspace_settings.name = "Non-Color"
    image.pixels.foreach_set(np.dstack([pixels / 255, np.ones(pixels.shape[:2])])[::-1].astype(np.float32).ravel())
    lookup = m.node("TexImage", interpolation="Linear", extension="EXTEND")
    lookup.image = image
    emission = m.node("Emission")
    m.set(emission.inputs[0], lookup.outputs[0])
    m.set(emission.inputs[1], m.math("SUBTRACT", 1.0, m.node("NewGeometry").outputs["Backfacing"]))
    return m.done(emission)


def read_pixels(image):
    """float32 [H, W, 4], the top row first."""
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(image.size[1], image.size[0], 4)[::-1]
