"""Things in front of faces, drawn at random, for the training of a parser: what rendered sets hardly have.

Each is drawn over a picture and its labels, under the name CelebAMask-HQ has for its kind: spectacles `eye_g`, headwear
`hat`, cloth `cloth`, beads `ear_r`, whiskers `hair`; hands, bars, patches and all else are `background`, which is what
its annotators did with hands.
"""

from dataclasses import dataclass

import numpy as np

from postprocess.masks import inner_face, shows_skin
from postprocess.parsing import CLASSES

FINER = 4  # things are drawn at so many times the picture's size


@dataclass(frozen=True)
class Canvas:
    """The outline of a thing over a face; lengths in halves of the face's box, places from the middle of the face."""

    opacity: np.ndarray  # float32 [FINER * S, FINER * S], drawn into
    seen: np.ndarray  # the same: labelled as the thing even where the face shows through
    centre: np.ndarray  # of the face, (x, y) in pixels of the picture
    half: np.ndarray  # of its width and height
    eyes: np.ndarray | None  # [2, 2], left and right in the image; None where they are hidden

    def at(self, points):
        """[n, 2] in pixels of the canvas."""
        return np.rint((self.centre + self.half * np.reshape(points, (-1, 2))) * FINER).astype(np.int32)

    def line(self, start, end, width):
        import cv2

        first, last = self.at([start, end]).tolist()
        cv2.line(self.opacity, first, last, 1.0, max(round(width * self.half[0] * FINER), 1), cv2.LINE_AA)

    def fill(self, points):
        import cv2

        cv2.fillPoly(self.opacity, [self.at(points)], 1.0)

    def disc(self, centre, radius):
        import cv2

        radius = max(round(radius * self.half[0] * FINER), 1)
        cv2.circle(self.opacity, self.at(centre)[0].tolist(), radius, 1.0, -1, cv2.LINE_AA)


def spectacles(canvas, random):
    """Two superellipses with a bridge and arms; clear, tinted or dark."""
    import cv2

    if canvas.eyes is None:
        return
    apart = np.linalg.norm(canvas.eyes[1] - canvas.eyes[0])
    across = (canvas.eyes[1] - canvas.eyes[0]) / apart
    turned = apart * np.array([across, [-across[1], across[0]]])
    axes, corners = random.uniform([0.26, 0.2], [0.47, 0.42]), random.uniform(1.6, 5)
    thick = max(round(random.uniform(0.02, 0.1) * apart * FINER), 2)
    lift, tint = random.uniform(-0.06, 0.08), random.choice([0.0, random.uniform(0, 0.3), random.uniform(0.7, 1)])
    turn = np.linspace(0, 2 * np.pi, 48)
    lens = np.c_[np.cos(turn), np.sin(turn)]
    lens *= axes / (np.abs(lens) ** corners).sum(1, keepdims=True) ** (1 / corners)
    lens[:, 1] *= 1 + random.uniform(-0.3, 0.3) * lens[:, 0] / axes[0] * random.choice([0, 1])

    def place(points, eye):
        return np.rint((np.asarray(points) @ turned + eye) * FINER).astype(np.int32)

    for side, eye in zip((-1, 1), canvas.eyes, strict=True):
        outline = place(lens * [side, 1] + [0, lift], eye)
        cv2.fillPoly(canvas.opacity, [outline], float(tint))
        cv2.fillPoly(canvas.seen, [outline], 1.0)
        arm = [[side * axes[0], lift - 0.05], [side * (0.75 + random.uniform(0, 0.3)), lift - 0.08]]
        for line, closed in ((outline, True), (place(arm, eye), False)):
            cv2.polylines(canvas.opacity, [line], closed, 1.0, thick, cv2.LINE_AA)
    bridge = np.concatenate([place([[-s * axes[0], lift]], e) for s, e in zip((-1, 1), canvas.eyes, strict=True)])
    cv2.polylines(canvas.opacity, [bridge], False, 1.0, thick, cv2.LINE_AA)


