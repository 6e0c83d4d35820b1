"""Smooth the squares of one face over the frames of a sequence, without lag, and fill the frames that lack one.

Landmarks tremble by a pixel or so from frame to frame, and a crop that trembles makes a result that flickers. The
square is described by its centre, the logarithm of its side and its angle; at every frame a parabola is fitted to each
of these over time by least squares, frames weighted by a Gaussian of their distance in time, and read there. Between
evenly spaced frames that is the filter of A. Savitzky, M. J. E. Golay, "Smoothing and Differentiation of Data by
Simplified Least Squares Procedures", 1964, with soft ends (W. S. Cleveland's local regression, 1979): symmetric in
time, so it does not lag, and it leaves steady motion and acceleration as they are. Missing frames have no weight.
"""

import numpy as np

SIGMA = 2.0  # frames; of 1.5 to 5 the nearest to the true squares of a moving portrait whose motion was known


def smooth_quads(quads, sigma=SIGMA, loop=False):
    """Squares of one face over T frames, without the trembling.

    quads: float [T, 4, 2] as from `crop.ffhq_quad`, NaN where the face was not found. sigma: of the weights, in frames.
    loop: the first frame follows the last. Returns float64 [T, 4, 2]. Missing frames are filled from those around them.
    Raises ValueError when all are missing.
    """
    quads = np.asarray(quads, np.float64)
    known = np.isfinite(quads).all(axis=(1, 2))  # [T]
    if not known.any():
        raise ValueError("the face was found in no frame")
    times = np.arange(len(quads), dtype=np.float64)
    values = describe(quads[known])  # [K, 4]
    after = times[known] - times[:, None]  # [T, K]
    if loop:
        after = (after + len(quads) / 2) % len(quads) - len(quads) / 2
    return np.stack([compose(_fitted(row, values, sigma)) for row in after])


def describe(quads):
    """Squares [K, 4, 2] -> [K, 4]: centre x and y, logarithm of the side, angle in radians without jumps over time."""
    right = quads[:, 3] - quads[:, 0]
    angle = np.unwrap(np.arctan2(right[:, 1], right[:, 0]))
    return np.column_stack([quads.mean(axis=1), np.log(np.hypot(*right.T)), angle])


def compose(value):
    """The way back for one square, [4] -> float64 [4, 2]."""
    x, y, log_side, angle = value
    right = np.exp(log_side) / 2 * np.array([np.cos(angle), np.sin(angle)])
    down = np.array([-right[1], right[0]])
    return np.array([x, y]) + np.stack([-right - down, -right + down, right + down, right - down])


def _fitted(after, values, sigma):
    """The value at time 0 of parabolas through values [K, C] at times `after` [K], weighted by a Gaussian; [C].

    Fewer than five frames nearby bear no parabola, fewer than three no line: then what they bear.
    """
    near = np.abs(after) <= 3 * sigma
    if not near.any():  # the middle of a long gap
        near = np.abs(after) <= np.abs(after).min() + 3 * sigma
    after, values = after[near], values[near]
    degree = 2 if len(after) >= 5 else 1 if len(after) >= 3 else 0
    weights = np.exp(-0.25 * (after / max(sigma, np.abs(after).min())) ** 2)  # roots of the Gaussian's
    powers = np.vander(after, degree + 1, increasing=True)  # [K, degree + 1]
    return np.linalg.lstsq(weights[:, None] * powers, weights[:, None] * values, rcond=None)[0][0]
