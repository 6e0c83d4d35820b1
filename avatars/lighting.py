"""Lights of both styles. Positions are relative to the point between the eyes, powers in watts."""

import numpy as np

from . import scene

WARM, COOL = (1.0, 0.87, 0.72), (0.80, 0.89, 1.0)
KINDS = {"window": 0.26, "overcast": 0.22, "golden": 0.16, "indoor": 0.18, "shade": 0.1, "flash": 0.08}


def rendered(rng, centre, look):
    """Key, fill and rim, as a preview renderer sets them up."""
    side, k = rng.choice([-1, 1]), rng.uniform(0.85, 1.15)

    def at(*q):
        return centre + np.array(q)

    scene.area(at(-0.9 * side, -1.5, rng.uniform(0.5, 1.1)), centre, 1.2, 42 * k)
    scene.area(at(1.3 * side, -1.2, 0.2), centre, 1.3, rng.uniform(12, 24))
    scene.area(at(0.7 * side, 1.1, 0.9), centre, 0.6, rng.uniform(10, 28))
    scene.world((0.5, 0.5, 0.52), 0.5 if look == "flat" else 0.34)


def real(rng, centre):
    """-> (name, kinds of background that go with it, colour cast of the background, exposure)."""
    side = rng.choice([-1, 1])

    def at(*q):
        return centre + np.array(q)

    name = tuple(KINDS)[rng.choice(len(KINDS), p=tuple(KINDS.values()))]
    if name == "window":
        scene.area(
            at(-1.3 * side, -rng.uniform(0.4, 1.1), rng.uniform(0.1, 0.6)), centre, 0.9, rng.uniform(36, 52), COOL
        )
        scene.world((1.0, 0.95, 0.9), rng.uniform(0.16, 0.32), (0.5, 0.45, 0.4))
        out = ("interior", "wall"), (0.85, 0.80, 0.74), 0.5
    elif name == "overcast":
        scene.area(at(0.3 * side, -0.9, 1.8), centre, 2.2, rng.uniform(34, 46), (0.92, 0.96, 1.0))
        scene.world((0.85, 0.93, 1.0), rng.uniform(0.25, 0.45), (0.32, 0.30, 0.27))
        out = ("foliage", "street", "sky"), (0.92, 0.96, 1.0), 0.25
    elif name == "golden":
        scene.area(at(-1.5 * side, rng.uniform(-0.9, 0.5), 0.5), centre, 0.35, rng.uniform(50, 75), (1.0, 0.76, 0.52))
        scene.area(at(0.9 * side, -1.5, 0.3), centre, 1.5, rng.uniform(9, 16), (1.0, 0.93, 0.86))
        scene.world((0.62, 0.74, 1.0), rng.uniform(0.28, 0.42), (0.5, 0.38, 0.25))
        out = ("foliage", "street", "sky"), (1.02, 0.9, 0.74), 0.35
    elif name == "indoor":
        scene.area(at(0.5 * side, -0.8, 1.5), centre, 0.6, rng.uniform(30, 42), WARM)
        scene.area(at(-1.2 * side, -1.3, 0.1), centre, 1.0, rng.uniform(6, 14), (1.0, 0.9, 0.8))
        scene.world((1.0, 0.92, 0.83), rng.uniform(0.2, 0.34), (0.5, 0.42, 0.36))
        out = ("interior", "wall", "night"), (0.97, 0.86, 0.72), 0.4
    elif name == "shade":
        scene.area(at(-0.8 * side, -1.6, 0.7), centre, 1.8, rng.uniform(30, 40), (0.86, 0.93, 1.0))
        scene.area(at(0.8 * side, 1.1, 0.9), centre, 0.5, rng.uniform(20, 45), (1.0, 0.93, 0.8))
        scene.world((0.7, 0.84, 1.0), rng.uniform(0.3, 0.45), (0.38, 0.40, 0.30))
        out = ("foliage", "street", "wall"), (0.85, 0.92, 0.95), 0.35
    else:
        scene.area(at(0.25 * side, -1.6, 0.35), centre, 0.3, rng.uniform(34, 46))
        scene.world((1.0, 0.85, 0.7), rng.uniform(0.08, 0.2))
        out = ("night", "interior", "wall"), (0.6, 0.55, 0.5), 0.3
    return name, *out
