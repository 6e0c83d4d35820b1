"""MakeHuman's CC0 data files, read with numpy: base mesh, targets, rig, and what follows the body.

Two directories are read: `data` of MakeHuman (base mesh, targets, rig, eyes) and `base` of its system assets (hair,
brows, lashes, clothes). docs/data.md says where to get them. Nothing here needs Blender.
"""

import functools
import json
import re
from pathlib import Path

import numpy as np

from .geometry import load_obj

RACES = ("caucasian", "african", "asian")


class MakeHuman:
    """data, assets: the two directories; scratch: a folder for the few files Blender has to load.

    Whatever is built is kept for the next identity. Raises OSError when a file is missing.
    """

    def __init__(self, data, assets, scratch):
        self.data, self.assets, self.scratch = Path(data), Path(assets), Path(scratch)
        self._made = {}
        self.base = load_obj(self.data / "3dobjs/base.obj")
        self.n = len(self.base["v"])
        self.skeleton = json.loads((self.data / "rigs/default.mhskel").read_text())
        self._targets = {}

    def once(self, name, make):
        """make(), or what it gave the last time it was asked for by this name."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    # ---- shape
    def has(self, name):
        return name in self._targets or (self.data / f"targets/{name}.target").is_file()

    def target(self, name):
        """A shape key: -> (vertex indices [k], displacements [k, 3])."""
        if name not in self._targets:
            lines = (self.data / f"targets/{name}.target").read_text(encoding="utf8").splitlines()
            rows = [line for line in lines if line.strip() and not line.startswith("#")]
            table = np.array(" ".join(rows).split(), np.float32).reshape(-1, 4)
            self._targets[name] = table[:, 0].astype(int), table[:, 1:]
        return self._targets[name]

    def macro(self, gender, age, race, weight=0.5, muscle=0.5):
        """Weights of the macro targets. gender 0 female .. 1 male, age in years (18..90), race: dict of shares."""
        young, old = (1 - (age - 25) / 65, (age - 25) / 65) if age >= 25 else (1.0, 0.0)
        child = (25 - age) / 13 * 0.6 if age < 25 else 0.0
        shares = {"male": gender, "female": 1 - gender}
        ages = {"child": child, "young": young - child, "old": old}

        def three(x, noun):
            low, high = max(0, 1 - 2 * x), max(0, 2 * x - 1)
            return {"min" + noun: low, "max" + noun: high, "average" + noun: 1 - low - high}

        out = {}
        for g, gw in shares.items():
            for a, aw in ages.items():
                for r in RACES:
                    out[f"macrodetails/{r}-{g}-{a}"] = gw * aw * race.get(r, 0)
                for m, mw in three(muscle, "muscle").items():
                    for t, tw in three(weight, "weight").items():
                        b = gw * aw * mw * tw
                        out[f"macrodetails/universal-{g}-{a}-{m}-{t}"] = b
                        out[f"macrodetails/proportions/{g}-{a}-{m}-{t}-idealproportions"] = 0.3 * b
        return {k: w for k, w in out.items() if w > 1e-4}

    def morph(self, weights):
        """The base mesh with targets applied, {name: weight} -> float32 [n, 3]; one without a file does nothing."""
        v = self.base["v"].astype(np.float32)
        for name, w in weights.items():
            if abs(w) > 1e-4 and self.has(name):
                i, d = self.target(name)
                v[i] += np.float32(w) * d
        return v

    # ---- things that follow the body (eyes, hair, clothes)
    def proxy(self, folder):
        """Read an .mhclo file; folder is relative to the assets, or to the core data for the eyes."""
        root = self.data if folder.startswith("eyes/") else self.assets
        return self.once(folder, lambda: read_proxy(root / folder / f"{Path(folder).name}.mhclo"))

    def fit(self, proxy, v):
        """The proxy's vertices [m, 3] on the body v [n, 3]."""
        s = np.ones(3)
        for axis, (a, b, d) in proxy["scale"].items():
            s[axis] = abs(v[a, axis] - v[b, axis]) / d
        return np.einsum("ni,nij->nj", proxy["w"], v[proxy["idx"]]) + proxy["offset"] * s

    # ---- pose
    @functools.cached_property
    def skin_weights(self):
        """-> (bone names, dense weights [n, bones])."""

        table = json.loads((self.data / "rigs/default_weights.mhw").read_text())["weights"]
        names = list(self.skeleton["bones"])
        a = np.zeros((self.n, len(names)), np.float32)
        for bone, rows in table.items():
            if bone in names:
                rows = np.array([r for r in rows if r[0] < self.n])
                a[rows[:, 0].astype(int), names.index(bone)] = rows[:, 1]
        a[a.sum(1) <= 0, names.index("root")] = 1
        return names, a / a.sum(1, keepdims=True)

    def bone_matrices(self, v, rotations):
        """rotations: bone -> 3x3 in world axes about the bone's head. -> dict bone -> 4x4."""
        bones, joints, out = self.skeleton["bones"], self.skeleton["joints"], {}

        def get(name):
            if name not in out:
                parent = bones[name]["parent"]
                local = np.eye(4)
                if name in rotations:
                    head = v[np.array(joints[bones[name]["head"]])].mean(0)
                    local[:3, :3] = rotations[name]
                    local[:3, 3] = head - rotations[name] @ head
                out[name] = (get(parent) if parent else np.eye(4)) @ local
            return out[name]

        for name in bones:
            get(name)
        return out

    def blend(self, points, weights, matrices):
        """Linear blend skinning: points [m, 3] with weights [m, bones] -> [m, 3]."""
        names, _ = self.skin_weights
        moved = [i for i, n in enumerate(names) if not np.allclose(matrices[n], np.eye(4))]
        out = points * (1 - weights[:, moved].sum(1, keepdims=True))
        for i in moved:
            m = matrices[names[i]]
            out = out + weights[:, i : i + 1] * (points @ m[:3, :3].T + m[:3, 3])
        return out


def read_proxy(path):
    """An .mhclo file and its mesh: how each vertex follows three of the body's, and which of the body's it hides."""
    out = dict(scale={}, delete=[])
    rows, mode, mesh = [], None, None
    with open(path, encoding="utf8", errors="replace") as stream:
        for line in stream:
            q = line.split()
            if not q or q[0].startswith("#"):
                continue
            if q[0] in ("x_scale", "y_scale", "z_scale"):
                out["scale"]["xyz".index(q[0][0])] = int(q[1]), int(q[2]), float(q[3])
            elif q[0] == "obj_file":
                mesh = path.parent / q[1]
            elif q[0] in ("verts", "delete_verts", "weights"):
                mode = q[0]
            elif re.match(r"^[A-Za-z_]", q[0]):
                continue
            elif mode == "verts":
                if len(q) == 1:
                    rows.append([int(q[0]), 0, 0, 1, 0, 0, 0, 0, 0])
                else:
                    rows.append(([float(x) for x in q] + [0, 0, 0])[:9])
            elif mode == "delete_verts":
                i = 0
                while i < len(q):
                    if i + 2 < len(q) and q[i + 1] == "-":
                        out["delete"] += range(int(q[i]), int(q[i + 2]) + 1)
                        i += 3
                    else:
                        out["delete"].append(int(q[i]))
                        i += 1
    table = np.array(rows, float)
    out.update(idx=table[:, :3].astype(int), w=table[:, 3:6], offset=table[:, 6:9], mesh=load_obj(mesh))
    if len(out["idx"]) != len(out["mesh"]["v"]):
        raise ValueError(f"{path}: fits {len(out['idx'])} vertices, its mesh has {len(out['mesh']['v'])}")
    return out
