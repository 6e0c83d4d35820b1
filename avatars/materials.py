"""Blender materials of the three looks (`flat` and `cg`: computer graphics, `photo`), and of the label pass."""

import bpy
import numpy as np

from .identity import linear

LABEL_SCALE = 32.0  # the label pass stores class / LABEL_SCALE


def rgba(colour, gain=1.0):
    c = linear(colour) if isinstance(colour, str) else np.asarray(colour[:3], float)
    return (*np.clip(c * gain, 0, 1), 1.0)


class Nodes:
    """A small helper to write node graphs as expressions; sockets are what the methods return."""

    def __init__(self, name):
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.tree.nodes.clear()
        self.output = self.tree.nodes.new("ShaderNodeOutputMaterial")

    def node(self, kind, **properties):
        node = self.tree.nodes.new("ShaderNode" + kind)
        for k, v in properties.items():
            setattr(node, k, v)
        return node

    def set(self, socket, value):
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        else:
            socket.default_value = value

    def attribute(self, name):
        return self.node("Attribute", attribute_name=name).outputs["Fac"]

    def math(self, operation, *values, clamp=False):
        node = self.node("Math", operation=operation, use_clamp=clamp)
        for socket, value in zip(node.inputs, values, strict=False):
            self.set(socket, value)
        return node.outputs[0]

    def mul(self, a, b):
        return self.math("MULTIPLY", a, b)

    def mix(self, factor, a, b):
        node = self.node("Mix", data_type="RGBA")
        for i, v in ((0, factor), (6, a), (7, b)):
            self.set(node.inputs[i], v)
        return node.outputs[2]

    def ramp(self, x, low, high):
        node = self.node("MapRange", interpolation_type="SMOOTHSTEP")
        for i, v in enumerate((x, low, high)):
            self.set(node.inputs[i], v)
        return node.outputs[0]

    def place(self, offset):
        """Object coordinates, shifted so that no two people share a pattern."""
        node = self.node("VectorMath", operation="ADD")
        self.set(node.inputs[0], self.node("TexCoord").outputs["Object"])
        node.inputs[1].default_value = offset
        return node.outputs[0]

    def noise(self, where, scale, detail=2.0, rough=0.5):
        node = self.node("TexNoise")
        node.inputs["Scale"].default_value, node.inputs["Detail"].default_value = scale, detail
        node.inputs["Roughness"].default_value = rough
        self.set(node.inputs["Vector"], where)
        return node.outputs[0]

    def principled(self, colour, roughness, specular, **inputs):
        node = self.node("BsdfPrincipled")
        self.set(node.inputs["Base Color"], colour)
        self.set(node.inputs["Roughness"], roughness)
        node.inputs["Specular IOR Level"].default_value = specular
        for k, v in inputs.items():
            self.set(node.inputs[k.replace("_", " ")], v)
        return node

    def bump(self, height, strength, distance):
        node = self.node("Bump")
        node.inputs["Strength"].default_value, node.inputs["Distance"].default_value = strength, distance
        self.set(node.inputs["Height"], height)
        return node.outputs[0]

    def done(self, shader):
        self.set(self.output.inputs["Surface"], shader.outputs[0])
        return self.material


