"""The way back: put an aligned crop where it was cut from, the exact inverse of `crop.crop_face`.

A crop pixel (i, j) and a picture pixel (x, y) correspond as written at the top of crop.py; here that affine map is
inverted for every picture pixel inside the quad, so nothing is resampled outside it and the picture keeps its own
resolution. When the crop is finer than the picture it is first low-pass filtered to what the picture can carry
(Lanczos, as Pillow does when it reduces); it is then read with a cubic spline, which neither blurs nor shifts.
"""

import numpy as np

from .crop import quad_side, sampled_quad
from .pictures import check_picture


def warp_to_picture(crop, quad, shape):
    """Resample a crop at the resolution of the picture.

    crop: float [S, S, C], any number of channels and any range, at the size it was cut with `crop_face` (the masks
    that go with it belong into further channels). quad: [4, 2] as given to `crop_face`. shape: (H, W) of the picture.

    Returns (patch, box): box = (top, bottom, left, right), the integer slices of the quad's bounding box clipped to
    the picture, and patch float32 [bottom - top, right - left, C]. A pixel whose centre lies outside the quad is 0, so
    a channel of ones becomes the coverage. Values never leave the range of the channel they come from (or 0). The
    patch is empty when the quad does not touch the picture. Raises ValueError for a crop or quad of the wrong form.
    """
    from scipy.ndimage import affine_transform

    crop = np.asarray(crop, dtype=np.float32)
    if crop.ndim != 3 or crop.shape[0] != crop.shape[1] or crop.shape[2] == 0:
        raise ValueError(f"a crop is [S, S, C], got an array of shape {crop.shape}")
    size = crop.shape[0]
    quad = sampled_quad(quad, size, shape)
    box = _bounding_box(quad, shape)
    top, bottom, left, right = box
    patch = np.zeros((bottom - top, right - left, crop.shape[2]), dtype=np.float32)  # [h, w, C]
    if patch.size == 0:
        return patch, box

    # (row, column) of the crop = matrix @ (row, column) of the patch + offset
    edges = np.stack([quad[1] - quad[0], quad[3] - quad[0]], axis=1)[::-1]  # [2, 2] columns: down, right as (y, x)
    matrix = np.linalg.inv(edges) * size
    offset = matrix @ (np.array([top, left]) - quad[0, ::-1]) - 0.5

    smooth = _low_pass(crop, size / quad_side(quad))
    for channel in range(crop.shape[2]):
        patch[..., channel] = affine_transform(
            smooth[..., channel],
            matrix,
            offset,
            output_shape=patch.shape[:2],
            output=np.float32,
            order=3,
            mode="reflect",
        )
    np.clip(patch, crop.min(axis=(0, 1)), crop.max(axis=(0, 1)), out=patch)  # filters overshoot at hard edges
    patch[~_inside(matrix, offset, patch.shape[:2], size)] = 0
    return patch, box


def paste_face(pixels, crop, quad, mask=None):
    """Alpha-paste a crop over a copy of a picture.

    pixels: uint8 [H, W, 3]. crop: [S, S, 3] with values 0 to 255. quad: [4, 2] as given to `crop_face`.
    mask: float [S, S] in [0, 1], 1 where the crop replaces the picture; None = everywhere in the quad.
    Returns uint8 [H, W, 3]; pixels outside the quad's bounding box, and those of mask 0, are bit-identical.
    Raises ValueError when mask and crop differ in size or the picture is not uint8 [H, W, 3].
    """
    check_picture(pixels)
    crop = np.asarray(crop, dtype=np.float32)
    mask = np.ones(crop.shape[:2], np.float32) if mask is None else np.asarray(mask, dtype=np.float32)
    if mask.shape != crop.shape[:2]:
        raise ValueError(f"the mask has shape {mask.shape}, the crop {crop.shape[:2]}")
    patch, (top, bottom, left, right) = warp_to_picture(np.dstack([crop, mask]), quad, pixels.shape[:2])
    colour, alpha = patch[..., :3], patch[..., 3:]  # [h, w, 3], [h, w, 1]

    result = pixels.copy()
    under = result[top:bottom, left:right].astype(np.float32)
    blended = under + alpha * (colour - under)
    result[top:bottom, left:right] = np.clip(np.rint(blended), 0, 255).astype(np.uint8)
    return result


def _bounding_box(quad, shape):
    """(top, bottom, left, right) of the picture pixels whose centres may lie in the quad."""
    height, width = shape[:2]
    left, top = np.ceil(quad.min(axis=0)).astype(int)
    right, bottom = np.floor(quad.max(axis=0)).astype(int) + 1
    top, left = int(np.clip(top, 0, height)), int(np.clip(left, 0, width))
    return top, max(int(min(bottom, height)), top), left, max(int(min(right, width)), left)


def _low_pass(crop, scale):
    """Remove detail that pixels `scale` times as large as the crop's cannot carry: Lanczos-3, [S, S, C] to [S, S, C].

    The kernel is a tenth narrower than the usual one: white noise then keeps exactly the energy that an ideal filter
    would leave it, where the usual kernel takes a tenth of its amplitude and visibly softens the pasted face.
    """
    scale = 0.9 * scale
    if scale <= 1:
        return crop
    import cv2

    reach = int(np.ceil(3 * scale))
    t = np.arange(-reach, reach + 1) / scale
    kernel = np.sinc(t) * np.sinc(t / 3) * (np.abs(t) < 3)
    kernel /= kernel.sum()
    filtered = cv2.sepFilter2D(crop, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT)
    return filtered.reshape(crop.shape)  # [S, S, C]: OpenCV drops a single channel


def _inside(matrix, offset, shape, size):
    """bool [h, w]: does the centre of the patch pixel lie in the quad?"""
    y, x = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]
    row = matrix[0, 0] * y + matrix[0, 1] * x + offset[0]  # [h, w], -0.5 to size - 0.5 across the crop
    column = matrix[1, 0] * y + matrix[1, 1] * x + offset[1]
    low, high = -0.5 - 1e-9, size - 0.5 + 1e-9
    return (row >= low) & (row <= high) & (column >= low) & (column <= high)
