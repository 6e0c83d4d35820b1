"""Hair, brows and lashes: built once on the average head, then carried over to every identity.

A hairstyle is a shell (MakeHuman's mesh) plus strands that run over it. Growing strands is slow, so each variant is
grown once on the average head, kept, and afterwards moved with the shell by a `Binding`.
All points here are in Blender coordinates of the unposed head (metres, z up, face to -y).
"""

import math

import numpy as np
from mathutils import Vector
from mathutils.bvhtree import BVHTree
from scipy import sparse

from .brows import grow_brow, grow_lashes
from .geometry import Binding, compact, components, sample_faces, subdivision, to_blender

# mode: how strands run; fringe: width and height of the opening for the face (0: the shell leaves the face free)
STYLES = {
    "short01": dict(mode="back", length=0.022, count=3600, lift=0.5),
    "short02": dict(mode="forward", length=0.020, count=4000, lift=0.35),
    "short03": dict(mode="part", length=0.07, count=3600, lift=0.12, fringe=(0.97, 0.80)),
    "short04": dict(mode="back", length=0.025, count=4000, lift=0.2),
    "afro01": dict(mode="curl", length=0.02, count=6500, lift=0.9),
    "bob01": dict(mode="part", length=0.06, count=4200, lift=0.05, fringe=(1.0, 0.86)),
    "bob02": dict(mode="part", length=0.06, count=4200, lift=0.05, fringe=(1.0, 0.86)),
    "long01": dict(mode="part", length=0.14, count=4600, lift=0.04, fringe=(1.0, 1.0)),
    "ponytail01": dict(mode="tie", length=0.08, count=3600, lift=0.04),
    "braid01": dict(mode="part", length=0.06, count=3600, lift=0.06, fringe=(1.0, 0.80)),
}
POINTS = 7  # per strand
TAPER = np.array([1, 1, 1, 0.95, 0.85, 0.65, 0.3])


def opening(p, eyes, fringe):
    """< 1 inside the ellipse that must stay free of hair around the face."""
    if not fringe:
        return np.full(p.shape[:-1], 2.0)
    left, right = eyes
    mid, half = (left + right) / 2, abs(left[0] - right[0]) / 2
    dz = p[..., 2] - (mid[2] - 0.02)
    r = np.sqrt((p[..., 0] / (2.05 * half * fringe[0])) ** 2 + (dz / np.where(dz > 0, 0.078 * fringe[1], 0.19)) ** 2)
    return np.minimum(2, np.maximum(r, 1 + np.clip((p[..., 1] - mid[1] - 0.05) / 0.02, -1, 1)))


def cut_open(matrix, quads, face):
    """Cut the shell along face = 1: vertices just inside slide to that line, quads further inside go."""
    n = len(face)
    inside = face < 1
    if not inside.any():
        return matrix, quads
    edges = np.unique(np.sort(np.concatenate([quads[:, [i, (i + 1) % 4]] for i in range(4)]), 1), axis=0)
    edges = np.concatenate([edges, edges[:, ::-1]])
    edges = edges[inside[edges[:, 0]] & ~inside[edges[:, 1]]]  # from inside to outside
    t = (1 - face[edges[:, 0]]) / (face[edges[:, 1]] - face[edges[:, 0]])
    rows, count = edges[:, 0], np.bincount(edges[:, 0], minlength=n)
    share = 1 / count[rows]
    keep = sparse.diags((count == 0).astype(float))
    slide = keep + sparse.csr_matrix(
        (
            np.concatenate([(1 - t) * share, t * share]),
            (np.concatenate([rows, rows]), np.concatenate([rows, edges[:, 1]])),
        ),
        (n, n),
    )
    stays = ~inside | (count > 0)
    quads = quads[stays[quads].all(1) & ~inside[quads].all(1)]
    return (slide @ matrix).tocsr().astype(np.float32), quads


