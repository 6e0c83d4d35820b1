"""Several pictures of one head as one: what each shows, in the light of the first, the better seen the more.

Where two pictures show the same texels their colours differ by their light (and exposure) alone, whatever the skin's
own colour is: the ratio of the lights is fitted there to the mesh's normals (spherical harmonics up to order 2, of its
logarithm, drawn towards one exposure for all) and holds for the rest of that picture. Fitting each picture's light by
itself, taking it off and putting the first one's on is far worse (docs/benchmarks/texture-validation.md): it is done
where a picture shares no texels with those before it.

What is left of disagreement (a hand, a highlight, a wrong camera) is weighed down: the mean of the pictures, by how
frontal and how far from outlines each shows a texel, is taken anew with weights that fall with the distance to it.
"""

from dataclasses import dataclass

import numpy as np

from .guess import soft_inside
from .light import harmonics, linear, relit, shading, vertex_normals

OUTLINE = 0.02  # of the texture's longer side: this far inside what a picture shows it has its full weight
POWER = 2  # of the weights: the better seen picture has the say
DISAGREEMENT = 15.0  # levels, standard deviation
ROUNDS = 3  # of weighing anew
SHARED = 100  # texels that two pictures must share for the ratio of their lights
DRAWN = np.array([0, 0.005, 0.005, 0.005, 0.01, 0.01, 0.01, 0.01, 0.01])  # towards one exposure, of a texel's own pull
CLOSE = 0.05  # of the logarithm: smaller errors weigh alike
MOST = 10.0  # times darker or brighter


@dataclass(frozen=True)
class Combined:
    sampled: np.ndarray  # float32 [H, W, 3], 0 to 255, in the first picture's light
    visible: np.ndarray  # bool [H, W], seen in any picture
    factors: list  # float32 [H, W, 3] of each picture: the first one's light over its own; None of the first


def combine(mesh, texels, cameras, parts):
    """The Combined of the Unwrapped `parts`, seen by the `cameras`; a single one comes out as it is.

    texels: Fragments of `draw_texels`.
    """
    first = parts[0]
    if len(parts) == 1:
        return Combined(first.sampled, first.visible, [None])
    normal = directions(texels.interpolate(mesh, vertex_normals(mesh)))  # [H, W, 3]
    place = texels.interpolate(mesh, mesh.vertices)
    sampled, visible, factors = first.sampled, first.visible, [None]
    colours, weights = [first.sampled], [weight_of(first, cameras[0], place, normal)]
    for camera, part in zip(cameras[1:], parts[1:], strict=True):
        shared = visible & part.visible
        if shared.sum() >= SHARED:
            factor = ratio_of_lights(sampled, part.sampled, normal, shared, texels.covered)
        else:
            factor = shading(mesh, texels, sampled, visible) / shading(mesh, texels, part.sampled, part.visible)
        factors.append(factor)
        colours.append(relit(part.sampled, factor))
        weights.append(weight_of(part, camera, place, normal))
        sampled, visible = robust_mean(colours, weights), visible | part.visible
    return Combined(sampled, visible, factors)


def ratio_of_lights(wanted, present, normal, shared, covered):
    """float32 [H, W, 3]: what light must be put on the colours `present` to be as the colours `wanted` [H, W, 3] where
    both are known (`shared`, bool [H, W]); a smooth function of the normal [H, W, 3]; 1 beside `covered`."""
    basis = harmonics(normal[shared])  # [N, 9]
    gaps = np.log(linear(wanted[shared]) / linear(present[shared])).astype(np.float64)  # [N, 3]
    weight = np.ones(len(gaps))
    for _ in range(ROUNDS * 2):
        pull = np.diag(DRAWN * len(gaps) + 1e-9)
        fitted = np.linalg.solve((basis.T * weight) @ basis + pull, (basis.T * weight) @ gaps)  # [9, 3]
        weight = 1 / np.maximum(np.abs(basis @ fitted - gaps).mean(1), CLOSE)
        weight /= weight.mean()
    factor = np.ones(normal.shape, np.float32)
    factor[covered] = np.exp(harmonics(normal[covered]) @ fitted).clip(1 / MOST, MOST)
    return factor


def weight_of(part, camera, place, normal):
    """float32 [H, W], 0 to 1: how well a picture shows each texel, by angle and distance from outlines; above 0 where
    it shows it at all. place, normal: [H, W, 3] of the texels in the world."""
    cosine = (directions(camera.centre - place) * normal).sum(2).clip(0, 1)
    return np.where(part.visible, soft_inside(part.visible, OUTLINE) * cosine + 1e-3, 0).astype(np.float32)


def robust_mean(colours, weights):
    """float32 [H, W, 3], 0 to 255, of lists of [H, W, 3] and [H, W]; 0 where no weight is."""
    colours, weights = np.stack(colours), np.stack(weights)[..., None] ** POWER  # [K, H, W, 3], [K, H, W, 1]
    agreed = weights
    for _ in range(ROUNDS):
        mean = (agreed * colours).sum(0) / np.maximum(agreed.sum(0), 1e-30)
        away = ((colours - mean) ** 2).mean(3, keepdims=True)
        agreed = weights * np.maximum(np.exp(-away / (2 * DISAGREEMENT**2)), 1e-9)
    return mean.clip(0, 255).astype(np.float32)


def directions(vectors):
    """Vectors [..., 3] of length 1; 0 stays."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
