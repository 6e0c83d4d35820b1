"""Beyond Eq. 5: apply what the two generators disagree on, keep everything else of the picture.

    x' = x + s m [ T(g_real(w+)) - (1 - d) x - d T(g_rendering(w+)) ]

x: the picture at its own resolution. T: the warp from the crop. m: the soft mask. s: the strength. d: the detail of the
picture that is kept. d = 0, s = 1 is Eq. 5. With d = 1 only the difference of the generators, which draw the same w+,
is added: the change of style. What neither can draw, be it pores, an earring or a backdrop, is then never redrawn.
Kin: P. Debevec, "Rendering Synthetic Objects into Real Scenes", 1998 (differential rendering); Z. Wu et al.,
"StyleAlign", 2022 (why one w+ serves both generators).
"""

import numpy as np

SOFTNESS = 1.0  # pixels of the generators: Gaussian sigma; finer than this the two disagree about noise, not style


def change_of_style(portrait, reconstruction):
    """What g_real draws otherwise than g_rendering: both uint8 [S, S, 3] of one w+ -> float32 [S, S, 3], levels."""
    import cv2

    difference = np.asarray(portrait, np.float32) - np.asarray(reconstruction, np.float32)
    return cv2.GaussianBlur(difference, (0, 0), SOFTNESS)


def restored(picture, portrait, change, detail):
    """The realistic face at the picture's resolution, all float32 [h, w, 3]: the portrait where `detail` is 0, the
    picture under the change of style where it is 1; detail: a number or [h, w, 1]."""
    return portrait + detail * (picture + change - portrait)
