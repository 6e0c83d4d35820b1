"""Encoders: networks that read w+ off a portrait, in place of optimising it.

    pSp       Richardson et al. 2021: an IR-SE-50 trunk, three feature maps, a small network of its own for every row
    e4e       Tov et al. 2021: the same network, but all rows are shifts of row 0, so that w+ stays close to W
    ReStyle   Alaluf, Patashnik and Cohen-Or 2021: either of them in several passes; it sees the portrait and what it
              has so far, and all rows read the last feature map

State-dict keys and outputs equal those of the released networks; `encoder_checkpoints.py` reads their files.
"""

import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from stylegan2.layers import FullyConnectedLayer

from .common import Inversion

INPUT_SIZE = 256  # pixels, what all of these encoders see
RESTYLE_STEPS = 5
COARSE, MIDDLE = 3, 7  # rows 0 to 2 read the 16x16 map, 3 to 6 the 32x32 one, all others the 64x64 one
STAGES = ((1, 3), (2, 4), (4, 14), (8, 3))  # (channels over the width, blocks) of the trunk, each halves the size


class SqueezeExcitation(nn.Module):
    """Scales every channel by a number between 0 and 1 that is computed from the means of all (Hu et al. 2018)."""

    def __init__(self, channels):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // 16, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // 16, channels, 1, bias=False)

    def forward(self, x):
        means = x.mean([2, 3], keepdim=True)  # [N, C, 1, 1]
        return x * torch.sigmoid(self.fc2(torch.relu(self.fc1(means))))


class ResidualBlock(nn.Module):
    """Improved residual block with squeeze-excitation (IR-SE, of ArcFace): [N, Cin, H, W] -> [N, Cout, H/s, W/s]."""

    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.stride = stride
        self.shortcut_layer = None  # plain subsampling
        if channels_in != channels:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(channels_in),
            nn.Conv2d(channels_in, channels, 3, padding=1, bias=False),
            nn.PReLU(channels),
            nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            SqueezeExcitation(channels),
        )

    def forward(self, x):
        step = self.stride
        shortcut = x[:, :, ::step, ::step] if self.shortcut_layer is None else self.shortcut_layer(x)
        return self.res_layer(x) + shortcut


class StyleBlock(nn.Module):
    """One row of w+ from a feature map: [N, C, size, size] -> [N, C]."""

    def __init__(self, channels, size):
        super().__init__()
        layers = []
        for _ in range(size.bit_length() - 1):  # halve down to 1x1
            layers += [nn.Conv2d(channels, channels, 3, stride=2, padding=1), nn.LeakyReLU(0.01)]
        self.convs = nn.Sequential(*layers)
        self.linear = FullyConnectedLayer(channels, channels)

    def forward(self, x):
        return self.linear(self.convs(x).flatten(1))


