"""The average head: masks and landmarks on MakeHuman's base mesh, and the parts of body and garment that are drawn."""

import functools

import numpy as np

from .geometry import compact, components, subdivision
from .makehuman import RACES, MakeHuman


class Head(MakeHuman):
    """MakeHuman's files and what follows from them once for all people."""

    @functools.cached_property
    def average(self):
        return self.morph(self.macro(0.5, 28, dict.fromkeys(RACES, 1 / 3)))

    @functools.cached_property
    def eye_centres(self):
        e = self.fit(self.proxy("eyes/high-poly"), self.average)
        return e[e[:, 0] > 0].mean(0), e[e[:, 0] < 0].mean(0)

    @functools.cached_property
    def in_body(self):
        mask = np.zeros(self.n, bool)
        for f, g in zip(self.base["faces"], self.base["group"], strict=True):
            if g == "body":
                mask[f] = True
        return mask

    def reach(self, *names):
        """How strongly targets move each vertex, 0..1."""
        out = np.zeros(self.n)
        for name in names:
            i, d = self.target(name)
            length = np.linalg.norm(d, axis=1)
            out[i] = np.maximum(out[i], length / length.max())
        return out

    @functools.cached_property
    def masks(self):
        """Soft vertex masks [n] in 0..1 on the base mesh."""
        v, (ex, ey, _ez) = self.average, self.eye_centres[0]
        x, y, z = np.abs(v[:, 0]), v[:, 1], v[:, 2]

        def blob(cx, cy, cz, sx, sy, sz):
            return np.exp(-(((x - cx) / sx) ** 2 + ((y - cy) / sy) ** 2 + ((z - cz) / sz) ** 2))

        def up(t, width):
            return 1 / (1 + np.exp(-np.clip(t / width, -40, 40)))

        upper, lower = self.reach("mouth/mouth-upperlip-volume-incr"), self.reach("mouth/mouth-lowerlip-volume-incr")
        m = {"lip": np.clip(np.maximum(upper, lower) * 1.6, 0, 1), "upper_lip": (upper > lower).astype(float)}
        m["blush"] = np.clip(
            blob(0.47, ey - 0.42, 1.15, 0.28, 0.2, 0.5) + 0.55 * blob(0, ey - 0.33, 1.7, 0.2, 0.2, 0.3), 0, 1
        )
        m["eye_area"] = np.clip(blob(ex, ey + 0.02, 1.25, 0.26, 0.16, 0.4), 0, 1)
        m["under_eye"] = np.clip(blob(ex * 0.9, ey - 0.17, 1.35, 0.2, 0.09, 0.35), 0, 1)
        m["freckle_area"] = np.clip(
            blob(0.35, ey - 0.3, 1.2, 0.45, 0.25, 0.6) + blob(0, ey - 0.25, 1.6, 0.3, 0.25, 0.4), 0, 1
        )
        mouth_y = v[m["lip"] > 0.5][:, 1].mean()
        jaw = up(mouth_y + 0.18 - y + 0.4 * np.clip(x - 0.35, 0, 1), 0.05) * up(z - 0.05, 0.12)
        side = up(ey - 0.45 - y, 0.06) * up(x - 0.52, 0.05) * up(z - 0.25, 0.08)
        m["beard"] = np.maximum(jaw, side) * up(y - mouth_y + 1.05, 0.08) * (1 - np.clip(m["lip"] * 2, 0, 1))
        front = up(y - (ey + 0.78), 0.05) * (z > 0.75)
        back = (z <= 0.75) * up(y - (ey - 0.75 + 1.5 * np.clip((z - 0.05) / 0.55, 0, 1)), 0.06)
        m["scalp"] = np.clip(front + back, 0, 1)
        ear = np.clip(self.reach("ears/l-ear-trans-up", "ears/r-ear-trans-up") * 1.2, 0, 1)
        line = np.interp(
            z,
            (-0.3, 0, 0.3, 0.45, 0.56, 0.61, 0.72, 0.9, 1.05, 1.3),
            (-0.78, -0.58, -0.4, -0.3, -0.26, -0.2, 0.2, 0.44, 0.55, 0.6),
        )  # a whole head of hair, for buzz cuts
        m["buzz"] = np.where(self.in_body, up(y - ey - line, 0.04) * (1 - np.clip(ear * 1.6 - 0.35, 0, 1)), 0)
        nose = self.reach("nose/nose-trans-up")
        m["nose"] = (
            np.clip(nose * 1.3, 0, 1) * up(ey + 0.05 - y, 0.04) * up(0.2 + 0.12 * up(ey - 0.45 - y, 0.05) - x, 0.015)
        )
        m["ear"] = ear * up(0.95 - z, 0.04) * up(x - 0.6, 0.02)
        names, weights = self.skin_weights
        head = weights[:, [i for i, b in enumerate(names) if self._under(b, "head")]].sum(1)
        m["neck"] = 1 - np.clip(head, 0, 1)
        for k in ("beard", "scalp"):
            m[k] = np.where(self.in_body, m[k], 0)
        return m

    def _under(self, bone, ancestor):
        while bone:
            if bone == ancestor:
                return True
            bone = self.skeleton["bones"][bone]["parent"]
        return False

    @functools.cached_property
    def mouth_corner(self):
        i, d = self.target("mouth/mouth-angles-up")
        v = self.average
        i, d = i[v[i, 0] > 0], d[v[i, 0] > 0]
        end = v[i[np.linalg.norm(d, axis=1).argmax()]] * [0.87, 1, 1]  # where a landmark detector sees the corner
        skin = np.where(self.in_body & (v[:, 2] > end[2] - 0.08))[0]
        return skin[np.linalg.norm((v[skin] - end) * [1, 1, 0.3], axis=1).argmin()]

    @functools.cached_property
    def landmarks(self):
        """Vertex indices: mouth corners (subject's left, right), nose tip, chin."""
        v, m, ey = self.average, self.masks, self.eye_centres[0][1]
        lip = np.where((m["lip"] > 0.45) & (v[:, 2] > 1.2))[0]
        left = self.mouth_corner
        right = np.where(self.in_body)[0]
        right = right[np.linalg.norm(v[right] - v[left] * [-1, 1, 1], axis=1).argmin()]
        body = np.where(self.in_body & (np.abs(v[:, 0]) < 0.03) & (v[:, 2] > 0.9))[0]
        nose = body[(v[body, 1] < ey - 0.1) & (v[body, 1] > ey - 0.7)]
        low = body[(v[body, 1] < v[lip, 1].min() - 0.1) & (v[body, 1] > ey - 1.5)]
        return dict(
            mouth_l=left,
            mouth_r=right,
            nose=nose[v[nose, 2].argmax()],
            chin=low[(v[low, 2] - 1.2 * v[low, 1]).argmax()],
        )

    def body_faces(self, cloth=None):
        """Indices of the base mesh's faces that are head, neck and shoulders, without what the garment hides."""
        v, ey = self.average, self.eye_centres[0][1]
        hidden = set(self.proxy(f"clothes/{cloth}")["delete"]) if cloth else set()
        near = (v[:, 1] > ey - 3.4) & (np.abs(v[:, 0]) < 3.0)
        return [
            i
            for i, (f, g) in enumerate(zip(self.base["faces"], self.base["group"], strict=True))
            if g == "body" and near[f].all() and not all(k in hidden for k in f)
        ]

    def body_part(self, cloth=None):
        """The same, once subdivided. -> (subdivision matrix, quads, vertex indices)."""

        def make():
            faces, used = compact([self.base["faces"][i] for i in self.body_faces(cloth)], self.n)
            matrix, quads = subdivision(faces, len(used))
            return matrix, quads, used

        return self.once(f"body_{cloth}", make)

    def cloth_part(self, cloth):
        """-> (faces, vertex indices, skin weights, rank of each face's component from the top)."""

        def make():
            p = self.proxy(f"clothes/{cloth}")
            v = self.fit(p, self.average)
            ey = self.eye_centres[0][1]
            near = (v[:, 1] > ey - 4.2) & (np.abs(v[:, 0]) < 3.4)
            comp = components(p["mesh"]["faces"], len(v))
            order = sorted(set(comp), key=lambda k: -v[comp == k][:, 1].mean())
            faces = [f for f in p["mesh"]["faces"] if near[f].all()]
            rank = np.array([order.index(comp[f[0]]) for f in faces])
            faces, used = compact(faces, len(v))
            w = np.clip(p["w"], 0, None)
            w = w / w.sum(1, keepdims=True)
            weights = np.einsum("ni,nib->nb", w, self.skin_weights[1][p["idx"]])[used].astype(np.float32)
            matrix, quads = subdivision(faces, len(used))
            return matrix, quads, used, weights, np.repeat(rank, [len(f) for f in faces])

        return self.once(f"cloth_{cloth}", make)
