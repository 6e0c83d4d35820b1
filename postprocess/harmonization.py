"""Colours of the pasted face that agree with the picture around it.

On a ring around the mask's border the same skin, and the same hair, are seen twice: in the portrait and in the picture.
For each of the two, the linear map that takes mean and covariance of the one to those of the other with the least
change of colours (F. Pitie, A. Kokaram, "The linear Monge-Kantorovitch linear colour mapping for example-based colour
transfer", 2007), in Oklab, is applied to the whole portrait: neck and face then agree, and shading and detail stay.
Pixels that differ unlike the rest, a shadow or a strand of hair that only one of the two shows, have no say.
"""

import numpy as np

from alignment.oklab import oklab_to_srgb, srgb_to_oklab

RING = 0.05  # of the crop's side, to both sides of the border
FEWEST = 0.001  # of the crop's area: with a smaller ring the colours stay
TRIMMED = 0.5  # of the pixels, those whose difference is farthest from the median difference
CERTAIN = 0.02  # Oklab: spreads far below this are noise and are not stretched
LARGEST_SHIFT = 0.15  # Oklab: a larger difference is no cast but another thing, taken for skin (0.09 at most was seen)
LARGEST_GAIN = 1.2  # of any direction's spread, up or down
CHANGE = 0.02  # of the crop's side: Gaussian sigma of the change from skin's colours to those of hair


def harmonize(colours, picture, skin, hair, hairy, mask, side):
    """Recolour a portrait, float32 [h, w, 3], sRGB 0 to 255, to agree with `picture`, the same in the same place.

    skin, hair: bool [h, w], where both show skin, or hair. hairy: bool [h, w], where the portrait shows hair. mask:
    bool [h, w], what is pasted. side: of the face crop in pixels. Returns float32 [h, w, 3]; where too little skin (or
    hair) can be compared, or the two are too unlike to be the same thing, its colours stay.
    """
    import cv2

    lab, goal, near = srgb_to_oklab(colours), srgb_to_oklab(picture), ring(mask, side)
    of_skin = recolour(lab, goal, near & skin, side)
    of_hair = recolour(lab, goal, near & hair, side)
    share = cv2.GaussianBlur(hairy.astype(np.float32), (0, 0), max(CHANGE * side, 0.5))[..., None]  # [h, w, 1]
    return oklab_to_srgb(of_skin + share * (of_hair - of_skin))


def recolour(lab, goal, where, side):
    """lab [h, w, 3] under the map that is measured against goal [h, w, 3] on the pixels of `where`, bool [h, w]."""
    if where.sum() < max(FEWEST * side**2, 16):
        return lab
    ours, theirs = lab[where], goal[where]  # [n, 3]
    differences = theirs - ours
    unlike = np.linalg.norm(differences - np.median(differences, axis=0), axis=1)
    kept = unlike <= np.quantile(unlike, 1 - TRIMMED)
    ours, theirs = ours[kept], theirs[kept]
    if np.linalg.norm(theirs.mean(axis=0) - ours.mean(axis=0)) > LARGEST_SHIFT:
        return lab
    gain = transport(np.cov(ours.T), np.cov(theirs.T)).astype(np.float32)
    return (lab - ours.mean(axis=0)) @ gain.T + theirs.mean(axis=0)


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
