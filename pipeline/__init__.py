"""The pipeline of Fig. 2(b) as a library.

    projector = Projector()                          # the embedded weights, on the GPU where there is one
    result = projector("avatar.png")                 # a path, a NumPy array or a PIL picture
    result.save("out")

or its steps one by one, of which only `invert` is slow:

    found = projector.find(picture)
    inverted = projector.invert(picture, found)      # can be kept
    result = projector.finish(inverted, strength=0.8)
"""

from .bundle import Bundle, load_bundle
from .presets import PRESETS, Finish, Preset
from .projector import Inverted, NotFinite, Projector, finish_picture, invert_faces
from .results import FaceResult, Measured, Result

__all__ = [
    "PRESETS",
    "Bundle",
    "FaceResult",
    "Finish",
    "Inverted",
    "Measured",
    "NotFinite",
    "Preset",
    "Projector",
    "Result",
    "finish_picture",
    "invert_faces",
    "load_bundle",
]
