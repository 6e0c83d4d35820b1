"""One picture -> its faces: how large, how far turned, how sharp, and the crops of those that may stay.

A face's record is {"id", "side", "yaw", "sharpness", "hash"}; sharpness and hash are None when size or pose alone
decide that it goes. What the numbers mean is said at the functions that make them.
"""

import hashlib

import numpy as np
from PIL import Image

from alignment import PictureError, crop_face_quickly, detect_faces_turned, ffhq_quad, quad_side, read_picture, yaw
from alignment.text import shown
from weights.files import written_atomically

from . import PreparationError
from .filters import refusal
from .sources import read_bytes

SIDE_OF_BOX = 2.2  # an FFHQ square is 1.3 to 2.15 times as wide as dlib's box: what is narrower is surely too small
THUMBNAIL = 160  # pixels


def prepare(item, size, limits, folder):
    """Find, measure and cut the faces of one item; what stays lies in `folder` afterwards (`crop_path`).

    size: side of the crops. limits: filters.Limits. Returns the record {"name", "stamp", "searched", "error", "faces"}.
    A picture that cannot be read is a record with an error; PreparationError means that the disk refuses.
    """
    narrowest = narrowest_box(limits)
    record = {"name": item.name, "stamp": item.stamp, "searched": narrowest, "error": None, "faces": []}
    try:
        pixels = read_picture(item.name, read_bytes(item)).pixels
        found, _ = detect_faces_turned(pixels, narrowest)
        quads = [ffhq_quad(face.landmarks) for face in found]
    except PictureError as error:
        return record | {"error": str(error).removeprefix(f"{shown(item.name, 2000)}: ")}
    except (ValueError, OSError, MemoryError) as error:
        return record | {"error": f"cannot be used ({error or 'out of memory'}); reduce or remove it"}

    for number, (face, quad) in enumerate(zip(found, quads, strict=True)):
        entry = {
            "id": face_id(item.name, number),
            "side": round(quad_side(quad), 1),
            "yaw": round(yaw(face.landmarks), 1),
            "sharpness": None,
            "hash": None,
        }
        if refusal(entry, len(found), limits) is None:
            crop = crop_face_quickly(pixels, quad, size)
            entry |= {"sharpness": round(sharpness(crop), 2), "hash": difference_hash(crop)}
            keep = refusal(entry, len(found), limits) is None
            try:
                write_crop(folder, entry["id"], crop, whole=keep)
            except OSError as error:
                raise PreparationError(f"{folder}: {error.strerror or error}; make room and run it again") from error
        record["faces"].append(entry)
    return record


def crashed(item, searched):
    """The record of an item whose process died over it."""
    error = "crashed the process that read it; save it again as PNG or JPEG"
    return {"name": item.name, "stamp": item.stamp, "searched": searched, "error": error, "faces": []}


def narrowest_box(limits):
    """Pixels of the narrowest detector box worth finding: smaller faces are neither used nor counted as company."""
    return max(limits.min_side / SIDE_OF_BOX, 20.0)


def face_id(name, number):
    """Names one face of one item in file names and reviews; the same in every run."""
    return f"{hashlib.sha256(name.encode(errors='surrogateescape')).hexdigest()[:20]}-{number}"


def crop_path(folder, identity):
    return folder / identity[:2] / f"{identity}.png"


def thumbnail_path(folder, identity):
    return folder / identity[:2] / f"{identity}.thumb.jpg"


def write_crop(folder, identity, crop, whole):
    """The thumbnail for the review and, where the face stays (whole), the crop itself."""
    path = thumbnail_path(folder, identity)
    with written_atomically(path) as unfinished:
        Image.fromarray(crop).resize((THUMBNAIL, THUMBNAIL), reducing_gap=2).save(unfinished, quality=80)
    if whole:
        # Level 1: a quarter of the default's time for files a sixth larger.
        with written_atomically(crop_path(folder, identity)) as unfinished:
            Image.fromarray(crop).save(unfinished, compress_level=1)


def sharpness(crop):
    """How much fine detail the face shows: the variance of the Laplacian of its grey levels over their variance, in %.

    crop: uint8 [S, S, 3]. Only the middle half is looked at, where the features are, reduced to at most 256 pixels, so
    that backdrops out of focus do not count. Dividing by the variance takes contrast and exposure out (after
    J. L. Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", 2000).
    """
    import cv2

    edge = crop.shape[0] // 4
    grey = cv2.cvtColor(np.ascontiguousarray(crop[edge:-edge, edge:-edge]), cv2.COLOR_RGB2GRAY)  # [S / 2, S / 2]
    if len(grey) > 256:
        grey = cv2.resize(grey, (256, 256), interpolation=cv2.INTER_AREA)
    grey = grey.astype(np.float32)
    detail = cv2.Laplacian(grey, cv2.CV_32F, borderType=cv2.BORDER_REFLECT_101)
    return float(100 * detail.var() / max(grey.var(), 1.0))


def usual_limit(size):
    """The sharpness below which a face in a crop of this side looks blurred: one out of focus by 1.5 of its pixels.

    Fitted on avatars blurred on purpose, at 64 to 512 pixels; the smaller the crop, the more detail a pixel holds.
    """
    return round(1.5 * (256 / min(size, 512)) ** 1.4, 1)


def difference_hash(crop):
    """256-bit difference hash, hexadecimal: is a pixel of the 17 x 16 reduction brighter than its left neighbour?

    crop: uint8 [S, S, 3] -> 64 characters. Brighter by less than a twelfth of the standard deviation is not brighter,
    or every even backdrop would be a matter of noise.
    """
    small = Image.fromarray(crop).convert("L").resize((17, 16), Image.Resampling.BOX)
    small = np.asarray(small, np.float32)  # [16, 17]
    return np.packbits(small[:, 1:] - small[:, :-1] > small.std() / 12).tobytes().hex()
