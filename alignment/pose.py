"""How a face is turned, from its landmarks."""

import math

import numpy as np

NOSE = 0.83  # how far the nose tip stands out, in half distances of the outer eye corners; fitted on known yaws
EYE_CORNERS, NOSE_TIP = (36, 45), 30  # among the 68 landmarks


def yaw(landmarks):
    """How far a face is turned to the side, in degrees; positive: towards the picture's left.

    landmarks: [68, 2]. The nose tip stands out in front of the line between the eyes by NOSE of half that line, so
    turning by a moves it sideways by NOSE * tan(a) of the half line as it is seen. Rolled faces are measured along
    their own eye line; looking up or down does not matter.
    """
    points = np.asarray(landmarks, np.float64)
    left, right = points[list(EYE_CORNERS)]
    half = (right - left) / 2
    # Across the nose bridge: a line through the middle of the eyes, at right angles to the eye line.
    aside = (points[NOSE_TIP] - (left + right) / 2) @ half / max(half @ half, 1e-9)
    return math.degrees(math.atan(-aside / NOSE))
