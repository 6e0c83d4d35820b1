"""The optimisation's sizes, and the Laplacian pyramid of a texture (Burt and Adelson 1983)."""

import torch
from torch.nn.functional import interpolate

COARSEST, FINEST = 256, 2048  # longer side of the texture, pixels
LEVELS = 5


def laplacian(texture):
    """[1, 3, H, W] -> LEVELS bands, the finest first, the rest last; `collapse` puts them together again."""
    bands = []
    for _ in range(LEVELS - 1):
        height, width = texture.shape[2:]
        if min(height, width) < 2:
            break
        smaller = resize(texture, (-(-height // 2), -(-width // 2)))
        bands.append(texture - resize(smaller, (height, width)))
        texture = smaller
    return [*bands, texture.clone()]


def collapse(pyramid):
    result = pyramid[-1]
    for band in reversed(pyramid[:-1]):
        result = band + resize(result, band.shape[2:])
    return result


def scales(size):
    """Longer sides of the stages of a round: 256, 512, ... up to the texture's own, at most FINEST."""
    longer = min(max(size), FINEST)
    steps = [COARSEST << k for k in range(4) if COARSEST << k < longer]
    return [*steps, longer]


def stages(size, rounds):
    """[(round, scale)] in order."""
    return [(number, scale) for number in range(rounds) for scale in scales(size)]


def scaled(size, longer):
    """(H, W) with the longer side `longer` and the same proportions."""
    return tuple(max(round(side * longer / max(size)), 1) for side in size)


def resize(texture, size):
    """[1, C, H, W] to another size: area average downwards, bilinear upwards."""
    if texture.shape[2:] == torch.Size(size):
        return texture
    if texture.shape[2] >= size[0] and texture.shape[3] >= size[1]:
        return interpolate(texture, size=tuple(size), mode="area")
    return interpolate(texture, size=tuple(size), mode="bilinear", align_corners=False)