def skin(p, look):
    m = Nodes("skin")
    base, lip = rgba(p["skin"]), rgba(p["lip"])
    if look != "photo":  # avatars: cleaner, a little more saturated
        grey = float(np.dot(base[:3], (0.21, 0.72, 0.07)))
        base = rgba([grey + (c - grey) * 1.12 for c in base[:3]])
    red = rgba((min(1, base[0] * 1.02), base[1] * 0.70, base[2] * 0.66))
    dark = rgba(base, 0.5)
    rng = np.random.default_rng(p["seed"])
    where = m.place(tuple(rng.uniform(-5, 5, 3)))
    colour = m.mix(0.0, base, base)
    if look == "photo":
        colour = m.mix(m.mul(m.ramp(m.noise(where, 22, 4, 0.6), 0.35, 0.7), 0.30), colour, red)
        colour = m.mix(m.mul(m.ramp(m.noise(where, 150, 3, 0.6), 0.3, 0.75), 0.22), colour, rgba(base, 0.62))
        spots = max(0.0, (p["age"] - 45) / 40) * 0.5
        if spots:
            colour = m.mix(m.mul(m.ramp(m.noise(where, 85, 2), 0.66, 0.74), spots), colour, rgba(base, 0.5))
    colour = m.mix(m.mul(m.attribute("blush"), p["blush"] * (1.0 if look == "photo" else 0.7)), colour, red)
    colour = m.mix(m.mul(m.attribute("eye_area"), p["eye_shade"]), colour, m.mix(0.5, dark, red))
    if look == "photo":
        colour = m.mix(
            m.mul(m.attribute("under_eye"), 0.12 + 0.4 * p["eye_bags"]),
            colour,
            rgba((base[0] * 0.55, base[1] * 0.42, base[2] * 0.48)),
        )
        colour = m.mix(m.mul(m.attribute("ear"), 0.25), colour, red)
    if p["freckles"] and look != "flat":
        cells = m.node("TexVoronoi")
        cells.inputs["Scale"].default_value = 300.0
        m.set(cells.inputs["Vector"], where)
        f = m.mul(m.ramp(cells.outputs["Distance"], 0.34, 0.14), m.ramp(m.noise(where, 60), 0.42, 0.56))
        colour = m.mix(m.mul(m.mul(f, m.attribute("freckle_area")), p["freckles"]), colour, rgba(base, 0.42))
    if p["beard"]:
        amount = m.mul(m.attribute("beard"), p["beard"] * (1.0 if look == "photo" else 0.85))
        if look == "photo":
            amount = m.math(
                "MULTIPLY", amount, m.math("ADD", 0.55, m.mul(m.ramp(m.noise(where, 800), 0.38, 0.62), 0.7)), clamp=True
            )
        hair = rgba(p["hair_colour"]) if p["grey"] < 0.5 else rgba("6c6864")
        colour = m.mix(amount, colour, rgba(hair, 0.85) if p["beard"] > 0.45 else m.mix(0.6, rgba(base, 0.35), hair))
    under_hair = {"bald": 0.1, "buzz": 0.8}.get(p["hair"], 0.92)
    under_hair = under_hair * (0.6 if p["grey"] > 0.6 and p["hair"] == "buzz" else 1)
    edge = m.attribute("buzz" if p["hair"] in ("buzz", "bald") else "scalp")
    if look == "photo":
        edge = m.math("ADD", edge, m.mul(m.math("SUBTRACT", m.noise(where, 260, 2), 0.5), 0.6))
    hair_tone = m.mix(min(1, p["grey"]), rgba(p["hair_colour"], 0.8), rgba("8d8a86", 0.7))
    low, high = (0.3, 0.95) if p["hair"] in ("buzz", "bald") else (0.4, 0.8)
    colour = m.mix(m.mul(m.ramp(edge, low, high), under_hair), colour, hair_tone)
    lips = m.ramp(m.attribute("lip"), 0.35, 0.62)
    colour = m.mix(m.mul(lips, p["lip_strength"]), colour, lip)
    rough = {"flat": 0.75, "cg": 0.40, "photo": 0.52}[look]
    roughness = m.math("SUBTRACT", rough, m.mul(lips, 0.14))
    if look == "photo":
        roughness = m.math("ADD", roughness, m.mul(m.math("SUBTRACT", m.noise(where, 90, 3), 0.5), 0.25))
    shader = m.principled(colour, roughness, {"flat": 0.12, "cg": 0.5, "photo": 0.42}[look])
    if look == "photo":
        shader.subsurface_method = "BURLEY"
        shader.inputs["Subsurface Weight"].default_value = 1.0
        shader.inputs["Subsurface Radius"].default_value = (1.0, 0.35, 0.18)
        shader.inputs["Subsurface Scale"].default_value = 0.006
        folds = m.mul(m.noise(where, 75, 4, 0.7), 0.4 + max(0.0, (p["age"] - 32) / 45) * 3.2)
        pores = m.mul(m.noise(where, 420, 3, 0.6), 0.9)
        m.set(shader.inputs["Normal"], m.bump(m.math("ADD", pores, folds), 0.42, 0.0012))
    return m.done(shader)


