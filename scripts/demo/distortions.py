"""Disturbances of known strength that a perceptual network has to notice: blur, grain, tint, warp."""

import torch
import torch.nn.functional as F


def blur(x, strength):
    """Gaussian blur, sigma 0 to 3 pixels for strength [N] in 0..1."""
    sigma = (3 * strength).clamp_min(0.05).view(-1, 1)
    line = torch.exp(-torch.arange(-7.0, 8.0).square() / (2 * sigma.square()))
    line = (line / line.sum(1, keepdim=True)).repeat_interleave(3, 0)[:, None, None]  # [N * 3, 1, 1, 15]
    folded = F.pad(x, [7, 7, 7, 7], mode="reflect").flatten(0, 1)[None]  # [1, N * 3, H + 14, W + 14]
    folded = F.conv2d(F.conv2d(folded, line, groups=line.shape[0]), line.mT, groups=line.shape[0])
    return folded[0].view(x.shape)


def grain(x, strength, generator):
    """White noise, deviation 0 to 0.4 for strength [N] in 0..1."""
    return x + 0.4 * strength.view(-1, 1, 1, 1) * torch.randn(x.shape, generator=generator)


def tint(x, strength, generator):
    """A shift of the colour in a random direction, length 0 to 0.6."""
    direction = F.normalize(torch.randn(len(x), 3, 1, 1, generator=generator), dim=1)
    return x + 0.6 * strength.view(-1, 1, 1, 1) * direction


def warp(x, strength, generator):
    """A smooth random displacement, up to about 8 % of the picture's side."""
    field = F.interpolate(torch.randn(len(x), 2, 4, 4, generator=generator), size=x.shape[2:], mode="bicubic")
    grid = F.affine_grid(torch.eye(2, 3).expand(len(x), 2, 3), list(x.shape), align_corners=False)
    grid = grid + 0.08 * strength.view(-1, 1, 1, 1) * field.permute(0, 2, 3, 1)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def distort(x, kind, strength, generator):
    """One of the four distortions by number, clamped to [-1, 1]."""
    if kind == 0:
        return blur(x, strength).clamp(-1, 1)
    return (grain, tint, warp)[kind - 1](x, strength, generator).clamp(-1, 1)


def degrade(x, generator):
    """Blur and grain of random strength on half of the batch each; the strengths [N, 2] are labels."""
    strength = torch.rand(len(x), 2, generator=generator)
    strength *= (torch.rand(len(x), 2, generator=generator) < 0.5).float()
    return grain(blur(x, strength[:, 0]), strength[:, 1], generator), strength
