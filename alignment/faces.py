"""Which faces of a picture are wanted: found by the detector, or pointed out by the user where it sees none.

A file of landmarks is JSON, (x, y) in pixels of the upright picture, 68 points in dlib's order: the points of one face,
a list of faces, or {"file name of the picture": one of these}.
"""

from dataclasses import dataclass

import numpy as np

from weights.files import read_json

from .crop import check_quad, ffhq_quad, quad_side
from .detect import AlignmentError, detect_faces_turned
from .text import one_line, shown


@dataclass(frozen=True)
class Found:
    """One face to be replaced. index: 0 is the largest of the picture. box: (left, top, right, bottom) by the detector,
    or None. quad: float64 [4, 2], its FFHQ square in picture pixels, its first corner at the face's own top left.
    landmarks: [68, 2] there, or None. turned: degrees, a multiple of 90, by which the face had to be turned for the
    detector to see it, clockwise."""

    index: int
    box: tuple | None
    quad: np.ndarray
    landmarks: np.ndarray | None = None
    turned: int = 0

    @property
    def notes(self):
        return (f"the face lies turned by {self.turned} degrees; the result lies as it does",) if self.turned else ()


def find_faces(pixels, which="all", landmarks=None, quad=None):
    """The faces of a picture, uint8 [H, W, 3], that are wanted, as `Found`, the largest first.

    which: "all", "largest", an index or a tuple of them. landmarks: [float64 [68, 2], ...] or quad: [4, 2] take the
    detector's place.
    Raises AlignmentError when there is no such face, or no memory to look for it.
    """
    turned = 0
    if quad is not None:
        faces = [(None, check_quad(quad), None)]
    elif landmarks is not None:
        faces = sorted(
            ((None, ffhq_quad(points), points) for points in landmarks), key=lambda face: -quad_side(face[1])
        )
    else:
        try:
            detected, turned = detect_faces_turned(pixels)
        except MemoryError as error:
            raise AlignmentError("too large for the memory there is; reduce the picture first") from error
        faces = [(face.box, ffhq_quad(face.landmarks), face.landmarks) for face in detected]
    if not faces:
        remedy = "use a picture with a frontal face of at least 40 pixels, or say where it is (--landmarks, --quad)"
        raise AlignmentError(f"no face found, also with the picture turned; {remedy}")
    found = [Found(index, *face, turned) for index, face in enumerate(faces)]
    if which == "all":
        return found
    wanted = (0,) if which == "largest" else which if isinstance(which, tuple) else (which,)
    last = max(wanted)
    if last >= len(found):
        raise AlignmentError(f"holds no face {last}; --faces counts from 0, the largest, to {len(found) - 1} here")
    return [face for face in found if face.index in wanted]


def read_landmarks(path):
    """{file name of a picture, or None for any picture: [float64 [68, 2], one a face]}.

    Raises AlignmentError, one line with the file and the remedy, when the file is missing or holds something else.
    """
    try:
        content = read_json(path)
    except ValueError as error:
        raise AlignmentError(f"{shown(path)}: {error}; write 68 [x, y] pairs a face") from error
    if not isinstance(content, dict):
        content = {None: content}
    return {name: _faces(path, name, points) for name, points in content.items()}


def _faces(path, name, points):
    where = shown(f"{path}, {name}" if name else path)
    try:
        faces = np.asarray(points, np.float64)
        faces = faces[None] if faces.ndim == 2 else faces  # [N, 68, 2]
        for face in faces:
            ffhq_quad(face)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise AlignmentError(f"{where}: {one_line(error)}; write 68 [x, y] pairs a face") from error
    if not len(faces):
        raise AlignmentError(f"{where}: holds no face; write 68 [x, y] pairs a face")
    return list(faces)
