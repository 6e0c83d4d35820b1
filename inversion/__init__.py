"""From a portrait to the latent that draws it.

Every method has the same form, method(generator, target, perceptual, *, steps, start, on_step, ...) -> Inversion.
"""

from .common import Inversion
from .guided import guided
from .image2stylegan import image2stylegan
from .latent_optimization import latent_optimization
from .pivotal_tuning import pivotal_tuning
from .regeneration import regenerate

__all__ = ["Inversion", "guided", "image2stylegan", "latent_optimization", "pivotal_tuning", "regenerate"]
