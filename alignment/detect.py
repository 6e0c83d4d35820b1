"""Find the faces of a picture and their 68 landmarks.

dlib's frontal HOG detector (N. Dalal, B. Triggs 2005; D. King 2015) and its 68-point predictor (V. Kazemi,
J. Sullivan, "One Millisecond Face Alignment with an Ensemble of Regression Trees", 2014). Both run on the CPU.
"""

import functools
import importlib.util
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from .pictures import check_picture
from .text import shown

LONGEST_SIDE = 1600  # larger pictures are searched on a copy reduced to this
SMALL_PICTURE = 600  # pictures with a shorter long side are searched at twice their size (HOG needs faces of 80 pixels)
DETECTABLE = 90  # pixels: a face box that the detector does not miss for its size
FAINT_SCORE = 0.3  # next to a clearer face, anything below is a false alarm (a knee, a logo); alone it may be a face
MODEL_PACKAGE = "face_recognition_models"
PREDICTOR_FILE = "models/shape_predictor_68_face_landmarks.dat"


class AlignmentError(Exception):
    """Faces cannot be searched, or none is there; the message names the remedy, its characters escaped."""

    def __str__(self):
        return shown(super().__str__(), 2000)


@dataclass(frozen=True)
class Face:
    """One face; lengths are picture pixels, the centre of the first pixel is (0, 0)."""

    box: tuple[float, float, float, float]  # left, top, right, bottom; may reach out of the picture
    landmarks: np.ndarray  # float64 [68, 2] (x, y)
    score: float  # the detector's confidence, above 0; a clear frontal face has 1 to 3


def detect_faces_turned(pixels, narrowest=None):
    """(faces as `detect_faces` finds them, degrees by which they are turned clockwise: 0, 90, 180 or 270).

    The detector sees no face on its side. Where it finds none but faint ones, the picture is turned by quarters and
    searched again, and the way that shows the clearest face is taken. Landmarks are those of the face, as it sees its
    own left and right, in pixels of the picture as it was given; so the square made of them is turned, too.
    """
    faces = detect_faces(pixels, narrowest)
    best, turned = max((face.score for face in faces), default=0.0), 0
    if best >= FAINT_SCORE:
        return faces, 0
    for quarters in (1, 3, 2):
        found = detect_faces(np.ascontiguousarray(np.rot90(pixels, quarters)), narrowest, thorough=False)
        score = max((face.score for face in found), default=0.0)
        if score >= max(FAINT_SCORE, best):
            best, turned = score, 90 * quarters
            faces = [_turned_back(face, quarters, pixels.shape) for face in found]
    return faces, turned


def _turned_back(face, quarters, shape):
    """A face found in np.rot90(picture, quarters), in pixels of the picture of this shape."""
    edge_x, edge_y = shape[1] - 1, shape[0] - 1
    turn = {1: lambda x, y: (edge_x - y, x), 2: lambda x, y: (edge_x - x, edge_y - y), 3: lambda x, y: (y, edge_y - x)}
    left, top, right, bottom = face.box
    (x0, y0), (x1, y1) = turn[quarters](left, top), turn[quarters](right, bottom)
    box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
    return Face(box, np.stack(turn[quarters](*face.landmarks.T), axis=1), face.score)


def detect_faces(pixels, narrowest=None, thorough=True):
    """All faces in a picture, uint8 [H, W, 3] RGB, the one with the largest box first; [] when there is none.

    Faces narrower than 80 pixels (40 in pictures under 600) are found only where there is no wider one: the second,
    finer search is several times slower and runs when the first finds nothing.
    narrowest: pixels of the narrowest face box of interest. The search then runs once, at the one scale that shows it,
    on a copy of at most LONGEST_SIDE: many times faster where only large faces count. Narrower faces may be missed.
    thorough: search a second, finer time, and with stretched contrast, where the first search finds nothing.
    Raises ValueError for another kind of array and AlignmentError when the landmark model is not installed.
    """
    check_picture(pixels)
    _predictor()  # missing: say so before the search
    pixels = np.ascontiguousarray(pixels)
    longest = max(pixels.shape[:2])
    if narrowest is None:
        small, scale = _search_copy(pixels)
        doublings = 1 if longest < SMALL_PICTURE else 0
        found = _search(small, doublings)
        if not found and thorough:
            found = _search(small, doublings + 1)
    else:
        scale = max(longest / LONGEST_SIDE, narrowest / DETECTABLE)
        small, doublings = _scaled_quickly(pixels, scale), -1
        found = _search(small, 0)
    if not found and thorough:  # a flat or dark picture: the predictor, too, reads differences between pixels
        pixels, small = _stretch_contrast(pixels), _stretch_contrast(small)
        found = _search(small, doublings + 1)
    boxes = drop_false_alarms(merge_boxes([(tuple(edge * scale for edge in box), score) for box, score in found]))
    faces = [Face(box, face_landmarks(pixels, box), score) for box, score in boxes]
    return sorted(faces, key=lambda face: _area(face.box), reverse=True)


