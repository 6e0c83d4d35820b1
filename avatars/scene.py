"""The Blender scene: meshes, hair curves, lights, camera, render settings."""

import contextlib
import math
import os

import bpy
import numpy as np
from mathutils import Matrix, Vector


def clear():
    for group in (
        bpy.data.objects,
        bpy.data.meshes,
        bpy.data.hair_curves,
        bpy.data.materials,
        bpy.data.lights,
        bpy.data.cameras,
        bpy.data.worlds,
    ):
        for item in list(group):
            group.remove(item)


def add(name, data, material):
    o = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(o)
    for m in material if isinstance(material, list) else [material]:
        data.materials.append(m)
    return o


def mesh(name, v, faces, material=None, attributes=None, uv=None, face_material=None):
    """faces: [q,4] array or list of index lists; uv: per corner."""
    data = bpy.data.meshes.new(name)
    sizes = np.full(len(faces), faces.shape[1]) if isinstance(faces, np.ndarray) else np.array([len(f) for f in faces])
    corners = faces.ravel() if isinstance(faces, np.ndarray) else np.concatenate(faces)
    data.vertices.add(len(v))
    data.loops.add(len(corners))
    data.polygons.add(len(faces))
    data.vertices.foreach_set("co", np.ascontiguousarray(v, np.float32).ravel())
    data.loops.foreach_set("vertex_index", corners.astype(np.int32))
    data.polygons.foreach_set("loop_start", (np.cumsum(sizes) - sizes).astype(np.int32))
    data.polygons.foreach_set("use_smooth", np.ones(len(faces), bool))
    if face_material is not None:
        data.polygons.foreach_set("material_index", np.asarray(face_material, np.int32))
    data.update(calc_edges=True)
    if uv is not None:
        data.uv_layers.new(name="UV").data.foreach_set("uv", np.asarray(uv, np.float32).ravel())
    for k, a in (attributes or {}).items():
        data.attributes.new(k, "FLOAT", "POINT").data.foreach_set("value", np.ascontiguousarray(a, np.float32))
    return add(name, data, material)


def curves(name, points, per_curve, radius, material):
    """points [n * per_curve, 3]; radius [per_curve]."""
    data = bpy.data.hair_curves.new(name)
    n = len(points) // per_curve
    data.add_curves([per_curve] * n)
    if "position" not in data.attributes:
        data.attributes.new("position", "FLOAT_VECTOR", "POINT")
    data.attributes["position"].data.foreach_set("vector", np.ascontiguousarray(points, np.float32).ravel())
    size = data.attributes.get("radius") or data.attributes.new("radius", "FLOAT", "POINT")
    size.data.foreach_set("value", np.tile(radius, n).astype(np.float32))
    return add(name, data, material)


def dress(o, *materials):
    for i, m in enumerate(materials):
        o.data.materials[i] = m


# ---- light, camera, settings
def area(location, target, size, power, colour=(1, 1, 1)):
    light = bpy.data.lights.new("area", "AREA")
    light.size, light.energy, light.color = size, power, colour
    o = bpy.data.objects.new("area", light)
    bpy.context.scene.collection.objects.link(o)
    o.location = location
    o.rotation_euler = (Vector(target) - Vector(location)).to_track_quat("-Z", "Y").to_euler()


def remove_lights():
    for light in list(bpy.data.lights):
        bpy.data.lights.remove(light)


def world(colour, strength, ground=None):
    """Even light, or sky above and ground colour below."""
    for w in list(bpy.data.worlds):
        bpy.data.worlds.remove(w)
    w = bpy.data.worlds.new("world")
    bpy.context.scene.world = w
    w.use_nodes = True
    background = w.node_tree.nodes["Background"]
    background.inputs[0].default_value = (*colour, 1)
    background.inputs[1].default_value = strength
    if ground is not None:
        tree = w.node_tree
        split, mixed = tree.nodes.new("ShaderNodeSeparateXYZ"), tree.nodes.new("ShaderNodeMix")
        ranged = tree.nodes.new("ShaderNodeMapRange")
        ranged.inputs[1].default_value, ranged.inputs[2].default_value = -0.4, 0.5
        tree.links.new(tree.nodes.new("ShaderNodeTexCoord").outputs["Generated"], split.inputs[0])
        tree.links.new(split.outputs[2], ranged.inputs[0])
        mixed.data_type = "RGBA"
        tree.links.new(ranged.outputs[0], mixed.inputs[0])
        mixed.inputs[6].default_value, mixed.inputs[7].default_value = (*ground, 1), (*colour, 1)
        tree.links.new(mixed.outputs[2], background.inputs[0])
        w.cycles.sampling_method, w.cycles.sample_map_resolution = "MANUAL", 64


