"""Heads whose true texture is known, to score the refinement of textures by; the files of one are in `CASE`.

The true texture is the photo look's skin, baked under the photograph's lights with everything that casts shadows, and
developed as the photograph was. The initial one is spoilt in one of KINDS ways. A texel is seen when its normal is
within acos FACING of the direction to the camera, it is the nearest surface in a depth map, and the labels around its
pixel are all skin, brows or lips.
"""

import json

import bpy
import numpy as np
from PIL import Image
from scipy import ndimage

from . import finish, identity, lighting, materials, scene
from .atlas import REACH, Atlas, geometry_material, read_pixels, texture_material
from .draw import png, write

CASE = {
    "head.obj": "posed, morphed head and neck, quads with UVs, metres",
    "camera.json": "intrinsics in pixels and 3x4 world -> camera matrix, OpenCV axes",
    "photo.png": "the photo look of the person",
    "texture_true.png": "the answer",
    "texture_initial.png": "an imperfect start",
    "visible.png": "255 = texel seen in photo.png",
    "regions.png": "palette image of REGIONS",
    "rendered.png": "head.obj with texture_true.png through the camera, black elsewhere",
    "case.json": "who it is, the light, how the initial texture was spoilt",
}
# flat: even computer-graphics skin without any detail; blur: the person's own colours, out of focus; person: those of
# somebody else; light: the person's own skin in the light of another photograph
KINDS = ("flat", "blur", "person", "light")
REGIONS = ("nothing", "face", "lips", "brows", "ears", "neck", "nose", "scalp")
REGION_COLOURS = bytes.fromhex("000000 e6bea0 c83232 5a3c28 f58c3c 78b478 ebe16e 5a5aa0")
SKIN = (1, 2, 3, 7, 8, 10, 12, 13, 14)  # label classes that belong to the texture
FACING = 0.4
BEHIND = 0.002  # metres behind the depth map's surface that still count as on it
NEAR = 2  # pixels of the label picture around a texel's that must be skin
HAIR = 0.0004  # metres of a brow hair's width
MARGIN = 8  # texels that go on beyond the islands' borders


def texture_case(studio, index, out, size=1024):
    """Draw case `index` into the folder OUT/case<index>, textures of `size`. Returns its line of case.json."""
    p, rng, person = studio.begin(index)
    folder, atlas = out / f"case{index}", Atlas(person, size)
    kind = KINDS[index % len(KINDS)]

    photo, drawn, developed = studio.real(rng, p, person)
    tone = dict(developed)
    grade = {key: tone.pop(key) for key in ("balance", "saturation")}
    own = atlas.bake("DIFFUSE", pass_filter={"COLOR"})  # the skin's own colours
    lit = atlas.bake("COMBINED", studio.samples)
    position, normal = atlas.bake_geometry("Position"), atlas.bake_geometry("Normal")
    covered = position.any(2)
    inner = ndimage.binary_erosion(covered)  # Cycles mixes some black into the outermost texels
    lit, own = (filled(x, inner) for x in (lit, own))
    hairs = brow_cover(person, atlas, covered)
    light = ndimage.gaussian_filter(lit, (6, 6, 0)) / np.maximum(ndimage.gaussian_filter(own, (6, 6, 0)), 1e-3)
    browed = lit + hairs[..., None] * (identity.linear(p["brow_colour"]) * light - lit)
    true = finish.graded(develop(studio, browed, **tone), **grade)
    true = to_bytes(np.where(margin(covered)[..., None], true, 0))

    if kind == "light":
        scene.remove_lights()
        lighting.real(np.random.default_rng([studio.seed, index, 3]), person.centre)
        spoilt = develop(studio, filled(atlas.bake("COMBINED", studio.samples), inner), **tone)
    else:
        worn = identity.sample(studio.seed, index + 100_000) if kind == "person" else p
        if kind != "blur":
            look = "photo" if kind == "person" else "flat"
            scene.dress(person.body, materials.skin(worn | {"hair": p["hair"]}, look))
            own = filled(atlas.bake("DIFFUSE", pass_filter={"COLOR"}), inner)
        spoilt = develop(studio, own)
    labels, depth = seen_by_camera(studio, person, atlas)
    visible = seen(atlas, person.camera, position, normal, labels, depth) & covered
    regions = regions_of(person, atlas, hairs) * covered
    initial = spoil(spoilt, kind, hairs, true, visible & (regions == 1), covered, rng)
    rendered = draw_textured(studio, person, atlas, true)

    files = {
        "head.obj": atlas.obj().encode(),
        "camera.json": json.dumps(camera_of(person.camera, studio.size), indent=1).encode(),
        "photo.png": png(photo),
        "texture_true.png": png(true),
        "texture_initial.png": png(initial),
        "visible.png": png((visible * 255).astype(np.uint8)),
        "regions.png": png(regions.astype(np.uint8), REGION_COLOURS),
        "rendered.png": png(rendered),
    }
    person_keys = ("gender", "age", "skin", "hair", "beard", "freckles", "yaw", "pitch")
    record = {"seed": studio.seed, "spoilt": kind} | {key: p[key] for key in person_keys} | drawn
    for name, data in (files | {"case.json": json.dumps(record, indent=1).encode()}).items():
        write(folder / name, data)
    return record