class Encoder(nn.Module):
    """[N, 3, 256, 256] in [-1, 1] -> shift [N, num_ws, w_dim] from `latent_avg`; w_dim = 8 * width.

    iterative: ReStyle's, with [N, 6, 256, 256]: the portrait, then the present reconstruction; the shift is then from
    the present w+. cumulative: e4e's rule that row i is row 0 plus a shift. latent_avg: buffer [num_ws, w_dim], not
    part of the state dict.
    """

    def __init__(self, num_ws=18, width=64, iterative=False, cumulative=False):
        super().__init__()
        self.num_ws, self.w_dim, self.iterative, self.cumulative = num_ws, 8 * width, iterative, cumulative
        first = nn.Conv2d(6 if iterative else 3, width, 3, padding=1, bias=False)
        self.input_layer = nn.Sequential(first, nn.BatchNorm2d(width), nn.PReLU(width))
        blocks, previous = [], width
        for factor, count in STAGES:
            blocks += [ResidualBlock(previous, factor * width, 2)]
            blocks += [ResidualBlock(factor * width, factor * width, 1) for _ in range(count - 1)]
            previous = factor * width
        self.body = nn.Sequential(*blocks)
        sizes = [16 if iterative or row < COARSE else 32 if row < MIDDLE else 64 for row in range(num_ws)]
        self.styles = nn.ModuleList(StyleBlock(self.w_dim, size) for size in sizes)
        if not iterative:
            self.latlayer1 = nn.Conv2d(4 * width, self.w_dim, 1)
            self.latlayer2 = nn.Conv2d(2 * width, self.w_dim, 1)
        self.register_buffer("latent_avg", torch.zeros([num_ws, self.w_dim]), persistent=False)

    def feature_maps(self, x):
        """(c1, c2, c3): [N, w_dim / 4, 64, 64], [N, w_dim / 2, 32, 32], [N, w_dim, 16, 16], ends of three stages."""
        x = self.input_layer(x)
        maps = []
        for index, block in enumerate(self.body):
            x = block(x)
            if index in (6, 20, 23):
                maps.append(x)
        return maps

    def pyramid(self, x):
        """(c3, p2, p1): [N, w_dim, S, S] for S = 16, 32, 64: finer maps with the coarser ones added."""
        c1, c2, c3 = self.feature_maps(x)
        p2 = self.latlayer1(c2) + interpolate(c3, size=c2.shape[2:], mode="bilinear", align_corners=True)
        p1 = self.latlayer2(c1) + interpolate(p2, size=c1.shape[2:], mode="bilinear", align_corners=True)
        return c3, p2, p1

    def forward(self, x, stage=None):
        """stage: of e4e's progressive training: rows above it are row 0; None = all rows have their own shift."""
        if self.iterative:
            c3 = p2 = p1 = self.feature_maps(x)[2]
        else:
            c3, p2, p1 = self.pyramid(x)
        maps = [c3 if row < COARSE else p2 if row < MIDDLE else p1 for row in range(self.num_ws)]
        rows = torch.stack([style(m) for style, m in zip(self.styles, maps, strict=True)], dim=1)  # [N, num_ws, w_dim]
        if not self.cumulative:
            return rows
        shifts = rows[:, 1:].clone()
        if stage is not None:
            shifts[:, stage:] = 0
        return torch.cat([rows[:, :1], rows[:, :1] + shifts], dim=1)


@torch.no_grad()
def encode(encoder, generator, target, *, steps=None, on_step=None):
    """Invert N portraits in one pass, or in ReStyle's few.

    encoder: an Encoder in eval mode. generator: decodes, with its own noise; its w+ must have the encoder's shape.
    target: float32 [N, 3, R, R] in [-1, 1], of any size (brought to 256x256 bilinearly, with antialiasing). steps:
    ReStyle's passes, 5 by default; the others have one. on_step(step, pixels [N]) is called after every pass. Returns
    an Inversion whose history holds "pixels", the mean squared difference at 256x256. Raises ValueError for a generator
    or target that does not fit.
    """
    if (encoder.num_ws, encoder.w_dim) != (generator.num_ws, generator.w_dim):
        raise ValueError(f"the encoder's w+ is [{encoder.num_ws}, {encoder.w_dim}], "
                         f"the generator's [{generator.num_ws}, {generator.w_dim}]")  # fmt: skip
    if target.ndim != 4 or target.shape[1] != 3 or not torch.isfinite(target).all():
        raise ValueError(f"target must be finite [N, 3, R, R], got {list(target.shape)}")
    steps = steps or (RESTYLE_STEPS if encoder.iterative else 1)
    if steps > 1 and not encoder.iterative:
        raise ValueError(f"this encoder has one pass, got {steps} steps")

    size = (INPUT_SIZE, INPUT_SIZE)
    seen = target
    if target.shape[2:] != size:
        seen = interpolate(target, size=size, mode="bilinear", antialias=True)  # [N, 3, 256, 256]
    w_plus = encoder.latent_avg.expand(len(target), -1, -1)  # [N, num_ws, w_dim]
    if encoder.iterative:
        average = generator.synthesis(w_plus[:1], noise_mode="const")
        present = adaptive_avg_pool2d(average, size).expand(len(target), -1, -1, -1)
    history = []
    for step in range(steps):
        x = torch.cat([seen, present], dim=1) if encoder.iterative else seen
        w_plus = w_plus + encoder(x)
        image = generator.synthesis(w_plus, noise_mode="const")  # [N, 3, R, R], not clamped
        present = adaptive_avg_pool2d(image, size)
        pixels = (present - seen).square().mean([1, 2, 3])  # [N]
        history.append({"pixels": pixels.tolist()})
        if on_step is not None:
            on_step(step, pixels)
    return Inversion(w_plus, image, history)
