"""Eq. 5: put the realistic face back into the picture.

    out = m x' + (1 - m) x,   m = blur(erode(pasted face mask))

x' is the portrait or, with detail, the picture itself in the portrait's style (restoration.py); m times the strength.

Erosion and blur are measured in shares of the face crop's side, so that a face of 200 pixels and one of 2000 get the
same seam. Blends:

    paper       Eq. 5 and nothing else
    harmonized  x' recoloured to agree with x around the border (harmonization.py); what lies in front of the face in x
                stays there; hair that the crop cuts off fades out
    poisson     the same mask, x' with its gradients kept and its level taken from x along the border: P. Perez, M.
                Gangnet, A. Blake, "Poisson Image Editing", 2003, by OpenCV (8 bits)
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from alignment import warp_to_picture

from .harmonization import harmonize
from .masks import face_mask, in_front, shows_hair, shows_skin
from .restoration import change_of_style, restored, style_in

BLENDS = ("harmonized", "paper", "poisson")
EROSION = 0.015  # of the crop's side
BLUR = 0.012  # Gaussian sigma, of the crop's side
TONE = 0.3  # of its tone the portrait keeps so much far from the border, where the picture's own detail is kept
RISE = 0.18  # of the crop's side: over this length the change of style comes in
FADE = 0.16  # of the crop's side: hair and neck that the crop cuts off fade out toward its outline
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601, as Pillow


def composite(
    picture,  # uint8 or uint16 [H, W, C]: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha, as in alignment.Original
    portrait,  # uint8 [S, S, 3], the realistic crop, g_real(w+)
    labels,  # integer [S, S], its parsing
    quad,  # [4, 2], where it lies
    under=None,  # integer [S, S], the parsing of the picture there; None: nothing in front, colours as they are
    blend="harmonized",  # one of BLENDS
    reconstruction=None,  # uint8 [S, S, 3], g_rendering(w+); only without detail it may be missing
    detail=0.0,  # d, 0 to 1: how much of what the generators do not draw is kept of the picture
    strength=1.0,  # s, 0 to 1, or more to exaggerate
    foreign=None,  # float [S, S], 1 where the picture is none of the generators' business (masks.foreign): with detail
    # it stays as it is
    change=None,  # float32 [S, S, 3], Oklab; None: change_of_style of portrait and reconstruction
    recolour=True,  # whether "harmonized" fits the colours; False: the change only comes in slowly from the border
):
    """Blend one processed crop into its picture.

    Returns (result of the form of `picture`, soft mask float32 [H, W]); where mask or strength is 0, and outside the
    quad's bounding box, every sample is that of `picture`, and so is alpha everywhere. detail 0, strength 1 and
    blend "paper" are Eq. 5 as the paper has it. Raises ValueError for another blend, or detail without reconstruction.
    """
    layers = Layers(portrait, labels, quad, picture.shape[:2], under, reconstruction, foreign, recolour=recolour)
    return blended(picture, layers, blend, detail, strength, change)


@dataclass(frozen=True)
class Layers:
    """What a processed crop brings to its picture, in the picture's pixels: what no setting changes, so that it can be
    kept where settings are tried. Arguments as of `composite`."""

    portrait: np.ndarray
    labels: np.ndarray
    quad: np.ndarray
    shape: tuple  # (H, W) of the picture
    under: np.ndarray | None = None
    reconstruction: np.ndarray | None = None
    foreign: np.ndarray | None = None
    difference: np.ndarray | None = None  # [S, S, 3] in Oklab, in place of that of portrait and reconstruction
    recolour: bool = True

    @property
    def side(self):
        """Of the crop, in pixels of the picture."""
        return float(np.linalg.norm(np.asarray(self.quad)[3] - np.asarray(self.quad)[0]))

    @cached_property
    def warped(self):
        """(portrait [h, w, 3], {layer of mask: [h, w], 0 to 1}, (top, bottom, left, right) of the picture)."""
        mask = face_mask(self.labels)
        hairy, skin, hair, free = shows_hair(self.labels), np.zeros_like(mask), np.zeros_like(mask), mask
        if self.under is not None:
            free = mask & ~in_front(self.labels, self.under)
            skin, hair = shows_skin(self.labels) & shows_skin(self.under), hairy & shows_hair(self.under)
        known = np.ones(mask.shape) if self.foreign is None else 1 - self.foreign
        layers = {"face": mask, "free": free, "fade": fade(len(mask)), "known": known}
        layers |= {"skin": skin, "hair": hair, "hairy": hairy}
        stack = np.dstack([self.portrait, *layers.values()]).astype(np.float32)  # [S, S, 10]
        patch, box = warp_to_picture(stack, self.quad, self.shape)
        masks = {name: np.ascontiguousarray(patch[..., 3 + i]) for i, name in enumerate(layers)}
        return np.ascontiguousarray(patch[..., :3]), masks, box

    @cached_property
    def change(self):
        """The change of style [h, w, 3] (restoration.py)."""
        if self.difference is None:
            change = change_of_style(self.portrait, self.reconstruction, self.labels)  # [S, S, 3]
        else:
            change = style_in(self.difference, self.labels)
        return warp_to_picture(change, self.quad, self.shape)[0]


def blended(picture, layers, blend="harmonized", detail=0.0, strength=1.0, change=None):
    """`composite` of Layers; change: as there."""
    if blend not in BLENDS:
        raise ValueError(f"blend must be one of {', '.join(BLENDS)}, got {blend}")
    if detail and layers.reconstruction is None and layers.difference is None and change is None:
        raise ValueError("to keep detail of the picture, its reconstruction by g_rendering is needed")
    new, masks, (top, bottom, left, right) = layers.warped
    mask, side = masks["face" if blend == "paper" else "free"], layers.side

    result = picture.copy()
    whole = np.zeros(picture.shape[:2], np.float32)
    if new.size == 0:
        return result, whole
    samples = result[top:bottom, left:right]  # [h, w, C], a view
    old, opacity = _split(samples)  # float32 [h, w, 3] in 0 to 255, [h, w] in 0 to 1
    if detail:
        shift = layers.change if change is None else warp_to_picture(change, layers.quad, layers.shape)[0]  # [h, w, 3]
        new = restored(old, new, shift, detail)
    inside = rising(mask, side) if detail else np.zeros_like(mask)  # [h, w]
    soft = soften(mask, side) * opacity
    if blend != "paper":
        soft *= masks["fade"]
    if blend == "harmonized" and layers.recolour:
        skin, hair = ((masks[name] > 0.5) & (opacity > 0.5) for name in ("skin", "hair"))
        toned = harmonize(new, old, skin, hair, masks["hairy"] > 0.5, mask > 0.5, side)
        new = toned + (detail * TONE * inside)[..., None] * (new - toned)
    elif blend == "poisson":
        new = clone(new, old, soft > 0)
    share = strength * (1 + detail * (masks["known"] * inside - 1)) if detail else strength
    weight = (share * soft)[..., None]  # [h, w, 1]
    joined = _join(old + weight * (new - old), samples)
    samples[...] = np.where(weight > 0, joined, samples)
    whole[top:bottom, left:right] = soft
    return result, whole


def soften(mask, side):
    """Erode and blur a pasted mask, float [h, w] in [0, 1]. side: the crop's side in picture pixels.

    Outside the patch counts as not face, so that the result fades to 0 before the patch ends.
    """
    import cv2

    erosion, sigma = max(EROSION * side, 1.0), max(BLUR * side, 0.5)
    pad = int(np.ceil(erosion + 3 * sigma)) + 1
    mask = np.pad((mask > 0.5).astype(np.uint8), pad)
    distance = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)  # to the nearest pixel outside
    eroded = (distance > erosion + 1.5 * sigma).astype(np.float32)
    soft = np.minimum(cv2.GaussianBlur(eroded, (0, 0), sigma), 1)
    return soft[pad:-pad, pad:-pad]


def rising(mask, side):
    """How far from the border of a pasted mask, float [h, w], each pixel is: 0 on it, 1 from RISE of the crop's side
    inwards, smooth in between. A change of colours that comes in so slowly leaves no seam."""
    import cv2

    inside = np.pad((mask > 0.5).astype(np.uint8), 1)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    t = np.clip(distance / (RISE * side), 0, 1)
    return t * t * (3 - 2 * t)


def fade(size):
    """Float32 [size, size]: 0 on the crop's outline, 1 from FADE of its side inwards, smooth in between.

    Without it, hair that reaches beyond the crop would end in a straight line where portrait and picture differ.
    """
    position = (np.arange(size, dtype=np.float32) + 0.5) / size
    t = np.clip(np.minimum(position, 1 - position) / FADE, 0, 1)
    line = t * t * (3 - 2 * t)
    return line[:, None] * line[None, :]


def clone(new, old, where):
    """Poisson blending of `new` into `old`, float32 [h, w, 3] in 0 to 255, over the pixels of `where`, bool [h, w]."""
    import cv2

    where = where.astype(np.uint8)
    where[[0, -1]] = where[:, [0, -1]] = 0  # the border of the domain must lie in the picture
    if not where.any():
        return new
    left, top, width, height = cv2.boundingRect(where)
    if min(width, height) < 3:  # no domain
        return new
    source, target = (np.clip(np.rint(a), 0, 255).astype(np.uint8) for a in (new, old))
    centre = (left + width // 2, top + height // 2)  # OpenCV lays the middle of the mask's bounding box here
    return cv2.seamlessClone(source, target, 255 * where, centre, cv2.NORMAL_CLONE).astype(np.float32)


def _split(samples):
    """Samples [h, w, C] -> colours float32 [h, w, 3] in 0 to 255, opacity float32 [h, w] in 0 to 1."""
    white = np.iinfo(samples.dtype).max
    colours = samples[..., : 1 if samples.shape[2] < 3 else 3].astype(np.float32) * (255 / white)
    has_alpha = samples.shape[2] in (2, 4)
    opacity = samples[..., -1].astype(np.float32) / white if has_alpha else np.ones(samples.shape[:2], np.float32)
    return np.broadcast_to(colours, (*samples.shape[:2], 3)), opacity


def _join(colours, samples):
    """The way back: colours [h, w, 3] in the form of `samples`, whose alpha it takes."""
    white = np.iinfo(samples.dtype).max
    channels = samples.shape[2]
    joined = samples.copy()
    colours = colours @ GREY[:, None] if channels < 3 else colours  # [h, w, 1 or 3]
    joined[..., : colours.shape[2]] = np.clip(np.rint(colours * (white / 255)), 0, white).astype(samples.dtype)
    return joined
