"""Colours of the pasted face that agree with the picture around it.

On a ring around the mask's border the same skin and hair are seen twice, in the portrait and in the picture. The linear
map that takes mean and covariance of the one to those of the other with the least change of colours (F. Pitie, A.
Kokaram, "The linear Monge-Kantorovitch linear colour mapping for example-based colour transfer", 2007), in Oklab, is
applied to the whole portrait: neck and face then agree, and shading and detail stay.
"""

import numpy as np

from metrics.oklab import oklab_to_srgb, srgb_to_oklab

RING = 0.05  # of the crop's side, to both sides of the border
FEWEST = 0.001  # of the crop's area: with a smaller ring the colours stay
CERTAIN = 0.01  # Oklab: spreads far below this are noise and are not stretched
LARGEST_GAIN = 1.5  # of any direction's spread, up or down


def harmonize(colours, picture, comparable, mask, side):
    """colours, picture: float32 [h, w, 3], sRGB 0 to 255, portrait and picture in the same place. comparable: bool
    [h, w], where both show the same. mask: bool [h, w], what is pasted. side: of the face crop in pixels.

    Returns the recoloured portrait, float32 [h, w, 3]; the one given when too little can be compared.
    """
    where = ring(mask, side) & comparable
    if where.sum() < max(FEWEST * side**2, 16):
        return colours
    lab = srgb_to_oklab(colours)
    ours, theirs = lab[where], srgb_to_oklab(picture[where])  # [n, 3]
    gain = transport(np.cov(ours.T), np.cov(theirs.T))
    return oklab_to_srgb((lab - ours.mean(axis=0)) @ gain.T.astype(np.float32) + theirs.mean(axis=0))


def ring(mask, side):
    """bool [h, w]: at most RING of the side from the mask's border."""
    import cv2

    inside = mask.astype(np.uint8)
    within, without = (cv2.distanceTransform(m, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for m in (inside, 1 - inside))
    return within + without <= RING * side


def transport(source, goal):
    """The symmetric matrix T [3, 3] with T source T = goal, for covariances [3, 3]: source^-1/2 (source^1/2 goal
    source^1/2)^1/2 source^-1/2, its gains limited."""
    noise = CERTAIN**2 * np.eye(3)
    source, goal = source + noise, goal + noise
    root = _power(source, 0.5)
    inverse = _power(source, -0.5)
    matrix = inverse @ _power(root @ goal @ root, 0.5) @ inverse
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * values.clip(1 / LARGEST_GAIN, LARGEST_GAIN)) @ vectors.T


def _power(matrix, exponent):
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * values.clip(1e-12) ** exponent) @ vectors.T