def hair_colour(m, p, x, look):
    base = rgba(p["hair_colour"])
    colour = m.mix(x, rgba(base, 0.55), rgba(base, 1.5))
    if p["grey"] and look != "photo":
        colour = m.mix(p["grey"] * 0.9, colour, rgba("a9a6a0"))
    elif p["grey"]:
        grey = m.ramp(m.math("FRACT", m.mul(x, 7.31)), 1 - p["grey"], 1.12 - p["grey"])
        colour = m.mix(grey, colour, rgba("b4b1ab"))
    return colour


def shell(p, look):
    m = Nodes("shell")
    coordinates = m.node("CombineXYZ")
    m.set(coordinates.inputs[0], m.mul(m.attribute("across"), 150.0))
    m.set(coordinates.inputs[1], m.mul(m.attribute("along"), 5.0))
    grain = m.noise(coordinates.outputs[0], 1, 3, 0.6)
    x = m.ramp(grain, 0.25, 0.75)
    if look == "flat":
        x = m.math("MULTIPLY_ADD", x, 0.35, 0.3)
    colour = hair_colour(m, p, x, look)
    if look == "photo":
        colour = m.mix(0.35, colour, (0, 0, 0, 1))
    rough, specular = {"flat": (0.6, 0.2), "cg": (0.38, 0.45), "photo": (0.6, 0.25)}[look]
    shader = m.principled(colour, rough, specular)
    m.set(shader.inputs["Normal"], m.bump(x, {"flat": 0.25, "cg": 0.5, "photo": 0.6}[look], 0.002))
    return m.done(shader)


def strand(p, look, colour_key="hair_colour"):
    m = Nodes("strand")
    p = dict(p, hair_colour=p[colour_key], grey=p["grey"] * (1 if colour_key == "hair_colour" else 0.6))
    colour = hair_colour(m, p, m.node("HairInfo").outputs["Random"], look)
    return m.done(m.principled(colour, 0.42, 0.28, Anisotropic=0.6))


def plain(name, colour, look="flat", rough=0.75, specular=0.2, folds=None):
    m = Nodes(name)
    shader = m.principled(rgba(colour), rough, specular)
    if look == "photo":
        where = m.place(folds or (0, 0, 0))
        weave = m.noise(where, 700, 2)
        m.set(shader.inputs["Base Color"], m.mix(m.mul(weave, 0.3), rgba(colour), rgba(rgba(colour), 0.6)))
        height = m.math("ADD", m.mul(weave, 0.3), m.mul(m.noise(where, 16, 3), 2.5))
        m.set(shader.inputs["Normal"], m.bump(height, 0.35, 0.001))
        shader.inputs["Sheen Weight"].default_value = 0.15
    return m.done(shader)


def eye_materials(image_path, look):
    m = Nodes("eye")
    texture = m.node("TexImage")
    texture.image = bpy.data.images.load(image_path, check_existing=True)
    eye = m.done(m.principled(texture.outputs[0], 0.3 if look != "flat" else 0.5, 0.5 if look != "flat" else 0.2))
    return [eye, clear("cornea")]


def clear(name, passes=1.0):
    """Glass without refraction that lets the share `passes` of the light through."""
    m = Nodes(name)
    gloss, open_ = m.node("BsdfGlossy"), m.node("BsdfTransparent")
    gloss.inputs["Roughness"].default_value = 0.04
    open_.inputs["Color"].default_value = (passes, passes, passes, 1)
    fresnel, mixed = m.node("Fresnel"), m.node("MixShader")
    fresnel.inputs[0].default_value = 1.38
    m.set(mixed.inputs[0], fresnel.outputs[0])
    m.set(mixed.inputs[1], open_.outputs[0])
    m.set(mixed.inputs[2], gloss.outputs[0])
    return m.done(mixed)


def label(value, overrides=()):
    """Emission that stores a class; overrides: (mask attribute, threshold, class or attribute holding the class)."""
    m = Nodes("label")
    x = m.math("ADD", float(value), 0.0)
    for name, threshold, new in overrides:
        step = m.math("GREATER_THAN", m.attribute(name), threshold)
        new = m.attribute(new) if isinstance(new, str) else float(new)
        x = m.math("MULTIPLY_ADD", step, m.math("SUBTRACT", new, x), x)
    emission = m.node("Emission")
    m.set(emission.inputs[0], m.mul(x, 1 / LABEL_SCALE))
    return m.done(emission)
