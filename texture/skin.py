"""Which pixels of a picture show bare skin, so that hair, eyes, cloth and backdrop stay off the texture."""

import numpy as np

SKIN = ["skin", "l_brow", "r_brow", "l_ear", "r_ear", "nose", "u_lip", "l_lip", "neck"]
MARGIN = 0.006  # of the face crop's side: mixed pixels along the outlines are left out


def skin_mask(picture, parser):
    """bool [H, W] of a picture, uint8 [H, W, 3], by a parser of postprocess/parsing.py, around its largest face.

    Outside the face's crop nothing counts as skin. Raises alignment.AlignmentError when the picture holds no face.
    """
    import cv2
    import torch

    from alignment import AlignmentError, crop_face, detect_faces, ffhq_quad, warp_to_picture
    from postprocess.parsing import CLASSES, parse

    faces = detect_faces(picture)
    if not faces:
        raise AlignmentError("no face found; use a picture with a frontal face of at least 40 pixels, or give --mask")
    quad = ffhq_quad(faces[0].landmarks)
    size = 512
    crop = torch.from_numpy(np.array(crop_face(picture, quad, size))).permute(2, 0, 1)[None].float() / 127.5 - 1
    labels = parse(parser, crop.to(next(parser.parameters()).device))[0].cpu().numpy()  # [512, 512]
    skin = np.isin(labels, [CLASSES.index(name) for name in SKIN])
    patch, (top, bottom, left, right) = warp_to_picture(
        skin[..., None].astype(np.float32), quad, picture.shape[:2]
    )  # [h, w, 1]
    mask = np.zeros(picture.shape[:2], np.uint8)
    mask[top:bottom, left:right] = patch[..., 0] > 0.5
    radius = max(round(MARGIN * float(np.linalg.norm(quad[3] - quad[0]))), 1)
    return cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)) > 0
