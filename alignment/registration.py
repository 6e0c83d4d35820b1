"""Let the features of a processed crop fall on those of the crop it came from, to a fraction of a pixel.

Both crops are given to the landmark predictor in the same way, so that its habits cancel; a small affine map is fitted
to the differences of the 51 inner landmarks (brows, eyes, nose, mouth). The predictor is less certain than a good
generator is exact, so the map is drawn towards a pure shift and taken only when it moves the face by a few pixels at
most and the edges of the two faces agree better with it than without.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from .crop import check_quad
from .detect import face_landmarks

INNER = slice(17, 68)  # without the 17 points of the jaw, the least certain ones
FACE_BOX = (0.21, 0.31, 0.79, 0.89)  # left, top, right, bottom: dlib's box in an FFHQ crop, in shares of its side
SEEN_AT = 512  # pixels: the size both crops are looked at, so that landmarks on whole pixels are fine enough
LONGEST_MOVE = 0.025  # of the crop's side: 3 pixels of 128, 13 of 512
REACH = 0.12  # of the crop's side: landmarks this wide apart weigh as much as the wish to only shift
EDGE_BLUR = 0.016  # of the crop's side: Gaussian sigma under which edges are compared


@dataclass(frozen=True)
class Registration:
    """quad: float64 [4, 2] where the processed crop belongs. move: the longest way of a landmark under the map that was
    found, in shares of the crop's side. refused: why the crop stays where it is all the same, in words, or None."""

    quad: np.ndarray
    move: float
    refused: str | None = None

    @property
    def moved(self):
        return self.move > 0 and self.refused is None


def register(portrait, crop, quad):
    """Where `portrait` has to be pasted for its features to fall on those of `crop`.

    portrait, crop: uint8 [S, S, 3] of one size. quad: [4, 2], where `crop` was cut. Returns a `Registration`, its quad
    the given one when the map is refused. Raises AlignmentError when the landmark model is not installed.
    """
    quad = check_quad(quad)
    ours, theirs = (_seen(pixels) for pixels in (portrait, crop))
    box = np.array(FACE_BOX) * SEEN_AT
    start, goal = ((face_landmarks(pixels, box)[INNER] + 0.5) / SEEN_AT for pixels in (ours, theirs))  # [51, 2]
    linear, shift = small_affine(start, goal)
    move = float(np.linalg.norm(start @ linear.T + shift - start, axis=1).max())
    if move > LONGEST_MOVE:
        return Registration(quad, move, f"it would move the face by {100 * move:.1f} % of the crop")
    if edge_agreement(ours, theirs, goal, linear, shift) <= edge_agreement(ours, theirs, goal, np.eye(2), np.zeros(2)):
        return Registration(quad, move, "the edges of the face would agree less")
    corners = np.array([[0, 0], [0, 1], [1, 1], [1, 0]]) @ linear.T + shift  # [4, 2] in shares of the crop
    return Registration(quad[0] + corners @ np.stack([quad[3] - quad[0], quad[1] - quad[0]]), move)


def small_affine(start, goal):
    """The affine map (linear [2, 2], shift [2]) that takes points `start` [N, 2] to `goal` by least squares, its linear
    part drawn towards the identity as if N points at a distance of REACH stood still (ridge regression)."""
    centre = start.mean(axis=0)
    spread, differences = start - centre, goal - start
    prior = len(start) * REACH**2 * np.eye(2)
    slope = np.linalg.solve(spread.T @ spread + prior, spread.T @ (differences - differences.mean(axis=0)))  # [2, 2]
    linear = np.eye(2) + slope.T
    return linear, differences.mean(axis=0) + centre - linear @ centre


def edge_agreement(portrait, crop, landmarks, linear, shift):
    """Correlation, at most 1, of the edge strengths of two faces around the landmarks [N, 2], the first one moved."""
    import cv2

    size = len(crop)
    half = np.full(2, 0.5)  # landmarks count from the crop's edge, OpenCV from the first pixel's centre
    matrix = np.column_stack([linear, size * shift + (linear - np.eye(2)) @ half])
    moved = cv2.warpAffine(portrait, matrix, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    low, high = landmarks.min(axis=0) - 0.04, landmarks.max(axis=0) + 0.04
    (left, top), (right, bottom) = (np.clip(np.rint(size * edge).astype(int), 0, size) for edge in (low, high))
    a, b = (_edges(pixels, EDGE_BLUR * size)[top:bottom, left:right].ravel() for pixels in (moved, crop))
    return float(np.corrcoef(a, b)[0, 1])


def _edges(pixels, sigma):
    """Length of the brightness gradient, float32 [H, W]."""
    import cv2

    grey = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), sigma)
    return np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))


def _seen(pixels):
    return np.asarray(Image.fromarray(pixels).resize((SEEN_AT, SEEN_AT), Image.Resampling.BICUBIC))
