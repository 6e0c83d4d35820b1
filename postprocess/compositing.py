"""Eq. 5: put the realistic face back into the picture.

    out = m x' + (1 - m) x,   m = blur(erode(pasted face mask))

Erosion and blur are measured in shares of the face crop's side, so that a face of 200 pixels and one of 2000 get the
same seam.
"""

import numpy as np

from alignment import warp_to_picture

from .parsing import CLASSES

# The classes of the paper's mask: what belongs to the face, and the hair.
FACE_CLASSES = [
    "skin", "l_brow", "r_brow", "l_eye", "r_eye", "eye_g", "l_ear", "r_ear", "nose", "mouth", "u_lip", "l_lip", "hair",
]  # fmt: skip
EROSION = 0.015  # of the crop's side
BLUR = 0.012  # Gaussian sigma, of the crop's side
FADE = 0.16  # of the crop's side: hair and neck that the crop cuts off fade out toward its outline


def face_mask(labels):
    """Parsing labels, integer [..., H, W] -> bool of the same shape: the classes that are replaced."""
    wanted = np.zeros(len(CLASSES), dtype=bool)
    wanted[[CLASSES.index(name) for name in FACE_CLASSES]] = True
    return wanted[np.asarray(labels)]


def composite(picture, portrait, mask, quad):
    """Blend one processed crop into its picture.

    picture: uint8 [H, W, 3]. portrait: uint8 [S, S, 3], the realistic crop. mask: bool [S, S]. quad: [4, 2], where the
    crop was cut. Returns (result uint8 [H, W, 3], soft mask float32 [H, W]); pixels outside the quad's bounding box are
    those of `picture`.
    """
    stack = np.dstack([portrait, mask, fade(len(mask))]).astype(np.float32)  # [S, S, 5]
    patch, (top, bottom, left, right) = warp_to_picture(stack, quad, picture.shape[:2])
    side = float(np.linalg.norm(np.asarray(quad)[3] - np.asarray(quad)[0]))
    soft = soften(patch[..., 3], side) * patch[..., 4]  # [h, w]

    result = picture.copy()
    under = picture[top:bottom, left:right].astype(np.float32)
    blended = under + soft[..., None] * (patch[..., :3] - under)
    result[top:bottom, left:right] = np.clip(np.rint(blended), 0, 255).astype(np.uint8)
    whole = np.zeros(picture.shape[:2], np.float32)
    whole[top:bottom, left:right] = soft
    return result, whole


def soften(mask, side):
    """Erode and blur a pasted mask, float [h, w] in [0, 1]. side: the crop's side in picture pixels.

    Outside the patch counts as not face, so that the result fades to 0 before the patch ends.
    """
    import cv2

    erosion, sigma = max(EROSION * side, 1.0), max(BLUR * side, 0.5)
    pad = int(np.ceil(erosion + 3 * sigma)) + 1
    mask = np.pad((mask > 0.5).astype(np.uint8), pad)
    distance = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)  # to the nearest pixel outside
    eroded = (distance > erosion + 1.5 * sigma).astype(np.float32)
    soft = cv2.GaussianBlur(eroded, (0, 0), sigma)
    return soft[pad:-pad, pad:-pad]


def fade(size):
    """Float32 [size, size]: 0 on the crop's outline, 1 from FADE of its side inwards, smooth in between.

    Without it, hair that reaches beyond the crop would end in a straight line where portrait and picture differ.
    """
    position = (np.arange(size, dtype=np.float32) + 0.5) / size
    t = np.clip(np.minimum(position, 1 - position) / FADE, 0, 1)
    line = t * t * (3 - 2 * t)
    return line[:, None] * line[None, :]
