"""From a portrait to the latent that draws it.

Every optimisation has the same form, method(generator, target, perceptual, *, steps, start, on_step, ...) -> Inversion;
an encoder is a trained network in its own right: encode(encoder, generator, target, *, steps, on_step) -> Inversion.
"""

from .common import Inversion
from .encoder import encode
from .guided import guided
from .image2stylegan import image2stylegan
from .latent_optimization import latent_optimization
from .pivotal_tuning import pivotal_tuning
from .regeneration import regenerate
from .schedule import Schedule, Tuning, invert

__all__ = [
    "Inversion",
    "Schedule",
    "Tuning",
    "encode",
    "guided",
    "image2stylegan",
    "invert",
    "latent_optimization",
    "pivotal_tuning",
    "regenerate",
]
