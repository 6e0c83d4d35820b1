"""How far the features of a face lie from where they should: dlib's 68 landmarks (alignment/detect.py)."""

import numpy as np
from PIL import Image

from alignment import detect_faces

SEEN_AT = 512  # pixels: every picture is looked at in this size, so that landmarks on whole pixels are fine enough
NARROWEST = 0.3  # of the picture's side: the narrowest face box of an aligned portrait
EYE_CORNERS = (36, 45)  # the outer ones


def portrait_landmarks(pixels):
    """float64 [68, 2] (x, y) in shares of the side of an aligned portrait, uint8 [S, S, 3]; None where dlib's detector
    sees no face. Raises AlignmentError when the landmark model is not installed."""
    image = np.asarray(Image.fromarray(pixels).resize((SEEN_AT, SEEN_AT), Image.Resampling.BICUBIC))
    faces = detect_faces(image, narrowest=NARROWEST * SEEN_AT)
    return (faces[0].landmarks + 0.5) / SEEN_AT if faces else None


def landmark_distance(found, true):
    """Mean distance of corresponding landmarks, [68, 2] each, over the distance of the outer eye corners of `true`; NaN
    when either is None."""
    if found is None or true is None:
        return float("nan")
    left, right = (true[i] for i in EYE_CORNERS)
    return float(np.linalg.norm(found - true, axis=1).mean() / np.linalg.norm(right - left))