def filled(texture, covered):
    """A texture [H, W, 3] in which uncovered texels have the colours of the nearest covered ones."""
    rows, columns = ndimage.distance_transform_edt(~covered, return_distances=False, return_indices=True)
    return texture[rows, columns]


def margin(covered):
    return ndimage.binary_dilation(covered, iterations=MARGIN)


def develop(studio, linear, **tone):
    """Linear light [H, W, 3] through the tone curve -> float [H, W, 3] in 0..1."""
    scene.develop(linear, str(studio.scratch), **tone)
    return np.asarray(Image.open(studio.scratch).convert("RGB")) / np.float32(255)


def to_bytes(image):
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def brow_cover(person, atlas, covered):
    """How much of each texel the brows' hairs cover, float [size, size] in 0..1."""
    place = np.zeros(3 * len(person.brow.data.points), np.float32)
    person.brow.data.attributes["position"].data.foreach_get("vector", place)
    strands = place.reshape(-1, 4, 3)
    texels = atlas.texels(strands.reshape(-1, 3)).reshape(-1, 4, 2)
    length = np.linalg.norm(np.diff(strands, axis=1), axis=2)  # [n, 3] metres of each piece
    steps = 6
    at = (np.arange(steps) + 0.5) / steps
    points = texels[:, :-1, None] + at[:, None] * (texels[:, 1:] - texels[:, :-1])[:, :, None]  # [n, 3, steps, 2]
    texel = np.sqrt(texel_area(atlas, texels[:, 0]))  # metres a texel
    share = np.repeat((length / steps * HAIR / texel**2)[:, :, None], steps, 2).ravel()
    column, row = points.reshape(-1, 2).T
    cover = np.zeros(covered.shape)
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    for dx in (0, 1):
        for dy in (0, 1):
            part = np.abs(1 - dx - (column - left)) * np.abs(1 - dy - (row - top))
            inside = (left + dx >= 0) & (left + dx < atlas.size) & (top + dy >= 0) & (top + dy < atlas.size)
            np.add.at(cover, (top[inside] + dy, left[inside] + dx), (share * part)[inside])
    return 1 - np.exp(-cover)


def texel_area(atlas, texels):
    """Square metres of skin in a texel, the mean over the quads around the brows' roots [n, 2]."""
    low, high = texels.min(0), texels.max(0)
    middle = atlas.uv.mean(1) * (atlas.size, -atlas.size) + (-0.5, atlas.size - 0.5)
    near = ((middle > low) & (middle < high)).all(1)
    near = near if near.any() else np.ones(len(near), bool)

    def area(corners):
        a, b = corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]
        return np.linalg.norm(np.cross(a, b), axis=1).sum() / 2

    flat = np.dstack([atlas.uv[near] * atlas.size, np.zeros([near.sum(), 4])])
    return area(atlas.vertices[atlas.quads[near]]) / area(flat)


