"""Cut the FFHQ-aligned square around one face.

Source of the recipe: T. Karras, S. Laine, T. Aila, "A Style-Based Generator Architecture for Generative Adversarial
Networks", 2019, appendix on the FFHQ data set; the 68 landmarks are those of Kazemi and Sullivan, 2014.

Coordinates are (x, y) in picture pixels with the centre of the first pixel at (0, 0). A quad is float64 [4, 2] in the
order top-left, bottom-left, bottom-right, top-right of the face, as the face sees "top" and "left" in the picture.
Pixel (column i, row j) of a crop of S x S pixels looks at
    quad[0] + (i + 0.5) / S * (quad[3] - quad[0]) + (j + 0.5) / S * (quad[1] - quad[0]).
"""

import numpy as np
from PIL import Image

from .pictures import check_picture

LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)  # left and right as seen in the picture
MOUTH_CORNERS = [48, 54]
SMALLEST, LARGEST = 4, 20  # of a quad's side: pixels, and of the longer side of the picture
FARTHEST = 1e6  # pixels: no picture is as large, and what is computed of coordinates stays finite


def ffhq_quad(landmarks):
    """The FFHQ square of a face.

    landmarks: [68, 2] (x, y) in picture pixels. Returns float64 [4, 2] in picture pixels; the square may reach out of
    the picture. Raises ValueError when the shape is wrong or eyes and mouth fall on one point.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.shape != (68, 2) or not np.isfinite(points).all():
        raise ValueError(f"landmarks must be 68 finite (x, y) pairs, got an array of shape {points.shape}")
    z = points[:, 0] + 1j * points[:, 1]  # [68] complex: a quarter turn to the picture's "down" is a factor 1j
    left, right, mouth = z[LEFT_EYE].mean(), z[RIGHT_EYE].mean(), z[MOUTH_CORNERS].mean()
    eyes = (left + right) / 2
    across, down = right - left, mouth - eyes

    direction = across - 1j * down  # both the eye line and the normal of the eye-mouth line have a say
    if abs(direction) < 1e-6:
        raise ValueError("landmarks are degenerate: eyes and mouth give no direction")
    x = direction / abs(direction) * max(2.0 * abs(across), 1.8 * abs(down))  # half a side of the square
    y = 1j * x
    centre = eyes + 0.1 * down
    corners = np.array([centre - x - y, centre - x + y, centre + x + y, centre + x - y])
    return np.stack([corners.real, corners.imag], axis=1)


def crop_face(pixels, quad, size, transform_size=4096):
    """Cut `quad` out of a picture: shrink, crop, pad, then sample.

    pixels: uint8 [H, W, 3] RGB. quad: [4, 2] from `ffhq_quad`. size: side of the result in pixels.
    transform_size: side of the square sampled bilinearly before it is reduced to `size` with a Lanczos filter; FFHQ
    uses 4096. Returns uint8 [size, size, 3]. Where the quad leaves the picture, the picture is mirrored, blurred and
    faded to its median colour. Raises ValueError for a wrong picture or a quad that does not touch it.
    """
    image, quad = _shrink_and_cut(pixels, quad, size)
    side = max(transform_size, size)
    # Pillow's QUAD puts pixel edges on integers, a quad puts pixel centres there: hence the half pixel.
    image = image.transform((side, side), Image.Transform.QUAD, (quad + 0.5).ravel(), Image.Resampling.BILINEAR)
    if size < side:
        image = image.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(image).copy()  # [size, size, 3]


def crop_face_quickly(pixels, quad, size):
    """`crop_face` for many pictures: the same square in a fraction of the time, rounded where the recipe truncates.

    Arguments, result and errors as there. Samples on a grid only as fine as size and picture need, in single precision:
    within 4 grey levels of the recipe everywhere, half a level on average (the truncation).
    """
    import cv2

    image, quad = _shrink_and_cut(pixels, quad, size)
    side = size * min(max(int(np.ceil(quad_side(quad) / size)), 2), 4)
    right, down = (quad[3] - quad[0]) / side, (quad[1] - quad[0]) / side
    matrix = np.stack([right, down, quad[0] + (right + down) / 2], axis=1)  # [2, 3] pixel of the grid -> of the picture
    inverse = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    fine = cv2.warpAffine(np.asarray(image), matrix, (side, side), flags=inverse, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(Image.fromarray(fine).resize((size, size), Image.Resampling.LANCZOS)).copy()  # [size, size, 3]


def sampled_quad(quad, size, shape):
    """Where `crop_face` really samples, float64 [4, 2] in picture pixels; shape: (H, W) of the picture.

    This is `quad` itself until the face is at least four times larger than the crop. From there on the recipe first
    shrinks the picture by a whole number s and divides the quad by s, which disregards that pixel centres move by
    (s - 1) / 2 picture pixels. The way back has to know it.
    """
    quad = check_quad(quad)
    step = shrink_factor(quad, size)
    if step == 1:
        return quad
    width, height = _shrunk_size(shape, step)
    scale = np.array([shape[1] / width, shape[0] / height])
    return (quad / step + 0.5) * scale - 0.5


def shrink_factor(quad, size):
    """The whole number by which the picture is reduced before a crop of side `size` is cut: 1 means not at all."""
    return max(int(quad_side(quad) / size / 2), 1)


def quad_side(quad):
    """Side of the square in picture pixels."""
    return float(np.hypot(*(quad[3] - quad[0])))


def check_quad(quad):
    """`quad` as float64 [4, 2]; raises ValueError unless it is a parallelogram with an area that shows no mirrored
    face."""
    quad = np.asarray(quad, dtype=np.float64)
    if quad.shape != (4, 2):
        raise ValueError(f"a quad is 4 (x, y) corners in a picture, got an array of shape {quad.shape}")
    if not (np.abs(quad) < FARTHEST).all():  # not so for NaN
        raise ValueError("a quad's corners must be finite numbers, in pixels of a picture")
    right, down = quad[3] - quad[0], quad[1] - quad[0]
    area = right[0] * down[1] - right[1] * down[0]
    if abs(area) < 1e-6:
        raise ValueError("the quad has no area")
    if area < 0:
        raise ValueError("the quad mirrors the face; its order is top-left, bottom-left, bottom-right, top-right")
    if np.abs(quad[0] + right + down - quad[2]).max() > 1e-3:
        raise ValueError("the quad is not a parallelogram")
    return quad


def _shrink_and_cut(pixels, quad, size):
    """(image, quad in it): what both ways of sampling begin with."""
    check_picture(pixels)
    quad = check_quad(quad)
    high, low = quad.max(axis=0), quad.min(axis=0)
    if (high <= 0).any() or (low >= np.array(pixels.shape[1::-1]) - 1).any():
        raise ValueError("the quad lies outside the picture")
    side, (height, width) = quad_side(quad), pixels.shape[:2]
    if not SMALLEST <= side <= LARGEST * max(height, width):
        raise ValueError(f"the quad's side is {side:g} pixels, the picture {width} x {height}")
    image = Image.fromarray(pixels)
    step = shrink_factor(quad, size)
    if step > 1:
        image = image.resize(_shrunk_size(pixels.shape, step), Image.Resampling.LANCZOS)
        quad = quad / step
    return _cut_surroundings(image, quad)


def _shrunk_size(shape, step):
    height, width = shape[:2]
    return int(np.rint(width / step)), int(np.rint(height / step))


def _cut_surroundings(image, quad):
    """The part of `image` that the quad needs, padded where the picture ends, and the quad inside that part."""
    side = quad_side(quad)
    border = max(int(np.rint(0.1 * side)), 3)
    low = np.floor(quad.min(axis=0)).astype(int) - border  # (left, top) of what is wanted
    high = np.ceil(quad.max(axis=0)).astype(int) + border  # (right, bottom)
    first, last = np.maximum(low, 0), np.minimum(high, image.size)
    image, quad = image.crop((*first, *last)), quad - first

    missing = np.concatenate([first - low, high - last])  # left, top, right, bottom
    if missing.max() <= border - 4:
        return image, quad
    pad = np.maximum(missing, int(np.rint(0.3 * side)))
    return _pad_and_fade(image, pad, sigma=0.02 * side), quad + pad[:2]


def _pad_and_fade(image, pad, sigma):
    """Mirror `image` by pad = (left, top, right, bottom) pixels, blur towards the edge, fade to the median colour."""
    import cv2

    left, top, right, bottom = pad
    work = np.pad(np.asarray(image, np.float32), ((top, bottom), (left, right), (0, 0)), mode="reflect")  # [h, w, 3]
    height, width = work.shape[:2]
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    inside_x = np.minimum(x / left, x[::-1] / right)  # [w] 0 at the edge of the padding, 1 where the picture begins
    inside_y = np.minimum(y / top, y[::-1] / bottom)  # [h]
    outside = 1 - np.minimum(inside_y[:, None], inside_x[None, :])[..., None]  # [h, w, 1] 1 at the edge, <= 0 inside

    # The Gaussian is cut at four sigma. A wide one runs on a copy reduced by `coarse` (sigma 12 and up, so faces of
    # 600 pixels and up): the difference stays below one grey level and a minute becomes a second.
    coarse = max(int(sigma / 6), 1)
    small = work
    if coarse > 1:
        small = cv2.resize(work, (round(width / coarse), round(height / coarse)), interpolation=cv2.INTER_AREA)
    sigma_left = np.sqrt(sigma**2 - (coarse**2 - 1) / 12) / coarse  # averaging coarse x coarse blurs a little itself
    reach = 2 * int(4 * sigma_left + 0.5) + 1
    blurred = cv2.GaussianBlur(small, (reach, reach), sigma_left, borderType=cv2.BORDER_REFLECT)
    if coarse > 1:
        blurred = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_CUBIC)
    bands = [slice(row, row + 64) for row in range(0, height, 64)]  # large arrays: stay within the processor's cache
    for rows in bands:
        work[rows] += (blurred[rows] - work[rows]) * np.clip(3 * outside[rows] + 1, 0, 1)
    median = np.median(work[::coarse, ::coarse], axis=(0, 1))
    for rows in bands:
        work[rows] += (median - work[rows]) * np.clip(outside[rows], 0, 1)
    np.clip(np.rint(work, out=work), 0, 255, out=work)
    return Image.fromarray(work.astype(np.uint8))
