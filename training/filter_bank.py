"""The filter bank of the augmentation's image-space filtering (Karras et al. 2020b, appendix B)."""

import numpy as np
import torch

# Low-pass analysis filter of the wavelet 'sym2' (Daubechies 1992)
SYM2 = [-0.12940952255092145, 0.22414386804185735, 0.836516303737469, 0.48296291314469025]


def filter_bank():
    """The four zero-phase filters [4, 43] that divide a signal into octaves, lowest first; their sum is the identity.

    Each stage doubles the bands' filters in length, low-passes them, and puts the high-pass part of what was the
    highest band into a band of its own.
    """
    low = np.convolve(SYM2, SYM2[::-1]) / 2
    high = low * np.where(np.arange(len(low)) % 2 == len(low) // 2 % 2, 1, -1)
    bank = np.eye(4, 1)
    for band in range(1, 4):
        doubled = np.zeros([4, 2 * bank.shape[1] - 1])
        doubled[:, ::2] = bank
        bank = np.stack([np.convolve(row, low) for row in doubled])
        middle = bank.shape[1] // 2
        bank[band, middle - len(high) // 2 : middle + len(high) // 2 + 1] += high
    return torch.from_numpy(bank.astype(np.float32))
