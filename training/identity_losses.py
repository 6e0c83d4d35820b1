"""The part of Eq. 3 that keeps the person: Eq. 1 and Eq. 2 with their weights, as a run's configuration has them."""

import torch

from losses.color import color_loss
from losses.perceptual import load_perceptual
from losses.sketch import sketch_loss
from sketch.checkpoints import load_sketch_extractor


class IdentityLosses:
    """Sketch and colour loss between the two styles of one latent (Eqs. 1 and 2)."""

    def __init__(self, config, device):
        self.sketch, self.color = config.sketch, config.color
        self.extractor = self.perceptual = None
        place = dict(device=device, memory_format=torch.channels_last)
        if self.sketch.weight:
            self.extractor = load_sketch_extractor(config.sketch_weights_file).to(**place)
        if self.color.weight:
            self.perceptual = load_perceptual(config.perceptual_weights_file).to(**place)

    def __call__(self, real_style, rendering_style):
        """Yield (name, weight, scalar) for each loss in use."""
        if self.extractor is not None:
            value = sketch_loss(self.extractor, real_style, rendering_style, self.sketch)
            yield "loss_sketch", self.sketch.weight, value
        if self.perceptual is not None:
            value = color_loss(self.perceptual, real_style, rendering_style, self.color)
            yield "loss_color", self.color.weight, value
