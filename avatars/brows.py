"""Brows and lashes: hairs bound to the skin of the average head (Blender coordinates, unposed)."""

import math

import numpy as np
from mathutils import Vector
from mathutils.bvhtree import BVHTree

from .geometry import components, sample_faces, subdivision, to_blender


def grow_brow(mh, skin, skin_quads, style, width):
    """Hairs of both brows on the skin of the average head, [4 a hair, 3]."""
    rng = np.random.default_rng(7)
    p = mh.proxy(f"eyebrows/{style}")
    v = to_blender(mh.fit(p, mh.average))
    _, quads = subdivision(p["mesh"]["faces"], len(v))
    m, _ = subdivision(p["mesh"]["faces"], len(v))
    points, _ = sample_faces(m @ v, quads, 430, rng)
    bvh = BVHTree.FromPolygons(skin.tolist(), skin_quads.tolist())
    x = np.abs(v[:, 0])
    x0, x1 = x.min(), x.max()
    edges = np.linspace(x0, x1 + 1e-9, 15)
    low, high = np.zeros(14), np.zeros(14)
    for i in range(14):
        s = (x >= edges[max(0, i - 1)]) & (x <= edges[min(14, i + 2)])
        low[i], high[i] = (v[s, 2].min(), v[s, 2].max()) if s.any() else (low[i - 1], high[i - 1])
    out = []
    for p in points:
        u = (abs(p[0]) - x0) / (x1 - x0)
        b = min(13, int(u * 14))
        mid, half = 0.5 * (low[b] + high[b]), 0.5 * (high[b] - low[b])
        e = (p[2] - mid) / (half + 1e-4)
        if abs(e) > 1.2 or u > 0.86 or (u < 0.14 and rng.random() > 0.25 + u * 5):
            continue
        mid += 0.0016 + 0.0036 * (1 - u) - 0.0012 * u  # MakeHuman's brows frown; lift them, the inner end most
        taper = np.interp(u, (0, 0.12, 0.5, 0.86), (0.65, 1, 1, 0.5))
        p = np.array([p[0], p[1], mid + e * (half * width * taper + 1e-4)])
        sign = 1 if p[0] > 0 else -1
        angle = np.radians(np.interp(u, [0, 0.25, 0.6, 1], [78, 45, 12, -18]) + rng.normal(0, 9) - e * 14)
        length = np.interp(u, [0, 0.3, 0.7, 1], [0.0065, 0.0085, 0.008, 0.005]) * rng.uniform(0.7, 1.2)
        for k in range(4):
            hit, n, _, _ = bvh.find_nearest(Vector(p))
            hit, n = np.array(hit), np.array(n)
            out.append(hit + n * (0.0003 + 0.0005 * k / 3))
            p = hit + np.array([sign * math.cos(angle), 0, math.sin(angle)]) * length / 3
            angle -= 0.10
    return np.array(out)


def grow_lashes(mh, eyes):
    """Upper lashes of both eyes, [4 a lash, 3]."""
    rng = np.random.default_rng(11)
    p = mh.proxy("eyelashes/eyelashes01")
    v = to_blender(mh.fit(p, mh.average))
    comp = components(p["mesh"]["faces"], len(v))
    out = []
    for k in set(comp):
        idx = np.where(comp == k)[0]
        c = eyes[0 if v[idx, 0].mean() > 0 else 1]
        if v[idx, 2].mean() <= c[2]:  # at portrait sizes lower lashes are only specks
            continue
        r, x = np.linalg.norm(v[idx] - c, axis=1), v[idx, 0]
        edges = np.linspace(x.min(), x.max(), 17)
        root, tip = [], []
        for i in range(16):
            s = np.where((x >= edges[i] - 1e-9) & (x <= edges[i + 1] + 1e-9))[0]
            if len(s) >= 2:
                root.append(v[idx[s[np.argmin(r[s])]]])
                tip.append(v[idx[s[np.argmax(r[s])]]])
        if len(root) < 4:
            continue
        root, tip = np.array(root), np.array(tip)
        outer = 3.4 if v[idx, 0].mean() > 0 else 1.6  # keep away from the outer corner, where lashes cross
        for _ in range(44):
            q = rng.uniform(5 - outer, len(root) - 1 - outer)
            i, f = int(q), q - int(q)
            a, b = root[i] * (1 - f) + root[i + 1] * f, tip[i] * (1 - f) + tip[i + 1] * f
            d = b - a
            length = np.linalg.norm(d)
            if length < 0.001:
                continue
            d = d / length * min(length, 0.0068) * rng.uniform(0.7, 1.05)
            bend, side = np.array([0, 0, 0.0018]), np.array([rng.normal(0, 0.0006), 0, 0])
            out += [a, a + d * 0.35 + side * 0.2 - bend * 0.25, a + d * 0.7 + side * 0.6, a + d + side + bend * 0.5]
    return np.array(out)
