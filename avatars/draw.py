"""The pictures of one identity: two looks, the labels, and for evaluation the photo look in the rendered light."""

import io
import tempfile
from pathlib import Path

import bpy
import numpy as np
from PIL import Image
from scipy import ndimage

from weights.files import written_atomically

from . import finish, identity, lighting, materials, scene
from .hair import Hair
from .head import Head
from .person import Person

CLASSES = 19  # of CelebAMask-HQ


class Studio:
    """Blender, the average head and its hairstyles: what all identities of a process share.

    makehuman, assets: the folders of docs/data.md. size: pixels along a side; samples: per pixel; shares: of people who
    wear `glasses` and `hats`. Raises OSError when a file is missing.
    """

    def __init__(self, makehuman, assets, size, samples, seed, glasses=0.0, hats=0.0):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        scene.settings(size, threads=1)
        self.size, self.samples, self.seed, self.shares = size, samples, seed, (glasses, hats)
        self.folder = tempfile.TemporaryDirectory()
        self.scratch = Path(self.folder.name) / "frame.png"
        self.head = Head(makehuman, assets, self.folder.name)
        self.hair = Hair(self.head)

    def begin(self, index):
        """-> (p, random numbers of the pictures, the person) in an empty scene."""
        p = identity.sample(self.seed, index, *self.shares)
        scene.clear()
        return p, np.random.default_rng([self.seed, index, 1]), Person(self.head, self.hair, p)

    def frame(self, **settings):
        """Render, and read the picture as uint8 [size, size, 3 or 4]."""
        scene.render(str(self.scratch), self.samples, **settings)
        return np.asarray(Image.open(self.scratch))

    def rendered(self, rng, p, person):
        """The computer-graphics look, float [size, size, 3] in 0..1."""
        person.wear(p["rendered_look"])
        lighting.rendered(rng, person.centre, p["rendered_look"])
        frame = self.frame(view="Standard", exposure=float(rng.normal(0, 0.1)))
        return finish.over(frame / np.float32(255), finish.studio(rng, self.size))

    def real(self, rng, p, person):
        """-> (the photo look, what was drawn for it, how it was developed: `view`, `look` and `exposure` of the tone
        curve, `balance` and `saturation`)."""
        scene.remove_lights()
        person.wear("photo")
        light, kinds, cast, exposure = lighting.real(rng, person.centre)
        view = "AgX" if rng.random() < 0.6 else "Filmic"
        contrast = "AgX - Medium High Contrast" if view == "AgX" else "Medium High Contrast"
        bright = float(np.log2(np.dot(identity.linear(p["skin"]), (0.21, 0.72, 0.07)) / 0.25))
        exposure += 0.1 - 0.3 * bright + float(rng.normal(0, 0.15))  # meter for the face, as a photographer would
        curve = dict(view=view, look=contrast, exposure=exposure)
        frame = self.frame(**curve) / np.float32(255)
        kind = str(rng.choice(kinds))
        picture = finish.over(frame, finish.scenery(rng, self.size, kind, np.array(cast)))
        balance = np.array([1 + rng.normal(0, 0.025), 1.0, 1 + rng.normal(0, 0.025)])
        grade = dict(balance=balance, saturation=float(rng.uniform(0.95, 1.15)))
        picture = finish.film(rng, finish.graded(picture, **grade))
        return picture, dict(light=light, background=kind, view=view), curve | grade

    def labels(self, person, lashes=False):
        """The class of every pixel, uint8 [size, size]. lashes: as of `wear_labels`."""
        person.wear_labels(lashes)
        labels = np.round(self.frame(labels=True)[..., 0] / 255.0 * materials.LABEL_SCALE).astype(np.uint8)
        hair = ndimage.median_filter((labels == 17).astype(np.uint8), 3)  # thin strands leave pepper
        labels = np.where((hair == 1) & (labels < 2), 17, labels).astype(np.uint8)
        for brow in (2, 3):  # brows are loose hairs as well
            closed = ndimage.binary_closing(labels == brow, iterations=max(1, self.size // 128))
            labels[closed & (labels == 1)] = brow
        return labels


def pair(studio, index, out):
    """Draw identity `index`: `rendered/`, `real/`, `parsing/` in the folder `out`. Returns its line of the manifest."""
    p, rng, person = studio.begin(index)
    rendered = studio.rendered(rng, p, person)
    real, drawn, _ = studio.real(rng, p, person)
    labels = studio.labels(person)
    write(out / "rendered" / f"{index:06d}.jpg", jpeg(rendered))
    write(out / "real" / f"{index:06d}.jpg", jpeg(real))
    write(out / "parsing" / f"{index:06d}.png", label_png(labels))
    lens = {"lens_mm": round(person.camera.data.lens, 2)}
    return {"id": f"{index:06d}"} | p | drawn | {"points": person.points()} | lens


def matched(studio, index, out):
    """Draw `matched/`: the photo look in light and backdrop of `rendered/`, the true answer to that picture."""
    p, rng, person = studio.begin(index)  # the same draws as in `pair`
    person.wear(p["rendered_look"])
    lighting.rendered(rng, person.centre, p["rendered_look"])
    exposure = float(rng.normal(0, 0.1))
    person.wear("photo")
    frame = studio.frame(view="Standard", exposure=exposure) / np.float32(255)
    write(out / "matched" / f"{index:06d}.jpg", jpeg(finish.over(frame, finish.studio(rng, studio.size))))


def jpeg(image):
    """Float [H, W, 3] in 0..1 -> bytes."""
    data = io.BytesIO()
    pixels = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    Image.fromarray(pixels).save(data, "JPEG", quality=95, subsampling=0)
    return data.getvalue()


def label_png(labels):
    """uint8 [H, W] -> bytes of an indexed picture; class k has the usual bit-spread colour."""
    palette = [0, 0, 0]
    for k in range(1, CLASSES):
        palette += [sum(((k >> (3 * bit + channel)) & 1) << (7 - bit) for bit in range(2)) for channel in range(3)]
    return png(labels, palette)


def png(image, palette=None):
    """Float [H, W, 3] in 0..1, or uint8, or with a palette indices [H, W] -> bytes."""
    pixels = image if image.dtype == np.uint8 else (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    if palette is not None:
        picture.putpalette(palette)
    data = io.BytesIO()
    picture.save(data, "PNG", optimize=True)
    return data.getvalue()


def write(path, data):
    with written_atomically(path) as unfinished:
        unfinished.write_bytes(data)