def merge_boxes(boxes):
    """Keep one box a face. boxes: list of ((left, top, right, bottom), score); the result is sorted by score.

    Two boxes show one face when their intersection over union exceeds 0.3 or the centre of one lies in the other.
    """
    kept = []
    for box, score in sorted(boxes, key=lambda item: item[1], reverse=True):
        if not any(_same_face(box, other) for other, _ in kept):
            kept.append((box, score))
    return kept


def drop_false_alarms(boxes):
    """Without the faint boxes, unless all are faint. boxes: list of ((left, top, right, bottom), score)."""
    return [item for item in boxes if item[1] >= FAINT_SCORE] or boxes


def _search_copy(pixels):
    """(copy reduced to LONGEST_SIDE where larger, factor that leads back to picture pixels)."""
    height, width = pixels.shape[:2]
    scale = max(height, width) / LONGEST_SIDE
    if scale <= 1:
        return pixels, 1.0
    size = max(round(width / scale), 1), max(round(height / scale), 1)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=3)), scale


def _scaled_quickly(pixels, scale):
    """A copy with sides divided by `scale`, which may enlarge it."""
    import cv2

    size = max(round(pixels.shape[1] / scale), 1), max(round(pixels.shape[0] / scale), 1)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC)


def _search(pixels, doublings):
    """[(box, score)] in pixels of the array, which the detector enlarges `doublings` times by two."""
    rectangles, scores, _ = _detector().run(pixels, doublings, 0.0)
    boxes = [(box.left(), box.top(), box.right(), box.bottom()) for box in rectangles]
    return list(zip(boxes, scores, strict=True))


def _stretch_contrast(pixels):
    """Spread the levels of flat pictures and, region by region, of dark or bright parts over 0 to 255.

    Adaptive histogram equalisation with limited contrast: K. Zuiderveld, Graphics Gems IV, 1994.
    """
    import cv2

    low, high = np.percentile(pixels, (1, 99))
    levels = np.clip((np.arange(256) - low) * (255 / max(high - low, 1)), 0, 255)
    lab = cv2.cvtColor(np.rint(levels).astype(np.uint8)[pixels], cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(clipLimit=8.0, tileGridSize=(8, 8)).apply(lab[..., 0])
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)


def face_landmarks(pixels, box):
    """float64 [68, 2] (x, y), predicted on the full picture, uint8 [H, W, 3], for a face in a box: left, top, right,
    bottom. Raises AlignmentError when the landmark model is not installed."""
    import dlib

    shape = _predictor()(pixels, dlib.rectangle(*(round(float(edge)) for edge in box)))
    return np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float64)


def _same_face(a, b):
    overlap = _area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
    if overlap > 0.3 * (_area(a) + _area(b) - overlap):
        return True
    return _holds_centre(a, b) or _holds_centre(b, a)


def _holds_centre(outer, inner):
    x, y = (inner[0] + inner[2]) / 2, (inner[1] + inner[3]) / 2
    return outer[0] <= x <= outer[2] and outer[1] <= y <= outer[3]


def _area(box):
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)


def _detector():
    """The detector of this thread: it works in buffers of its own and lets go of the interpreter's lock meanwhile, so
    two threads with one would crash or find other faces. The predictor only reads, and one is shared by all."""
    import dlib

    if not hasattr(_of_thread, "detector"):
        _of_thread.detector = dlib.get_frontal_face_detector()
    return _of_thread.detector


_of_thread = threading.local()


@functools.lru_cache(maxsize=1)
def _predictor():
    import dlib

    # Found, not imported: importing that package fails without the pkg_resources of older setuptools.
    package = importlib.util.find_spec(MODEL_PACKAGE)
    folders = package.submodule_search_locations if package else []
    for model in (Path(folder) / PREDICTOR_FILE for folder in folders):
        if model.is_file():
            return dlib.shape_predictor(str(model))
    raise AlignmentError(f"the 68-landmark model is missing; pip install {MODEL_PACKAGE}")
