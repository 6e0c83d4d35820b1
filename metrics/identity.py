"""Identity distance by dlib's face embedding (public domain; King 2017): offline, and never part of a loss."""

import functools
import importlib.util
import threading
from pathlib import Path

import numpy as np

SAME_PERSON = 0.6  # dlib's threshold for photographs
_one_at_a_time = threading.Lock()


def embedding(pixels, box=None):
    """Unit-free 128-vector of the face in uint8 [H, W, 3]; float64 [128].

    The face is sought in the picture enlarged to about 512 pixels; where the detector finds none, the FFHQ framing is
    assumed (the face fills the middle of an aligned crop). box: (left, top, right, bottom), to skip the search. Threads
    take turns.
    """
    with (
        _one_at_a_time
    ):  # dlib's detector and network work in buffers of their own and let go of the interpreter's lock
        return _embedding(pixels, box)


def _embedding(pixels, box):
    import dlib
    from PIL import Image

    detector, landmarks, network = _models()
    scale = max(1, round(512 / max(pixels.shape[:2])))
    height, width = (side * scale for side in pixels.shape[:2])
    image = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))
    if box is None:
        found = detector(image, 0)
        if found:
            face = max(found, key=lambda r: r.area())
        else:
            face = dlib.rectangle(int(0.22 * width), int(0.30 * height), int(0.78 * width), int(0.86 * height))
    else:
        face = dlib.rectangle(*(int(round(v * scale)) for v in box))
    return np.array(network.compute_face_descriptor(image, landmarks(image, face)))


def identity_distance(a, b):
    """Euclidean distance of two embeddings; below 0.6 = the same person, as dlib judges photographs."""
    return float(np.linalg.norm(a - b))


def network_file():
    """The file of the embedding network. Raises RuntimeError when the package with dlib's models is not installed."""
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None:
        raise RuntimeError("dlib's model files are missing: pip install face_recognition_models")
    return Path(spec.submodule_search_locations[0]) / "models" / "dlib_face_recognition_resnet_model_v1.dat"


@functools.lru_cache(maxsize=1)
def _models():
    import dlib

    file = network_file()
    return (
        dlib.get_frontal_face_detector(),
        dlib.shape_predictor(str(file.parent / "shape_predictor_68_face_landmarks.dat")),
        dlib.face_recognition_model_v1(str(file)),
    )
