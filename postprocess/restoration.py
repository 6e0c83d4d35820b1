"""Beyond Eq. 5: apply what the two generators disagree on, keep everything else of the picture.

    x' = x + s m [ T(g_real(w+)) - (1 - d) x - d T(g_rendering(w+)) ]

x: the picture at its own resolution. T: the warp from the crop. m: the soft mask. s: the strength. d: the detail of the
picture that is kept. d = 0, s = 1 is Eq. 5. With d = 1 only the difference of the generators, which draw the same w+,
is added: the change of style. What neither can draw, be it pores, an earring or a backdrop, is then never redrawn.
Kin: P. Debevec, "Rendering Synthetic Objects into Real Scenes", 1998 (differential rendering); Z. Wu et al.,
"StyleAlign", 2022 (why one w+ serves both generators).

The difference is taken in Oklab, where it hits light and dark colours alike, and in a form that was chosen by
measurement (docs/benchmarks/restoration.md): without the noise of single pixels, and without what it does to the
light. g_real knows the light of the photographs it was trained on; that of the picture is the picture's. So is the
hue of hair, eyes and brows, which is the person's; the lids around them take the face's mean shift of colour.
"""

import numpy as np

from alignment.oklab import oklab_to_srgb, srgb_to_oklab

from .masks import face_mask, lids, of_own_hue

FINEST = 0.7  # pixels of the generators: Gaussian sigma; finer than this the two disagree about noise, not style
STRONGEST = 0.04  # Oklab: where colours shift farther than this from the face's mean shift, a stain is drawn, not skin
HUE = 0.012  # of the crop's side: Gaussian sigma of the outline of what keeps its hue
LIGHT = 0.125  # of the crop's side: Gaussian sigma; coarser than this, differences of lightness are another light


def difference(portrait, reconstruction):
    """What the first of two pictures uint8 [..., 3] has otherwise than the second, in Oklab, float32 [..., 3]."""
    return srgb_to_oklab(portrait) - srgb_to_oklab(reconstruction)


def change_of_style(portrait, reconstruction, labels):
    """What g_real draws otherwise than g_rendering, both uint8 [S, S, 3] of one w+, as a shift of colours in Oklab.

    labels: [S, S], the portrait's parsing. The face as a whole may become lighter or darker, its parts not. Returns
    float32 [S, S, 3].
    """
    return style_in(difference(portrait, reconstruction), labels)


def style_in(difference, labels):
    """The part of a `difference` [S, S, 3] that is style; labels and result as in `change_of_style`."""
    import cv2

    face, change = face_mask(labels), cv2.GaussianBlur(difference, (0, 0), FINEST)
    lightness = change[..., 0]
    whole = change[face].mean(axis=0) if face.any() else np.zeros(3, np.float32)
    change[..., 0] = lightness - cv2.GaussianBlur(lightness, (0, 0), LIGHT * len(change)) + whole[0]
    colours = change[..., 1:] - whole[1:]
    length = np.linalg.norm(colours, axis=2, keepdims=True).clip(1e-9)
    change[..., 1:] = whole[1:] + colours * (STRONGEST / length * np.tanh(length / STRONGEST))
    around, own = (
        cv2.GaussianBlur(where(labels).astype(np.float32), (0, 0), HUE * len(change))[..., None]
        for where in (lids, of_own_hue)
    )
    change[..., 1:] = (1 - own) * (change[..., 1:] + around * (whole[1:] - change[..., 1:]))
    return change


def restored(picture, portrait, change, detail):
    """The realistic face at the picture's resolution: the portrait where `detail` is 0, the picture under the change of
    style where it is 1. picture, portrait: float32 [h, w, 3], sRGB 0 to 255; change: [h, w, 3] in Oklab; detail: a
    number or [h, w, 1]."""
    redone = oklab_to_srgb(srgb_to_oklab(picture) + change)
    return portrait + detail * (redone - portrait)
