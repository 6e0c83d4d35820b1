"""Oklab, a colour space in which equal distances look about equally large (B. Ottosson, "A perceptual color space for
image processing", 2020). Lightness from 0 (black) to 1 (white); a (green to red) and b (blue to yellow) about +-0.4."""

import numpy as np

LINEAR_TO_CONES = np.array([
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
], np.float32)  # fmt: skip
CONES_TO_OKLAB = np.array([
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
], np.float32)  # fmt: skip


def srgb_to_oklab(colours):
    """sRGB [..., 3], 0 to 255 -> float32 [..., 3] (L, a, b)."""
    c = np.asarray(colours, np.float32) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((np.maximum(c, 0) + 0.055) / 1.055) ** 2.4)  # IEC 61966-2-1
    return np.cbrt(linear @ LINEAR_TO_CONES.T) @ CONES_TO_OKLAB.T


def oklab_to_srgb(colours):
    """Oklab [..., 3] -> sRGB float32 [..., 3], 0 to 255; colours that sRGB lacks are clipped channel by channel."""
    cones = (np.asarray(colours, np.float32) @ np.linalg.inv(CONES_TO_OKLAB).T) ** 3
    linear = np.clip(cones @ np.linalg.inv(LINEAR_TO_CONES).T, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
