"""From a picture to FFHQ-aligned face crops, and back into the picture.

    picture = read_picture("portrait.jpg")             # uint8 [H, W, 3], upright, plus notes
    for face in detect_faces(picture.pixels):          # largest first
        quad = ffhq_quad(face.landmarks)               # the square in picture pixels
        crop = crop_face(picture.pixels, quad, 1024)   # uint8 [1024, 1024, 3]
        ...                                            # change the crop
        result = paste_face(picture.pixels, crop, quad, mask)

Coordinates are (x, y) in picture pixels with the centre of the first pixel at (0, 0).
"""

from .arrays import as_picture
from .crop import crop_face, crop_face_quickly, ffhq_quad, quad_side
from .detect import AlignmentError, Face, detect_faces, detect_faces_turned
from .faces import Found, find_faces, read_landmarks
from .formats import PICTURE_SUFFIXES, PictureError, open_image
from .originals import Original, write_original
from .paste import paste_face, warp_to_picture
from .pictures import Picture, read_picture, write_png
from .pose import yaw
from .registration import Registration, register
from .samples import to_rgb8

__all__ = [
    "PICTURE_SUFFIXES",
    "AlignmentError",
    "Face",
    "Found",
    "Original",
    "Picture",
    "PictureError",
    "Registration",
    "as_picture",
    "crop_face",
    "crop_face_quickly",
    "detect_faces",
    "detect_faces_turned",
    "ffhq_quad",
    "find_faces",
    "open_image",
    "paste_face",
    "quad_side",
    "read_landmarks",
    "read_picture",
    "register",
    "to_rgb8",
    "warp_to_picture",
    "write_original",
    "write_png",
    "yaw",
]
