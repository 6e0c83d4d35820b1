"""How sharp a result is, of what its input was: the energy of the Laplacian."""

import numpy as np


def sharpness(result, before, inside):
    """Mean squared Laplacian of the grey `result` over that of `before`, uint8 [H, W, 3] each, over the pixels of
    `inside`, bool [H, W]; NaN where there are none. 1: as sharp; a blurred face is far below, noise above."""
    import cv2

    inside = cv2.erode(inside.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))) > 0
    energies = []
    for pixels in (result, before):
        laplacian = cv2.Laplacian(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.CV_32F)
        energies.append(np.square(laplacian[inside]).mean() if inside.any() else np.nan)
    return float(energies[0] / energies[1])
