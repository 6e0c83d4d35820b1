"""Which pixels of a parsed face are replaced, which stay in front, and where two parsed faces can be compared.

Labels are integer arrays [..., H, W], numbered as in parsing.CLASSES.
"""

import numpy as np

from .parsing import CLASSES

# The classes of the paper's mask: what belongs to the face, and the hair.
FACE_CLASSES = [
    "skin", "l_brow", "r_brow", "l_eye", "r_eye", "eye_g", "l_ear", "r_ear", "nose", "mouth", "u_lip", "l_lip", "hair",
]  # fmt: skip
INNER_CLASSES = ["skin", "l_brow", "r_brow", "l_eye", "r_eye", "nose", "mouth", "u_lip", "l_lip"]
EYES_AND_BROWS = ["l_brow", "r_brow", "l_eye", "r_eye"]
LIDS = 0.024  # of the crop's side: so far around eyes and brows their lids reach
COVERS_ALL = ["hat", "cloth"]  # lies in front of face and hair
COVERS_FACE = ["hair", "background", "ear_r", "neck", "neck_l"]  # a hand is no class of its own
WORN = ["eye_g", "ear_r", "neck_l", "cloth", "hat"]  # drawn by no generator as this person wears it
SKIN_TONES = ["skin", "nose", "l_ear", "r_ear", "neck"]
REACH = 0.012  # of the crop's side: by so much what is foreign reaches over its outline
THINNEST = 0.04  # of the crop's side: what is narrower is the difference of two outlines, not a thing in front


def face_mask(labels):
    """bool of the same shape: the classes that are replaced."""
    return _among(labels, FACE_CLASSES)


def inner_face(labels):
    """bool of the same shape: skin, brows, eyes, nose and lips, where no backdrop shows through."""
    return _among(labels, INNER_CLASSES)


def in_front(labels, under):
    """bool [S, S]: where the picture shows something in front of the face that the portrait does not show.

    labels: [S, S] of the portrait. under: [S, S] of the picture's crop in the same place.
    """
    import cv2

    covered = _among(labels, FACE_CLASSES) & _among(under, COVERS_ALL)
    covered |= _among(labels, INNER_CLASSES) & _among(under, COVERS_FACE)
    width = max(round(THINNEST * len(covered)), 3)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    return cv2.morphologyEx(covered.astype(np.uint8), cv2.MORPH_OPEN, disc).astype(bool)


def foreign(labels, under):
    """float32 [S, S], 1 where the picture shows what is none of the generators' business, 0 where it is the face:
    things that are worn, and whatever else breaks the face. Labels as of `in_front`."""
    import cv2

    inside = np.zeros(labels.shape, np.uint8)
    points = np.argwhere(_among(labels, INNER_CLASSES) | _among(under, INNER_CLASSES))[:, ::-1]
    if len(points):
        cv2.fillConvexPoly(inside, cv2.convexHull(points.astype(np.int32)), 1)
    found = _among(under, WORN) | (inside.astype(bool) & _among(under, ["background"]))
    reach = 2 * max(round(REACH * len(found)), 1) + 1
    found = cv2.dilate(found.astype(np.float32), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    return cv2.GaussianBlur(found, (0, 0), REACH * len(found) / 2)


def of_own_hue(labels):
    """bool of the same shape: hair, eyes and brows, whose hue is the person's and no matter of style."""
    return _among(labels, EYES_AND_BROWS) | shows_hair(labels)


def lids(labels):
    """bool [S, S]: eyes and brows with the skin around them. labels: [S, S]."""
    import cv2

    width = 2 * max(round(LIDS * len(labels)), 1) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    return cv2.dilate(_among(labels, EYES_AND_BROWS).astype(np.uint8), disc).astype(bool)


def shows_skin(labels):
    """bool of the same shape: skin of the face, ears or neck."""
    return _among(labels, SKIN_TONES)


def shows_hair(labels):
    """bool of the same shape."""
    return _among(labels, ["hair"])


def _among(labels, names):
    wanted = np.zeros(len(CLASSES), dtype=bool)
    wanted[[CLASSES.index(name) for name in names]] = True
    return wanted[np.asarray(labels)]
