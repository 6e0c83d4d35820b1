"""Distances between a result and the true picture of the same person, over the face."""

import torch

from losses.resize import comparable


def face_l2(result, truth, mask):
    """Mean squared difference over the masked pixels. [N, 3, H, W] in [-1, 1], bool [N, H, W] -> [N]."""
    mask = mask[:, None].float()
    return ((result - truth).square() * mask).sum([1, 2, 3]) / (3 * mask.sum([1, 2, 3])).clamp(min=1)


def face_lpips(perceptual, result, truth, mask):
    """LPIPS with everything outside the mask replaced by the truth, so that only the face can differ. -> [N]."""
    with torch.no_grad():
        return perceptual(comparable(torch.where(mask[:, None], result, truth)), comparable(truth))
