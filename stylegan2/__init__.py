"""StyleGAN2-ADA: generator, discriminator, their operators (`ops`) and file formats (`checkpoints`)."""

from .discriminator import Discriminator
from .generator import Generator

__all__ = ["Discriminator", "Generator"]
