"""What in a crop is none of the generators' business: glasses, hats, hands, jewellery, whatever lies over a face.

No class of a parser names it all. But a latent of g_rendering can draw faces only, so where its picture is far from the
crop something else is seen. This is the test of Cao et al., "What Decreases Editing Capability? Domain-Specific Hybrid
Refinement for Improved GAN Inversion", WACV 2024, in its simplest form: the difference of colours after the latent was
found, and before any weight was tuned, averaged over superpixels, against what is usual in the middle
of this very crop, since some faces are drawn less well than others.
"""

import numpy as np

from alignment.oklab import srgb_to_oklab

SEEN_AT = 128  # pixels: larger crops are looked at reduced to this
ACROSS = 15  # superpixels along a side
CLOSENESS = 0.6  # of a superpixel's pixels in place, weighed against their colours in Oklab
SURE = 2.0, 2.8  # of the usual difference: below the first it is the face, above the second it is not
LEAST = 0.05  # Oklab: the usual difference is taken for at least this, so that a perfect inversion has no outliers
MIDDLE = np.s_[0.2:0.85, 0.25:0.75]  # rows and columns of the crop, in shares of its side: where the face lies
MARGIN = 2  # pixels of SEEN_AT by which what is foreign reaches over its outline


def foreign(crop, drawn):
    """Float32 [S, S], 1 where `crop` shows what `drawn`, g_rendering's picture of its latent, does not know, 0 where
    it is the face; both uint8 [S, S, 3]."""
    import cv2

    size = len(crop)
    side = min(size, SEEN_AT)
    small, drawn = (cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA) for pixels in (crop, drawn))
    difference = np.linalg.norm(srgb_to_oklab(small) - srgb_to_oklab(drawn), axis=2)  # [side, side]
    parts = superpixels(small)
    mean = np.bincount(parts.ravel(), difference.ravel()) / np.maximum(np.bincount(parts.ravel()), 1)
    rows, columns = (slice(int(part.start * side), int(part.stop * side)) for part in MIDDLE)
    usual = max(float(np.median(mean[parts[rows, columns]])), LEAST)
    low, high = SURE
    t = np.clip((mean / usual - low) / (high - low), 0, 1)
    found = (t * t * (3 - 2 * t))[parts].astype(np.float32)
    found = cv2.dilate(found, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * MARGIN + 1,) * 2))
    found = cv2.GaussianBlur(found, (0, 0), 0.7)
    return cv2.resize(found, (size, size), interpolation=cv2.INTER_LINEAR)


def superpixels(pixels):
    """Integer [S, S]: ACROSS x ACROSS patches of one colour (R. Achanta et al., "SLIC Superpixels", 2012), by k-means
    from a regular grid, which does not depend on chance."""
    import cv2

    size = len(pixels)
    place = np.arange(size, dtype=np.float32) / size
    features = np.dstack(
        [
            srgb_to_oklab(pixels) * np.float32([1, 2, 2]),  # the eye forgives a step of light more than one of colour
            np.broadcast_to(CLOSENESS * place[None, :], (size, size)),
            np.broadcast_to(CLOSENESS * place[:, None], (size, size)),
        ]
    ).astype(np.float32)
    across = min(ACROSS, size)
    cell = np.arange(size) * across // size
    start = (cell[:, None] * across + cell[None, :]).astype(np.int32).reshape(-1, 1)
    stop = (cv2.TERM_CRITERIA_MAX_ITER, 8, 0)
    _, labels, _ = cv2.kmeans(features.reshape(-1, 5), across**2, start, stop, 1, cv2.KMEANS_USE_INITIAL_LABELS)
    return labels.reshape(size, size)