def headwear(canvas, random):
    """A crown above the brows, and a brim."""
    brim, wide, top, tilt = random.uniform([-1.0, 1.0, -2.2, -0.2], [-0.5, 1.9, -1.4, 0.2])
    far = wide * random.uniform(0.4, 0.9)
    canvas.fill([(-0.8 * wide, brim), (0.8 * wide, brim + tilt), (far, top), (-0.7 * wide, top)])
    canvas.line((-wide, brim), (wide, brim + tilt), random.uniform(0.05, 0.5))


def cloth(canvas, random):
    """A mask, a scarf, a collar: from somewhere on the face downwards."""
    edge, left, right, below = random.uniform([-0.2, 0.5, 0.5, 1.0], [0.8, 1.4, 1.4, 2.2])
    (a, b, c), middle = random.uniform(-0.3, 0.3, 3), random.uniform(-0.3, 0.3)
    top = [(-left, edge + a), (middle, edge + b), (right, edge + c)]
    canvas.fill([*top, (right, below - 0.4), (0, below), (-left, below - 0.4)])


def beads(canvas, random):
    """One stone, or a row of them along a parabola."""
    start, end, sag = random.uniform(-1, 1, 2), random.uniform(-1, 1, 2), random.uniform(-0.3, 0.5)
    for t in np.linspace(0, 1, random.integers(1, 14)):
        canvas.disc(start + t * (end - start) + [0, 4 * sag * t * (1 - t)], random.uniform(0.03, 0.1))


def whiskers(canvas, random):
    """Strokes around the mouth and on the chin."""
    import cv2

    for _ in range(random.integers(400, 1600)):
        x, y = random.uniform((-0.8, 0.15), (0.8, 1.2))
        if x**2 / 0.7 + (y - 0.3) ** 2 / 0.9 < 1 and not (abs(x) < 0.4 and 0.4 < y < 0.65):
            canvas.line((x, y), (x + random.uniform(-0.08, 0.08), y + random.uniform(0.03, 0.15)), 0.02)
    canvas.seen[...] = 0.8 * cv2.morphologyEx(canvas.opacity, cv2.MORPH_CLOSE, np.ones([13, 13]))


def fingers(canvas, random):
    """One to five, side by side, from somewhere outside."""
    turn, reach, thick = random.uniform([0, 0, 0.18], [2 * np.pi, 0.9, 0.34])
    along = np.array([np.cos(turn), np.sin(turn)])
    beside = thick * np.array([-along[1], along[0]])
    for i in np.arange(random.integers(1, 6)) - 2:
        tip = along * (reach + random.uniform(-0.15, 0.15)) + beside * i * random.uniform(0.9, 1.3)
        canvas.line(tip, along * 2.5 + beside * i * random.uniform(0.8, 1.6), thick)


def bar(canvas, random):
    """A pole, a cable, a lock, a microphone's stand."""
    turn, thick, reach = random.uniform([0, 0.04, 0.5], [np.pi, 0.45, 3])
    middle, along = random.uniform(-0.8, 0.8, 2), reach * np.array([np.cos(turn), np.sin(turn)])
    canvas.line(middle - along, middle + along, thick)


def blob(canvas, random):
    """A polygon with sharp or with round corners."""
    shape = around(random.uniform(-0.9, 0.9, 2), random.integers(4, 12), 0.1, random.uniform(0.25, 0.9), random)
    canvas.fill(rounded(shape) if random.random() < 0.7 else shape)


def patch(canvas, random):
    """A patch over an eye, on a band."""
    if canvas.eyes is None:
        return
    eye = (canvas.eyes[random.integers(2)] - canvas.centre) / canvas.half
    canvas.fill(rounded(around(eye, 9, 0.25, 0.42, random)))
    away = random.uniform((0.8, -1.2), (2.0, -0.2)) * [random.choice([-1, 1]), 1]
    canvas.line(eye - away, eye + away, random.uniform(0.03, 0.12))


def around(centre, count, low, high, random):
    """Points [count, 2] at random distances in random directions, in order."""
    turn = np.sort(random.uniform(0, 2 * np.pi, count))
    return centre + random.uniform(low, high, [count, 1]) * np.c_[np.cos(turn), np.sin(turn)]


def rounded(points):
    """A closed line with its corners cut (G. Chaikin, 1974)."""
    for _ in range(3):
        after = np.roll(points, -1, 0)
        points = np.stack([0.75 * points + 0.25 * after, 0.25 * points + 0.75 * after], 1).reshape(-1, 2)
    return points


