"""A first guess of w+ for Eq. 4 to go on from: a small encoder reads it off the portrait.

From the mean latent a few steps of Eq. 4 do not get far. The guess is good to the pose, the hair and the colours, and
what Eq. 4 finds from there is nearer to the portrait and to the latents of the generator's own training. Kin: J. Zhu
et al., "In-Domain GAN Inversion for Real Image Editing", 2020. It is the encoder beside which g_real was trained
(training/reconstruction.py) and has never seen computer graphics: what it reads off a rendered portrait is the w+ of a
photo, and g_rendering, which shares W+ with g_real, draws the portrait from it.
"""

import hashlib
import math

import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate

import weights
from stylegan2 import Discriminator
from stylegan2.layers import FullyConnectedLayer
from weights.networks import filled

KIND = "start"
REMEDY = "take the one beside which this g_real was trained"


class StartEncoder(nn.Module):
    """Portrait [N, 3, R, R] in [-1, 1] -> w+ as a shift [N, num_ws, w_dim] from the mean latent.

    A discriminator's trunk, from `size` pixels down to 4x4, with one linear head. settings: further arguments of
    Discriminator. extra: so many outputs of the head before those of w+ (training/reconstruction.py).
    """

    def __init__(self, num_ws, w_dim, size, settings=None, extra=0):
        super().__init__()
        self.config = dict(num_ws=num_ws, w_dim=w_dim, size=size, settings=dict(settings or {}))
        self.rows, self.size = (num_ws, w_dim), size
        given = {"c_dim": 0, "img_channels": 3, **(settings or {})}
        self.trunk = Discriminator(**given | {"img_resolution": size, "epilogue_kwargs": {"mbstd_num_channels": 0}})
        width = self.trunk.b4.fc.weight.shape[1]  # 16 times the feature maps at 4x4
        self.trunk.b4.fc = nn.Identity()
        self.trunk.b4.out = FullyConnectedLayer(width, extra + math.prod(self.rows))

    def head(self, x):
        """[N, extra + num_ws * w_dim]."""
        if x.shape[2] < self.size:
            x = interpolate(x, size=(self.size, self.size), mode="bilinear")
        return self.trunk(adaptive_avg_pool2d(x, self.size))

    def forward(self, x):
        return self.head(x).unflatten(1, self.rows)

    @torch.no_grad()
    def w_plus(self, x, generator):
        """[N, num_ws, w_dim] to start `generator` from."""
        return generator.mapping.w_avg + self(x)


def latent_space(generator):
    """What tells the W+ of a generator, and of those fine-tuned from it, from others: a digest of its mean latent."""
    return hashlib.sha256(generator.mapping.w_avg.detach().half().cpu().numpy().tobytes()).hexdigest()


def load_start(path, generator):
    """The StartEncoder of a file, frozen. Raises WeightsError, naming the file, when it is damaged, holds something
    else, gives another w+ than the generator takes, or, by its card, that of another W+."""

    def described():
        encoder = StartEncoder(**config)
        if encoder.size > generator.img_resolution:
            raise ValueError(f"it reads {encoder.size} pixels, the generator draws {generator.img_resolution}")
        encoder(torch.zeros(1, 3, encoder.size, encoder.size))  # without memory; what it cannot read fails here
        return encoder

    tensors, config = weights.load(path, KIND)
    encoder = filled(path, described, tensors, "the encoder that it describes")
    if encoder.rows != (generator.num_ws, generator.w_dim):
        taken = f"[{generator.num_ws}, {generator.w_dim}]"
        raise weights.WeightsError(f"{path}: gives w+ of {list(encoder.rows)}, the generator takes {taken}; {REMEDY}")
    card = weights.card(path)
    own = card.get("latent_space", card.get("trained_for"))  # the second in older files, each of one pair that is gone
    if own is not None and own != latent_space(generator):
        raise weights.WeightsError(f"{path}: reads off the w+ of another g_real; {REMEDY}")
    return encoder
