"""Reconstruction beside the adversarial loss, for generators trained from nothing on a small budget.

An encoder maps half of each real batch to w+, and the generator has to draw those pictures again (after Larsen et al.
2016, with LPIPS). D judges the reconstructions along with the samples. The direct supervision teaches the generator
eyes and mouths long before the adversarial loss alone would, and fills W+ with what the inversion will look for. After
training the encoder says where an inversion starts (`start.safetensors`; inversion/start.py), and leaves the w+ of the
training pictures (`w_plus.npz`), for fine-tuning to draw latents from.
"""

import torch
from torch import nn
from torch.nn.functional import avg_pool2d

from inversion.start import StartEncoder, load_start
from losses.perceptual import load_perceptual
from weights import WeightsError

from .growth import grow

HEAD = ("trunk.b4.out.weight", "trunk.b4.out.bias")  # rows for z, then for w+
ENCODER_SIZE = 64  # the encoder sees larger pictures reduced to this: enough to tell people apart, and cheap


class Encoder(StartEncoder):
    """Image [N, 3, R, R] in [-1, 1] -> z (mean and log variance, [N, z_dim] each) and w+ [N, num_ws, w_dim].

    The discriminator's trunk, down to 4x4, with one linear head. w+ is an offset from the mean latent `w_avg`.
    """

    def __init__(self, D, G):
        size = min(D.config["img_resolution"], ENCODER_SIZE)
        super().__init__(G.num_ws, G.w_dim, size, D.config, extra=2 * G.z_dim)
        self.z_dim = G.z_dim

    def start(self):
        """The part that gives w+, as a StartEncoder that computes in float32."""
        with torch.device("meta"):
            result = StartEncoder(*self.rows, self.size, self.config["settings"] | {"num_fp16_res": 0})
        tensors = self.state_dict()
        for name in HEAD:
            tensors[name] = tensors[name][2 * self.z_dim :]
        result.load_state_dict(tensors, assign=True)
        return result

    def start_as(self, path, G):
        """Take the encoder of a file; it gives w+ only. Raises ValueError, naming the file, where it does not fit G or
        has other layers."""
        try:
            given, own = load_start(path, G).state_dict(), self.state_dict()
            for name in HEAD:
                given[name] = torch.cat([own[name][: 2 * self.z_dim], given[name]])
            self.load_state_dict(given)
        except WeightsError as error:
            raise ValueError(f"{error}; or leave out encoder") from error
        except RuntimeError as error:
            raise ValueError(f"{path}: its encoder has other layers than D; leave out encoder") from error

    def forward(self, x, w_avg):
        mean, log_variance, offsets = self.head(x).tensor_split([self.z_dim, 2 * self.z_dim], dim=1)
        return mean, log_variance, w_avg + offsets.unflatten(1, self.rows)


class Reconstruction(nn.Module):
    """The encoder (trained; it starts as that of the file `encoder`, or its trunk as D's) and the perceptual network
    (frozen)."""

    def __init__(self, G, D, perceptual_weights_file=None, encoder=None):
        super().__init__()
        self.encoder = Encoder(D, G)
        if encoder is None:
            grow(D, self.encoder.trunk)
        else:
            self.encoder.start_as(encoder, G)
        self.perceptual = load_perceptual(perceptual_weights_file)

    def encode(self, x, w_avg):
        """[N, 3, R, R] -> w+ [N, num_ws, w_dim]."""
        return self.encoder(x, w_avg)[2]

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
