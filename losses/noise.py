"""Noise regularisation L_n of Eq. 4 (Karras et al. 2020, appendix D): keeps optimised noise maps free of signal."""

import torch.nn.functional as F


def noise_regularization(noise):
    """Squared correlation of every map with itself shifted by one pixel, on a pyramid down to 8x8.

    noise: list of [N, 1, R, R]. Returns [N]: the sum over maps and pyramid levels of (mean(n n_right))^2 + (mean(n
    n_down))^2.
    """
    total = 0
    for level in noise:
        while True:
            right = (level * level.roll(1, dims=3)).mean([1, 2, 3]).square()
            down = (level * level.roll(1, dims=2)).mean([1, 2, 3]).square()
            total = total + right + down
            if level.shape[2] <= 8:
                break
            level = F.avg_pool2d(level, 2)
    return total


def normalize_noise(noise):
    """In place: every map back to zero mean and unit variance (done after each optimiser step). Call under no_grad."""
    for level in noise:
        level.sub_(level.mean([1, 2, 3], keepdim=True))
        level.mul_(level.square().mean([1, 2, 3], keepdim=True).rsqrt())
