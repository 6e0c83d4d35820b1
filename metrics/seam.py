"""How visible is the border of a pasted face?

Both measures look along the line where the soft mask crosses one half. A silhouette against a backdrop is an edge
without any compositing, so the picture before is measured beside the result. Lengths are shares of the crop's side.
"""

from dataclasses import dataclass

import numpy as np

from alignment.oklab import srgb_to_oklab

LINE = 0.006  # half the width of the line itself
BESIDE = 0.04  # surroundings: from the line to here, on both sides
GAP, FAR = 0.03, 0.08  # colours are compared between these distances, beyond the feathering


@dataclass(frozen=True)
class Seam:
    """gradient: colour gradient on the line over that of its surroundings; gradient_before: the same, in the picture
    before. step: by how much the colour difference across the line has changed, mean along the line, in hundredths of
    Oklab's unit (one or two are just visible side by side)."""

    gradient: float
    gradient_before: float
    step: float


def measure_seam(result, before, soft, side):
    """result, before: uint8 [H, W, 3]. soft: float [H, W], the mask the face was pasted with. side: of the face crop in
    pixels. Returns a `Seam`. Raises ValueError when the mask has no border."""
    import cv2

    inside = soft > 0.5
    if inside.all() or not inside.any():
        raise ValueError("the mask has no border")
    top, bottom, left, right = _around(inside, int(2 * FAR * side) + 1)
    result, before, inside = (a[top:bottom, left:right] for a in (result, before, inside))
    within = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)  # [h, w] 0 outside
    without = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    distance = within + without  # [h, w] pixels to the line, on either side
    line = distance <= max(LINE * side, 1)
    beside = ~line & (distance <= max(BESIDE * side, 3))
    bands = [(d > GAP * side) & (d <= FAR * side) for d in (within, without)]

    ratios, steps = [], []
    for picture in (result, before):
        lab = srgb_to_oklab(picture)  # [h, w, 3]
        gradient = np.sqrt(sum(g**2 for axis in (0, 1) for g in np.moveaxis(np.gradient(lab, axis=axis), 2, 0)))
        ratios.append(float(gradient[line].mean() / max(gradient[beside].mean(), 1e-6)))
        steps.append(_local_mean(lab, bands[0], FAR * side) - _local_mean(lab, bands[1], FAR * side))
    step = np.linalg.norm(steps[0] - steps[1], axis=2)[line]
    return Seam(*ratios, 100 * float(np.nanmean(step)))


def _local_mean(lab, where, sigma):
    """Mean of lab [h, w, 3] over the pixels of `where` near by; NaN where there are none."""
    import cv2

    weight = where.astype(np.float32)[..., None]  # [h, w, 1]
    sums = cv2.GaussianBlur(np.dstack([lab * weight, weight]), (0, 0), sigma)  # [h, w, 4]
    return np.where(sums[..., 3:] > 1e-4, sums[..., :3] / np.maximum(sums[..., 3:], 1e-4), np.nan)


def _around(inside, margin):
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    height, width = inside.shape
    return (max(rows[0] - margin, 0), min(rows[-1] + margin + 1, height),
            max(columns[0] - margin, 0), min(columns[-1] + margin + 1, width))  # fmt: skip