class Hair:
    def __init__(self, mh):
        self.mh = mh
        self.eyes = to_blender(np.stack(mh.eye_centres))
        part, quads, used = mh.body_part()
        self.skin = part @ to_blender(mh.average)[used]
        self.skin_quads = quads
        self.skin_used, self.skin_part = used, part
        self.scalp = part @ mh.masks["scalp"][used].astype(np.float32)
        self._shells, self._strands = {}, {}

    # ---- shells
    def shell(self, style):
        """-> dict matrix, quads, used (subdivided shell) and per-vertex attributes on the average head."""
        if style not in self._shells:
            self._shells[style] = self.mh.once(f"shell_{style}", lambda: self._make_shell(style))
        return self._shells[style]

    def _make_shell(self, style):
        p = self.mh.proxy(f"hair/{style}")
        faces = p["mesh"]["faces"]
        comp = components(faces, len(p["idx"]))
        if style in ("afro01", "short01", "short04"):  # loose cards that only make sense with the alpha texture
            faces = [f for f in faces if (comp == comp[f[0]]).sum() >= 100]
        faces, used = compact(faces, len(p["idx"]))
        matrix, quads = subdivision(faces, len(used))
        v = matrix @ to_blender(self.mh.fit(p, self.mh.average))[used]
        centre = self.eyes.mean(0) + np.array([0, 0.09, 0.04])
        d = v - centre
        mode = STYLES[style]["mode"]
        along, across = (
            (d[:, 2], np.arctan2(d[:, 0], -d[:, 1]) / (2 * np.pi))
            if mode in ("part", "tie")
            else (d[:, 1], d[:, 0] * 3)
        )
        face = opening(v, self.eyes, STYLES[style].get("fringe"))
        if style == "short04":  # its sideburns reach the jaw
            mid = self.eyes.mean(0)
            face = np.where(v[:, 1] < mid[1] + 0.08, np.minimum(face, 1 + (v[:, 2] - mid[2] + 0.022) / 0.02), face)
        matrix, quads = cut_open(matrix, quads, face)
        return dict(
            matrix=matrix,
            quads=quads,
            used=used,
            v=matrix @ to_blender(self.mh.fit(p, self.mh.average))[used],
            across=across,
            along=along,
        )

    def shell_points(self, style, v0):
        s = self.shell(style)
        return s["matrix"] @ to_blender(self.mh.fit(self.mh.proxy(f"hair/{style}"), v0))[s["used"]].astype(np.float32)

    # ---- strands
    def strands(self, style, variant):
        """-> Binding whose points are [strands * POINTS, 3]."""
        key = style, variant
        if key not in self._strands:
            points = self.mh.once(f"strands_{style}_{variant}", lambda: self._grow(style, variant))
            self._strands[key] = Binding(points, self.shell(style)["v"])
        return self._strands[key]

    def _grow(self, style, variant):
        opt, shell = STYLES[style], self.shell(style)
        rng = np.random.default_rng(1000 + variant)
        mode, fringe = opt["mode"], opt.get("fringe")
        length = opt["length"] * (1, 0.75, 1.2)[variant % 3]
        v, quads = shell["v"], shell["quads"]
        bvh = BVHTree.FromPolygons(v.tolist(), quads.tolist())
        mid = self.eyes.mean(0)
        centre = mid + np.array([0, 0.09, 0.04])
        roots, normals = sample_faces(v, quads, opt["count"], rng)
        hairline = 0
        if mode in ("part", "back", "tie"):  # more strands that grow out of the skin along the front hairline
            zone = self.scalp * (self.skin[:, 1] < mid[1] + 0.075)
            hairline = 700
            extra, n2 = sample_faces(self.skin, self.skin_quads, hairline, rng, zone)
            roots, normals = np.concatenate([roots, extra + n2 * 0.0006]), np.concatenate([normals, n2])
        from_skin = np.arange(len(roots)) >= len(roots) - hairline
        axis = roots - centre
        axis[:, 2] = np.maximum(axis[:, 2], 0)
        normals[(normals * axis).sum(1) < 0] *= -1
        top = v[v[:, 2] > centre[2] - 0.08]
        tie = np.array([0, top[:, 1].max(), centre[2] - 0.02])
        part = 0.02
        out = []
        for i in range(len(roots)):
            p, normal = roots[i].copy(), normals[i]
            strand = [p]
            step_length = (min(length, 0.055) if from_skin[i] else length) * rng.uniform(0.6, 1.25) / (POINTS - 1)
            lift, jitter, phase = opt["lift"] * rng.uniform(0.3, 1.2), rng.normal(0, 0.12, 3), rng.uniform(0, 6.28)
            for k in range(1, POINTS):
                rel = p - centre
                if from_skin[i]:
                    side = np.sign(p[0] - (part if mode == "part" else 0)) * (1.0 if mode == "part" else 0.25)
                    d = np.array([side, 0.9, 0.45 if rel[1] < -0.07 else -0.2])
                elif mode == "part":
                    d = (
                        np.array([(1 if p[0] > part else -1) * 0.55 * max(0, rel[2] * 8), 0.12, -1.0])
                        if rel[2] < 0.09
                        else np.array([np.sign(p[0] - part), 0.25, -0.4])
                    )
                elif mode == "back":
                    d = np.array([rel[0] * 1.5, 1.0, 0.15 if rel[1] < 0 else -0.9])
                elif mode == "forward":
                    d = np.array([rel[0] * 3, -0.8 if rel[2] > 0.04 else 0.3, -0.25 if rel[2] > 0.04 else -1])
                elif mode == "tie":
                    d = (tie - p) * 8 if p[1] < tie[1] - 0.015 and p[2] > centre[2] - 0.13 else np.array([0, 0.1, -1.0])
                else:
                    a = phase + k * 2.2
                    d = np.array([math.sin(a), math.cos(a), 0.3 * math.sin(phase * 3 + k)])
                d = d + jitter
                d = d - normal * (d @ normal)
                d /= np.linalg.norm(d) + 1e-9
                p = p + d * step_length + normal * step_length * lift * (1.2 if k < 3 else 0.35)
                if mode != "curl" and not (from_skin[i] and k < 3):
                    hit, n, _, _ = bvh.find_nearest(Vector(p))
                    if hit is not None:
                        hit, n = np.array(hit), np.array(n)
                        n = -n if n @ (p - centre) < 0 else n
                        off, gap = (p - hit) @ n, np.linalg.norm(p - hit)
                        if gap < 0.006 or abs(off) > 0.7 * gap:
                            if off < 0.0004:
                                p = hit + n * 0.0004
                            normal = n
                strand.append(p)
            strand = np.array(strand)
            if not from_skin[i]:  # keep the face free: cut where the strand enters the opening
                inside = opening(strand, self.eyes, fringe) < 1 + rng.normal(0, 0.04)
                if inside[0]:
                    continue
                if inside.any():
                    k = int(np.argmax(inside))
                    if k < 3:
                        continue
                    t = np.linspace(0, k - 1, POINTS)
                    strand = np.stack([np.interp(t, np.arange(POINTS), strand[:, j]) for j in range(3)], 1)
            out.append(strand)
        return np.concatenate(out)

    # ---- brows and lashes: bound to the skin
    def brow(self, style, width):
        """-> Binding; 4 points per hair."""
        key = "brow", style, width
        if key not in self._strands:
            points = self.mh.once(
                f"brow_{style}_{width}", lambda: grow_brow(self.mh, self.skin, self.skin_quads, style, width)
            )
            self._strands[key] = Binding(points, self.skin)
        return self._strands[key]

    def lashes(self):
        """-> Binding; 4 points per lash."""
        if "lash" not in self._strands:
            points = self.mh.once("lashes", lambda: grow_lashes(self.mh, self.eyes))
            self._strands["lash"] = Binding(points, self.skin)
        return self._strands["lash"]
