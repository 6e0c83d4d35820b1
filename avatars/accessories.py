"""Glasses and hats: simple meshes around a head, for labels 6 (eye_g) and 18 (hat) of CelebAMask-HQ.

All points are in Blender coordinates of the unposed head (metres, z up, face to -y).
"""

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

EYE_GLASSES, HAT = 6, 18  # their classes


def sample(rng, glasses, hats, hair):
    """{"glasses": ..., "hat": ...}, None for what the person does not wear; `glasses` and `hats` are shares of people.

    The draws do not depend on the shares: who wears something at a small share still wears it at a larger one.
    """
    wears_glasses, wears_hat = rng.random(2)
    frame = dict(
        width=round(float(rng.uniform(0.36, 0.42)), 3),  # of a lens, half, in eye distances
        height=round(float(rng.uniform(0.62, 0.88)), 3),  # in widths
        corners=(2.0, 2.6, 4.0)[rng.integers(3)],  # exponent of the superellipse: round to boxy
        thickness=round(float(rng.uniform(0.0009, 0.0022)), 4),
        colour=("101010", "2a1a12", "5a3a20", "30343a", "8a8478", "601c20")[rng.integers(6)],
        tint=0.75 if rng.random() < 0.12 else 0.04,
    )
    hat = dict(
        kind=("beanie", "cap", "brim")[rng.integers(3)],
        height=round(float(rng.uniform(0.050, 0.066)), 4),  # of its front edge above the eyes
        colour=("1b2438", "15161a", "6a6e74", "7a2a22", "c8b48c", "34503a", "e4e2da", "4a3626")[rng.integers(8)],
    )
    return {
        "glasses": frame if wears_glasses < glasses else None,
        "hat": hat if wears_hat < hats and hair != "afro01" else None,  # that hair fits under no hat
    }


def tube(line, radius, closed=False, sides=8):
    """A pipe along points [n, 3]. -> (vertices [n * sides, 3], quads)."""
    line = np.asarray(line, float)
    along = np.roll(line, -1, 0) - np.roll(line, 1, 0) if closed else np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.cross(along, [0.3, 0.2, 1.0])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    third = np.cross(along, across)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = np.cos(angle)[:, None] * across[:, None] + np.sin(angle)[:, None] * third[:, None]
    return (line[:, None] + radius * ring).reshape(-1, 3), grid_quads(len(line), sides, rows_closed=closed)


def grid_quads(rows, columns, rows_closed=False, columns_closed=True):
    """Faces of a grid of rows x columns vertices, [q, 4]."""
    r, c = np.mgrid[0 : rows - (not rows_closed), 0 : columns - (not columns_closed)].reshape(2, -1)
    down, right = (r + 1) % rows, (c + 1) % columns
    return np.stack([r * columns + c, r * columns + right, down * columns + right, down * columns + c], 1)


def merged(parts):
    """Several (vertices, quads) as one."""
    offsets = np.cumsum([0] + [len(v) for v, _ in parts])
    faces = [quads + offset for (_, quads), offset in zip(parts, offsets, strict=False)]
    return np.concatenate([v for v, _ in parts]), np.concatenate(faces).astype(np.int32)


def glasses(frame, eyes, skin, ear):
    """-> ((vertices, quads) of the frame, those of the lenses). eyes: vertices of either eye; skin, ear: vertices."""
    centres = [eye.mean(0) for eye in eyes]
    distance = abs(centres[0][0] - centres[1][0])
    half, height = frame["width"] * distance, frame["width"] * distance * frame["height"]
    level = np.mean([c[2] for c in centres])
    face = skin[(np.abs(skin[:, 2] - level) < height) & (np.abs(skin[:, 0]) < distance)]
    brow = face[np.abs(face[:, 0]) > 0.25 * distance][:, 1].min()
    front = min(min(eye[:, 1].min() for eye in eyes) - 0.010, brow - 0.001)
    nose = face[(np.abs(face[:, 0]) < 0.2 * distance) & (face[:, 2] > level - 0.3 * height)][:, 1].min()

    def bent(x, z):
        return np.stack([x, front + 1.4 * x**2, z], -1)

    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    power = 2 / frame["corners"]
    outline = [np.sign(f) * np.abs(f) ** power for f in (np.cos(turn), np.sin(turn))]
    solid, lenses = [], []
    for side in (1, -1):
        middle = side * abs(centres[0][0])
        rim = bent(middle + half * outline[0], level - 0.12 * height + height * outline[1])
        solid.append(tube(rim, frame["thickness"], closed=True))
        inner = bent(np.full(48, middle), np.full(48, level - 0.12 * height))
        lenses.append((np.concatenate([rim, inner]), grid_quads(2, 48)))
        reach = ear[np.sign(ear[:, 0]) == side]
        hinge = bent(np.array(middle + side * half), np.array(level + 0.25 * height))
        near = skin[(np.abs(skin[:, 2] - hinge[2]) < 0.012) & (skin[:, 1] > hinge[1] + 0.02)]
        near = near[(near[:, 1] < reach[:, 1].min()) & (np.sign(near[:, 0]) == side)]
        width = max(np.abs(near[:, 0]).max() + 0.002 if len(near) else 0, abs(hinge[0]))
        path = np.stack(
            [hinge, [side * width, hinge[1] + 0.022, hinge[2]], [side * width, reach[:, 1].mean(), hinge[2]]]
        )
        at = np.linspace(0, 2, 17)
        temple = np.stack([np.interp(at, [0, 1, 2], path[:, k]) for k in range(3)], 1)
        solid.append(tube(temple, frame["thickness"] * 1.1))
    gap = np.linspace(-1, 1, 13) * (abs(centres[0][0]) - half)
    bridge = bent(gap, level + 0.18 * height + 0.004 * (1 - (gap / gap[-1]) ** 2))
    bridge[:, 1] = np.minimum(bridge[:, 1], nose - 0.002 - 0.3 * np.abs(gap))
    solid.append(tube(bridge, frame["thickness"]))
    return merged(solid), merged(lenses)


