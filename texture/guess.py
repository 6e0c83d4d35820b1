"""Where the refinement starts: the picture's colours where it shows the surface, their mirror image where that is seen,
and the initial texture in the light of both elsewhere.

How the seen colours differ from the initial texture is continued smoothly to the unseen texels of the same materials,
as in a seamless clone (Perez et al. 2003; by push-pull, Gortler et al. 1996). What the picture hides, such as the scalp
under hair, keeps the initial colours. All edges are soft, so no seam is left at the mask's border.
"""

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, interpolate, pad

from .light import relit

BLEND = 0.002  # of the longer side of the texture: width of the soft edge inside the visible mask
CELLS = 32  # along the longer side of the texture: light changes no faster
MATERIAL = 3.0  # standard deviations
BOX = 16  # levels


def first_guess(content, sampled, visible, covered, mirror):
    """float32 [H, W, 3], 0 to 255, from content and sampled (the same form), visible and covered (bool [H, W]).

    mirror: whether the layout is its own mirror image, so that unseen texels may be taken from the other side.
    """
    weight = soft_inside(visible)  # [H, W]
    known = sampled
    if mirror:
        other, seen = sampled[:, ::-1], visible[:, ::-1] & covered
        # The two sides are lit differently: where both are seen, how; the answer is carried on to the unseen texels.
        both = soft_inside(visible & seen)
        if both.any():
            other = other + offset(sampled, other, both)
        far = soft_inside(seen) * (1 - weight)
        total = weight + far
        known = (weight[..., None] * sampled + far[..., None] * other) / np.maximum(total, 1e-6)[..., None]
        weight = total
    same = smooth(seen_materials(content, visible, np.ones_like(covered)))[..., None]
    lit = content + same * offset(known, content, weight)
    return np.clip(lit + weight[..., None] * (known - lit), 0, 255).astype(np.float32)


def lit_guess(content, sampled, visible, covered, mirror, light):
    """The first guess made of colours without light, and put into the light again. light: [H, W, 3], light.shading."""
    plain = first_guess(content, relit(sampled, 1 / light), visible, covered, mirror)
    lit = np.clip(relit(plain, light), 0, 255)
    return lit + soft_inside(visible)[..., None] * (sampled - lit)


def offset(wanted, present, weight):
    """Smooth difference [H, W, 3] from `present` to `wanted` where the weight [H, W] is, continued elsewhere.

    Averaged over cells of the texture, CELLS along its longer side: what it holds is light, not detail.
    """
    height, width = weight.shape
    cells = [max(round(side * CELLS / max(height, width)), 1) for side in (height, width)]
    stack = np.dstack([(wanted - present) * weight[..., None], weight]).astype(np.float32)
    stack = interpolate(torch.from_numpy(stack).permute(2, 0, 1)[None], size=cells, mode="area")  # [1, 4, h, w]
    difference = _push_pull(stack[:, :3] / stack[:, 3:].clamp_min(1e-6), (2 * stack[:, 3:]).clamp_max(1))
    difference = interpolate(difference, size=(height, width), mode="bicubic", align_corners=False)
    return difference[0].permute(1, 2, 0).numpy()


def push_pull(values, weight):
    """Keep values [H, W, C] where the weight [H, W] is 1 and continue them smoothly to where it is 0."""
    values = torch.from_numpy(np.ascontiguousarray(values, np.float32)).permute(2, 0, 1)[None]
    weight = torch.from_numpy(np.ascontiguousarray(weight, np.float32))[None, None]
    return _push_pull(values, weight)[0].permute(1, 2, 0).numpy()


def _push_pull(values, weight):
    """[1, C, H, W] and [1, 1, H, W]: averages of ever larger blocks of known texels, pulled back into the unknown."""
    height, width = values.shape[2:]
    if height == width == 1 or bool((weight >= 1).all()):
        return values
    even = (0, width % 2, 0, height % 2)
    known, share = (avg_pool2d(pad(x, even), 2) for x in (values * weight, weight))
    coarse = _push_pull(known / share.clamp_min(1e-9), (4 * share).clamp_max(1))
    coarse = interpolate(coarse, size=(height + even[3], width + even[1]), mode="bilinear")[..., :height, :width]
    return weight * values + (1 - weight) * coarse


def soft_inside(mask, width=BLEND):
    """float32 [H, W]: 0 outside the mask and on its border, rising smoothly to 1 at `width` of the longer side in."""
    import cv2

    framed = np.pad(np.ascontiguousarray(mask, np.uint8), 1)
    distance = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    t = np.clip((distance - 0.5) / max(width * max(mask.shape), 1), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def smooth(mask):
    """float32 [H, W]: a mask with its border blurred, BLEND of the longer side to either side."""
    import cv2

    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), max(BLEND * max(mask.shape), 0.5))


def seen_materials(content, visible, covered):
    """bool [H, W]: texels of the initial texture in colours that it has among the visible ones, too.

    The picture can speak of skin, lips and brows it shows, not of hair it hides: within MATERIAL standard deviations of
    the visible texels' mean colour (Mahalanobis distance), or visible themselves.
    """
    colors = content[visible].astype(np.float64)
    mean = colors.mean(0)
    spread = np.cov(colors.T, bias=True) + 4.0**2 * np.eye(3)  # never narrower than a few levels
    away = content.astype(np.float64) - mean
    distance = np.einsum("hwi,ij,hwj->hw", away, np.linalg.inv(spread), away)
    return covered & ((distance < MATERIAL**2) | visible)


def material_shares(content, visible, pool):
    """float [H, W], 0 outside the pool: weights that give the pool the visible texels' distribution of colours.

    Colours are those of the initial texture, counted in boxes of BOX levels a side.
    """
    boxes = (content.clip(0, 255) // BOX).astype(np.int64) @ (1, 64, 64**2)  # [H, W]
    shown, present = (np.bincount(boxes[mask], minlength=64**3) for mask in (visible, pool))
    return np.where(pool, shown[boxes] / np.maximum(present[boxes], 1), 0)
