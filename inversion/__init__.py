"""From a portrait to the latent that draws it."""

from .latent_optimization import Inversion, latent_optimization

__all__ = ["Inversion", "latent_optimization"]
