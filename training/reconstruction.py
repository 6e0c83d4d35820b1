"""Reconstruction beside the adversarial loss, for generators trained from nothing on a small budget.

An encoder maps half of each real batch to w+, and the generator has to draw those pictures again (after Larsen et al.
2016, with LPIPS). D judges the reconstructions along with the samples. The direct supervision teaches the generator
eyes and mouths long before the adversarial loss alone would, and fills W+ with what the inversion will look for. The
encoder is dropped after training.
"""

import torch
from torch import nn
from torch.nn.functional import avg_pool2d

from losses.perceptual import load_perceptual
from stylegan2 import Discriminator
from stylegan2.layers import FullyConnectedLayer

from .growth import grow


class Encoder(nn.Module):
    """Image [N, 3, R, R] in [-1, 1] -> [N, features]: the discriminator's trunk with another head."""

    def __init__(self, discriminator_config, features):
        super().__init__()
        self.trunk = Discriminator(**{**discriminator_config, "epilogue_kwargs": {"mbstd_num_channels": 0}})
        self.trunk.b4.out = FullyConnectedLayer(self.trunk.b4.out.weight.shape[1], features)

    def forward(self, x):
        return self.trunk(x)


class Reconstruction(nn.Module):
    """The encoder to W+ (trained; `extra_features` more outputs come first) and the perceptual network (frozen)."""

    def __init__(self, G, D, config, extra_features=0):
        super().__init__()
        self.rows = (G.num_ws, G.w_dim)
        self.encoder = Encoder(D.config, extra_features + G.num_ws * G.w_dim)
        grow(D, self.encoder.trunk)
        self.perceptual = load_perceptual(config.perceptual_weights_file)

    def encode(self, x, w_avg):
        """[N, 3, R, R] -> w+ [N, num_ws, w_dim], around the mean latent."""
        return w_avg + self.encoder(x).unflatten(1, self.rows)

    def loss(self, y, x, w_plus, w_avg):
        """Pyramid error + 2 LPIPS between reconstruction and picture, and a little for leaving the mean latent."""
        with torch.no_grad():
            wanted = self.perceptual.features(x)
        lpips = self.perceptual.distance(self.perceptual.features(y), wanted).mean()
        return pyramid_error(y - x) + 2 * lpips + 1e-3 * (w_plus - w_avg).square().mean()


def pyramid_error(difference):
    """Mean absolute value of [N, C, H, W], summed over halved sizes down to 8x8: coarse structure counts most."""
    total = difference.abs().mean()
    while difference.shape[2] > 8:
        difference = avg_pool2d(difference, 2)
        total = total + difference.abs().mean()
    return total