def camera_of(camera, size):
    """What `texture.read_camera` reads."""
    turn = np.diag([1.0, -1.0, -1.0]) @ np.array(camera.rotation).T
    focal = size / (2 * camera.size)
    cx, cy = size / 2 - focal * camera.centre
    matrix = np.concatenate([turn, (-turn @ camera.location)[:, None]], 1)
    numbers = {"fx": focal, "fy": focal, "cx": cx, "cy": cy}
    convention = (
        "OpenCV: x right, y down, z forward; continuous pixel coordinates, the centre of the top left pixel is "
        "(0.5, 0.5); image_size is width, height"
    )
    return (
        {"image_size": [size, size]}
        | {key: round(float(value), 6) for key, value in numbers.items()}
        | {"world_to_camera": matrix.round(9).tolist(), "convention": convention}
    )


def seen_by_camera(studio, person, atlas):
    """(classes, positions [n, n, 3] of the skin alone in metres) at every pixel of a picture of twice the size."""
    n = 2 * studio.size
    scene.resolution(n)
    labels = studio.labels(person, lashes=True)
    with scene.only(person.body):
        person.body.data.materials[0] = geometry_material("Position")
        path = studio.scratch.with_suffix(".exr")
        scene.render(str(path), 1, labels=True)
    image = bpy.data.images.load(str(path))
    depth = read_pixels(image)[..., :3]
    bpy.data.images.remove(image)
    scene.resolution(studio.size)
    return labels, np.where(depth.any(2, keepdims=True), (depth - 0.5) * REACH, np.inf)


def seen(atlas, camera, position, normal, labels, surface):
    """bool [size, size]: texels that the photograph shows; see the top."""
    n = len(labels)
    towards = camera.location - position
    distance = np.linalg.norm(towards, axis=2)
    facing = (normal * towards).sum(2) > FACING * distance
    pixels = camera.pixels(position.reshape(-1, 3)).reshape(*distance.shape, 2) * n
    column, row = np.floor(pixels).astype(int).transpose(2, 0, 1)
    framed = (column >= 0) & (row >= 0) & (column < n) & (row < n)
    column, row = column.clip(0, n - 1), row.clip(0, n - 1)
    depth = np.linalg.norm(camera.location - surface, axis=2)
    skin = ~ndimage.binary_dilation(~np.isin(labels, SKIN), iterations=NEAR)
    return facing & framed & (distance < depth[row, column] + BEHIND) & skin[row, column]


def regions_of(person, atlas, hairs):
    """Numbers of REGIONS, int [size, size]."""
    hair = {"bald": [], "buzz": [("buzz", 0.6, 7)]}.get(person.p["hair"], [("scalp", 0.6, 7)])
    parts = [("neck", 0.5, 5), *hair, ("ear", 0.5, 4), ("nose", 0.5, 6), ("lip", 0.45, 2)]
    person.body.data.materials[0] = materials.label(1, parts)
    numbers = np.rint(atlas.bake("EMIT")[..., 0] * materials.LABEL_SCALE).astype(int)
    return np.where(ndimage.gaussian_filter(hairs, atlas.size / 1024) > 0.25, 3, numbers)


def spoil(texture, kind, hairs, true, face, covered, rng):
    """The initial texture, uint8 [size, size, 3], from colours in even or wrong light, float [size, size, 3]."""
    size = len(texture)
    if kind in ("flat", "person", "blur"):  # brows are soft bands
        brow = ndimage.gaussian_filter(hairs, 2.5 * size / 1024)[..., None]
        dark = texture[face].mean(0) * 0.45 if face.any() else 0.2
        texture = texture + 0.8 * brow * (dark - texture)
    sigma = {"flat": 2, "blur": 12, "person": 1, "light": 1.5}[kind] * size / 1024
    texture = ndimage.gaussian_filter(texture, (sigma, sigma, 0))
    if kind != "light":  # even light: brought to the brightness of the photograph
        texture = texture * (true[face].mean(0) / 255 / texture[face].mean(0) if face.any() else 1)
        grey = texture.mean(2, keepdims=True)
        texture = grey + 0.9 * (texture - grey)
    texture = texture * rng.uniform(0.9, 1.1, 3) * rng.uniform(0.95, 1.08)
    return to_bytes(np.where(margin(covered)[..., None], texture, 0))


def draw_textured(studio, person, atlas, texture):
    """The head with a texture, uint8 [n, n, 3], as the camera sees it; black where nothing is."""
    with scene.only(person.body):
        person.body.data.materials[0] = texture_material(texture)
        frame = studio.frame(labels=True)
    return frame[..., :3]