THINGS = {
    spectacles: "eye_g",
    headwear: "hat",
    cloth: "cloth",
    beads: "ear_r",
    whiskers: "hair",
    fingers: "background",
    bar: "background",
    blob: "background",
    patch: "background",
}


def with_things(pixels, labels, others, random, most=2):
    """A picture uint8 [S, S, 3] and its labels [S, S] with 1 to `most` things over the face: the same, new arrays.

    others: uint8 [N, S, S, 3], pictures whose pieces serve as patterns. random: a NumPy generator.
    """
    import cv2

    pixels, labels, size = pixels.copy(), labels.copy(), len(labels)
    rows, columns = np.nonzero(inner_face(labels))
    if len(rows) < 50:
        return pixels, labels
    box = np.array([[columns.min(), rows.min()], [columns.max(), rows.max()]])
    eyes = [np.argwhere(labels == CLASSES.index(name))[:, ::-1] for name in ("l_eye", "r_eye")]
    eyes = np.stack([eye.mean(0) for eye in eyes]) if all(map(len, eyes)) else None
    if eyes is not None and np.linalg.norm(eyes[1] - eyes[0]) < 0.1 * size:  # from the side
        eyes = None
    skin = pixels[shows_skin(labels)]
    for _ in range(random.integers(1, most + 1)):
        thing = list(THINGS)[random.integers(len(THINGS))]
        outlines = np.zeros([2, FINER * size, FINER * size], np.float32)
        centre = np.array([columns.mean(), rows.mean()])
        thing(Canvas(*outlines, centre, (box[1] - box[0]) / 2 + 1, eyes), random)
        opacity, seen = (cv2.resize(o, (size, size), interpolation=cv2.INTER_AREA)[..., None] for o in outlines)
        material = made_of(thing, size, skin, others, random)
        if thing in (fingers, beads, bar) and random.random() < 0.7:  # round: darker towards its outline
            depth = cv2.distanceTransform((opacity > 0.5).astype(np.uint8), cv2.DIST_L2, 3)[..., None]
            material *= 1 - random.uniform(0.1, 0.5) * np.exp(-depth / random.uniform(0.7, 2))
        pixels = np.rint(pixels + opacity * (material - pixels)).clip(0, 255).astype(np.uint8)
        labels[(np.maximum(opacity, seen) > 0.3)[..., 0]] = CLASSES.index(THINGS[thing])
    return pixels, labels


def made_of(thing, size, skin, others, random):
    """Float32 [S, S, 3], 0 to 255: the colours of a thing. skin: [n, 3], those of the person's."""
    import cv2

    if thing is fingers and random.random() < 0.85:  # mostly the person's own skin in other light
        colour = skin[random.integers(len(skin))] * random.uniform(0.7, 1.25) + random.normal(0, 6, 3)
    elif thing is whiskers:  # black to blond, red and grey
        colour = random.uniform(10, 200) * np.array([1, random.uniform(0.65, 1), random.uniform(0.4, 1)])
    else:
        colour = random.uniform(0, 255) + random.normal(0, random.choice([8, 60]), 3)
    if thing not in (fingers, whiskers, beads) and random.random() < 0.3:  # a piece of another picture
        zoom = random.uniform(1.2, 4)
        left, top = random.uniform(0, size * (zoom - 1), 2)
        matrix, piece = np.float32([[zoom, 0, -left], [0, zoom, -top]]), others[random.integers(len(others))]
        return cv2.warpAffine(piece, matrix, (size, size), borderMode=cv2.BORDER_REFLECT).astype(np.float32)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    shade = random.normal(0, 18) * (2 * x / size - 1) + random.normal(0, 18) * (2 * y / size - 1)
    if thing not in (fingers, whiskers) and random.random() < 0.5:  # stripes or folds
        frequency, phase, turn = random.uniform([0.1, 0, 0], [1.2, 6, np.pi])
        shade += random.uniform(3, 40) * np.sin(frequency * (np.cos(turn) * x + np.sin(turn) * y) + phase)
    shade += random.normal(0, random.uniform(0, 10), [size, size])
    return (colour + shade[..., None]).clip(0, 255).astype(np.float32)