class Camera:
    """Looks at a point from a distance; `align` crops as FFHQ does, by lens, shift and roll."""

    def __init__(self, target, yaw, pitch, distance):
        """yaw > 0: the camera goes round to the subject's left; pitch > 0: it looks down from above. Degrees."""
        self.data = bpy.data.cameras.new("camera")
        self.data.sensor_width, self.data.clip_start = 36, 0.05
        self.object = bpy.data.objects.new("camera", self.data)
        bpy.context.scene.collection.objects.link(self.object)
        bpy.context.scene.camera = self.object
        y, p = math.radians(yaw), math.radians(pitch)
        away = Vector((math.sin(y) * math.cos(p), -math.cos(y) * math.cos(p), math.sin(p)))
        self.location = np.array(target) + np.array(away) * distance
        self.rotation = (-away).to_track_quat("-Z", "Y").to_matrix()
        self.size, self.centre = 1.0, np.zeros(2)

    def plane(self, points):
        """World points -> normalised image plane, x right, y down."""
        q = (np.asarray(points) - self.location) @ np.array(self.rotation)
        return np.stack([q[:, 0], -q[:, 1]], 1) / -q[:, 2:]

    def align(self, eyes, mouth):
        """eyes: two 3-D centres; mouth: 3-D centre of the corners. Makes the frame the FFHQ square."""
        for step in range(2):  # first find the roll, then the square in the rolled frame
            p = self.plane(np.concatenate([eyes, mouth[None]]))
            a, b = sorted(p[:2], key=lambda q: q[0])
            eye_to_eye, eye = b - a, (a + b) / 2
            eye_to_mouth = p[2] - eye
            x = eye_to_eye - eye_to_mouth[::-1] * [-1, 1]
            x = x / np.hypot(*x)
            if step == 0:
                self.rotation = self.rotation @ Matrix.Rotation(-math.atan2(x[1], x[0]), 3, "Z")
        self.size = max(np.hypot(*eye_to_eye) * 2.0, np.hypot(*eye_to_mouth) * 1.8)
        self.centre = eye + eye_to_mouth * 0.1
        self.data.lens = 18 / self.size
        self.data.shift_x, self.data.shift_y = self.centre[0] / (2 * self.size), -self.centre[1] / (2 * self.size)
        self.object.matrix_world = Matrix.Translation(self.location) @ self.rotation.to_4x4()

    def pixels(self, points):
        """World points -> fractions of the frame, origin top left."""
        return (self.plane(points) - self.centre) / (2 * self.size) + 0.5


def settings(size, threads):
    s = bpy.context.scene
    s.render.engine = "CYCLES"
    c = s.cycles
    c.device, c.use_adaptive_sampling = "CPU", False
    c.denoiser = "OPENIMAGEDENOISE"
    c.denoising_input_passes, c.denoising_prefilter, c.denoising_quality = "RGB_ALBEDO_NORMAL", "FAST", "BALANCED"
    c.max_bounces, c.diffuse_bounces, c.glossy_bounces, c.transmission_bounces = 3, 1, 1, 1
    c.transparent_max_bounces, c.caustics_reflective, c.caustics_refractive = 6, False, False
    c.use_light_tree = False
    c.sample_clamp_indirect, c.auto_scrambling_distance = 4.0, False
    s.cycles_curves.shape, s.cycles_curves.subdivisions = "RIBBONS", 1
    resolution(size)
    s.render.threads_mode, s.render.threads = "FIXED", threads
    s.render.image_settings.file_format, s.render.image_settings.compression = "PNG", 10


def resolution(size):
    s = bpy.context.scene
    s.render.resolution_x = s.render.resolution_y = size


@contextlib.contextmanager
def only(shown):
    """Nothing else is drawn."""
    hidden = [o for o in bpy.context.scene.objects if o is not shown and not o.hide_render]
    for o in hidden:
        o.hide_render = True
    try:
        yield
    finally:
        for o in hidden:
            o.hide_render = False


def render(path, samples, view="Standard", look="None", exposure=0.0, labels=False):
    """labels: one sample in the middle of every pixel, stored as it is; a path that ends in .exr keeps floats."""
    s = bpy.context.scene
    image = s.render.image_settings
    image.file_format, image.color_depth = ("OPEN_EXR", "32") if path.endswith(".exr") else ("PNG", "8")
    s.cycles.samples = 1 if labels else samples
    s.cycles.use_denoising = not labels
    s.cycles.pixel_filter_type = "BOX" if labels else "BLACKMAN_HARRIS"
    s.cycles.filter_width = 0.01 if labels else 1.5
    s.render.film_transparent = not labels
    s.render.dither_intensity = 0.0 if labels else 1.0
    image.color_mode = "RGB" if labels else "RGBA"
    s.view_settings.view_transform = "Raw" if labels else view
    s.view_settings.look = "None" if labels else look
    s.view_settings.exposure = 0.0 if labels else exposure
    s.render.filepath = path
    with Quiet():
        bpy.ops.render.render(write_still=True)


def develop(linear, path, view="Standard", look="None", exposure=0.0):
    """Linear light, float [H, W, 3], through the tone curve that `render` applies; written to a PNG of 8 bits."""
    s = bpy.context.scene
    s.view_settings.view_transform, s.view_settings.look, s.view_settings.exposure = view, look, exposure
    settings = s.render.image_settings
    settings.file_format, settings.color_depth, settings.color_mode = "PNG", "8", "RGB"
    height, width = linear.shape[:2]
    image = bpy.data.images.new("linear", width, height, float_buffer=True)
    image.colorspace_settings.name = "Linear Rec.709"
    image.pixels.foreach_set(np.dstack([linear, np.ones([height, width])])[::-1].astype(np.float32).ravel())
    image.save_render(path, scene=s)
    bpy.data.images.remove(image)


class Quiet:
    """Blender prints two lines per render; send them away."""

    def __enter__(self):
        self.saved, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)

    def __exit__(self, *_):
        os.dup2(self.saved, 1)
        os.close(self.saved)