class Hat:
    """A dome that fits closely around skin and hair, with what its kind adds. `vertices`, `quads` are its mesh.

    hat: from `sample`; eyes: centre between them; points: skin and hair shell, to be covered above the hat's edge.
    """

    COLUMNS, ROWS = 64, 16

    def __init__(self, hat, eyes, points):
        above = points[points[:, 2] > eyes[2]]
        middle = (above[:, 1].min() + above[:, 1].max()) / 2
        tilt = np.radians(-22.0)  # the edge is lower at the back
        self.origin = np.array([0, middle, 0])
        self.axes = np.array([[1, 0, 0], [0, np.cos(tilt), np.sin(tilt)], [0, -np.sin(tilt), np.cos(tilt)]])
        front = np.array([0, above[:, 1].min(), eyes[2] + hat["height"]])
        self.origin[2] = front[2] + (front[1] - middle) * self.axes[2, 1] / self.axes[2, 2]
        turn, lift = np.meshgrid(
            np.linspace(0, 2 * np.pi, self.COLUMNS, endpoint=False), np.linspace(0, np.pi / 2, self.ROWS)
        )
        rays = np.stack([np.sin(turn) * np.cos(lift), -np.cos(turn) * np.cos(lift), np.sin(lift)], -1)  # front first
        radius = self.reach(points, rays) + 0.006
        vertices = rays * radius[..., None]
        parts = [(vertices.reshape(-1, 3), grid_quads(self.ROWS, self.COLUMNS))]
        edge = vertices[0]
        if hat["kind"] == "beanie":
            band = edge * (1 + 0.004 / np.linalg.norm(edge, axis=1, keepdims=True))
            parts.append((np.concatenate([band - [0, 0, 0.008], band + [0, 0, 0.022]]), grid_quads(2, self.COLUMNS)))
            parts.append(tube(band - [0, 0, 0.008], 0.004, closed=True))
        else:
            size = 0.05 if hat["kind"] == "brim" else 0.065 * np.clip(1.6 * np.cos(turn[0]) - 0.35, 0, 1)
            length = np.linalg.norm(edge, axis=1, keepdims=True)
            rows = [edge * (1 + np.reshape(size, (-1, 1)) * t / length) - [0, 0, 0.012 * t**2] for t in (0, 0.5, 1)]
            parts.append((np.concatenate(rows), grid_quads(3, self.COLUMNS)))
            parts.append(tube(rows[-1], 0.0018, closed=True))
        vertices, self.quads = merged(parts)
        self.vertices = vertices @ self.axes + self.origin

    def reach(self, points, rays):
        """How far the farthest of `points` is along each ray, smoothed."""
        local = (points - self.origin) @ self.axes.T
        local = local[local[:, 2] > -0.02]
        far = np.linalg.norm(local, axis=1)
        near = cKDTree(local / far[:, None]).query_ball_point(rays.reshape(-1, 3), 0.16)
        radius = np.array([far[i].max() if i else np.nan for i in near]).reshape(rays.shape[:2])
        radius = np.where(np.isnan(radius), np.nanmedian(radius), radius)
        radius[-1] = radius[-1].mean()  # the top is one point
        return np.maximum(radius, ndimage.gaussian_filter(radius, [1.5, 2.5], mode=["nearest", "wrap"]))

    def covers(self, points):
        """Which points [n, 3] lie above its edge."""
        return ((points - self.origin) @ self.axes.T)[:, 2] > 0.004
