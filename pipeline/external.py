"""A realistic portrait made elsewhere, in place of an inversion: by an editor of pictures, a retoucher, ADetailer.

Such tools redraw the whole picture, move and zoom it by pixels, and change what nobody asked for. Here only the face
is taken: `from_edited` finds it, lays it over the picture's own to a fraction of a pixel, and `finish_picture` adds
what it has otherwise than the picture, inside the soft mask:

    x' = x + s m T[P - (1 - d) x_c - d L(x_c)]

x_c: the picture's crop; P: the edited face in the same place; L: the low-pass that leaves x_c the sharpness that P has.
So with d = 1 detail that P has lost, or never had at its size, is the picture's own, and where both show the same
nothing changes; with d = 0 the face is P. The change comes in slowly from the mask's border on, so that tones agree
there; inside, colours are those of P. Alignment: from the landmarks, or the same place in a picture edited as a whole,
by the enhanced correlation coefficient (G. Evangelidis, E. Psarakis, "Parametric Image Alignment Using Enhanced
Correlation Coefficient Maximization", 2008), which changes of brightness and contrast do not disturb.
"""

import time

import numpy as np

OTHER_SHAPE = 0.08  # by so much the aspect of a whole edited picture may differ: editors round sides to 64 pixels
NEAR = 0.35  # of the square's side: so far from its place a face may lie in a whole edited picture
FILLS = 0.6  # of the side: at least so large is the face's square in a picture that is a crop of it
SIZES = (128, 2048)  # pixels on the side of a crop: as the face is, within these
SEEN_AT = (128, 512)  # pixels: sizes at which faces are laid over each other, one after the other
FARTHEST = 0.1  # of the crop's side, or of its scale: a larger correction is no correction
GAINED = 1e-4  # of the correlation: for less, nothing is moved
FACE = np.s_[0.3:0.9, 0.2:0.8]  # top and bottom, left and right of the face in a crop, in shares of its side
SOFTEST = 0.02  # of the crop's side: largest sigma of L
ROUNDING = 1 / 12  # squared levels: the energy of what rounding adds


def from_edited(picture, found, edited, name="the edited picture"):
    """The Inverted of the faces `found` in a Picture, their portraits being those in the Picture `edited`: the picture
    as a whole, at any size, or, for a single face, a crop of it as detectors align it.

    name: of `edited`, for messages and the report. Raises AlignmentError when a face has no partner there.
    """
    from alignment import crop_face, quad_side

    from .projector import Inverted

    started = time.perf_counter()
    size = int(np.clip(round(max(quad_side(face.quad) for face in found)), *SIZES))
    crops, portraits, shared, moves = [], [], [], []
    for face, starts in zip(found, places(picture.pixels.shape, found, edited.pixels, name), strict=True):
        quad, agreement, move = laid_over(picture.pixels, face.quad, edited.pixels, starts)
        crop = crop_face(picture.pixels, face.quad, size, transform_size=2 * size)
        portrait = crop_face(edited.pixels, quad, size, transform_size=2 * size)
        crops.append(crop)
        portraits.append(portrait)
        shared.append(low_passed(crop, sharpness(crop, portrait)))
        moves.append({"move": move, "refused": None, "agreement": agreement})
    return Inverted(
        picture=picture,
        found=found,
        crops=np.stack(crops),
        reconstructions=np.stack(shared),
        portraits=np.stack(portraits),
        w_plus=None,
        lpips=[None] * len(found),
        seconds=(time.perf_counter() - started) / len(found),
        tuned=False,
        edited={"name": str(name), "moves": moves},
    )


def places(shape, found, pixels, name):
    """Where the faces of a picture of `shape` may lie in an edited one, uint8 [H, W, 3]: a list of quads for each."""
    from alignment import AlignmentError, find_faces, quad_side

    height, width = pixels.shape[:2]
    scale = np.array([width / shape[1], height / shape[0]])
    whole = abs(np.log(scale[0] / scale[1])) <= OTHER_SHAPE
    try:
        seen = find_faces(pixels)
    except AlignmentError as error:
        raise AlignmentError(f"{name}: no face found in this edited picture; give one that shows the face") from error

    def distance(quad, face):
        return np.linalg.norm(face.quad.mean(0) - quad.mean(0)) / quad_side(quad)

    partners = []
    for face in found:
        there = (np.asarray(face.quad) + 0.5) * scale - 0.5
        nearest = min(seen, key=lambda other: distance(there, other))
        alike = abs(np.log(quad_side(nearest.quad) / quad_side(there))) < np.log(1.5)
        partners.append([there, nearest.quad] if distance(there, nearest) <= NEAR and alike else None)
    if whole and None not in partners:
        return partners
    is_crop = abs(width - height) <= 0.02 * max(width, height) and quad_side(seen[0].quad) >= FILLS * width
    if is_crop and len(found) == 1:
        return [[seen[0].quad]]
    if is_crop:
        remedy = "say whose it is with --faces INDEX, or give the whole picture edited"
        raise AlignmentError(f"{name}: a crop of one face, but {len(found)} faces are to be done; {remedy}")
    if not whole:
        remedy = "give the whole picture edited, or a square crop of the face"
        sizes = f"{width} x {height} pixels, the picture {shape[1]} x {shape[0]}"
        raise AlignmentError(f"{name}: another aspect than the picture's ({sizes}); {remedy}")
    number = found[partners.index(None)].index
    raise AlignmentError(f"{name}: shows no face where the picture has face {number}; give the same view")


def laid_over(pixels, quad, edited, starts):
    """(quad [4, 2] of the face in `edited` whose crop falls on that of `quad` in `pixels`, their correlation, the
    longest way of a corner from the first of `starts` in shares of the side): the best of what the `starts` lead to."""
    from alignment import quad_side

    best, agreement = None, -2.0
    for start in starts:
        there, correlation = corrected(pixels, quad, edited, start)
        if best is None or correlation > agreement + GAINED:
            best, agreement = there, correlation
    move = np.linalg.norm(best - starts[0], axis=1).max() / quad_side(starts[0])
    return best, agreement, float(move)


def corrected(pixels, quad, edited, start):
    """(the quad near `start` in `edited`, the correlation there), by affine maps at rising sizes."""
    import cv2

    from alignment import crop_face

    there = np.asarray(start, np.float64)
    for size in SEEN_AT:
        mask = np.zeros([size, size], np.uint8)
        mask[_box(size)] = 255
        goal = _grey(crop_face(pixels, quad, size, transform_size=2 * size))
        ours = _grey(crop_face(edited, there, size, transform_size=2 * size))
        before = correlation = _correlation(goal, ours)
        matrix = np.eye(2, 3, dtype=np.float32)
        stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-6)
        try:
            _, matrix = cv2.findTransformECC(goal, ours, matrix, cv2.MOTION_AFFINE, stop, mask, 5)
        except cv2.error:  # they have nothing in common
            continue
        linear, shift = matrix[:, :2].astype(np.float64), matrix[:, 2].astype(np.float64)
        shift = (shift + 0.5 - linear @ np.full(2, 0.5)) / size  # in shares of the crop, counted from its edge
        corners = np.array([[0, 0], [0, 1], [1, 1], [1, 0]]) @ linear.T + shift
        if np.abs(corners - np.array([[0, 0], [0, 1], [1, 1], [1, 0]])).max() > FARTHEST:
            continue
        moved = there[0] + corners @ np.stack([there[3] - there[0], there[1] - there[0]])
        after = _correlation(goal, _grey(crop_face(edited, moved, size, transform_size=2 * size)))
        if after > before + GAINED:
            there, correlation = moved, after
    return there, correlation


def sharpness(crop, portrait):
    """The sigma in pixels of the Gaussian under which a crop has no finer detail than a portrait, both uint8 [S, S, 3];
    0 where the portrait is as fine: the one whose energies in the four finest octaves agree best, over the face."""
    goal = _energies(_grey(portrait))
    grey = _grey(crop)
    sigmas = [0.0, *np.geomspace(0.3, max(SOFTEST * len(crop), 1.0), 20)]
    return min(sigmas, key=lambda sigma: float((np.log(_energies(low_passed(grey, sigma)) / goal) ** 2).sum()))


def low_passed(pixels, sigma):
    """A picture [H, W] or [H, W, C] under a Gaussian, of its own type."""
    import cv2

    return cv2.GaussianBlur(pixels, (0, 0), sigma) if sigma else pixels


def _energies(grey):
    """Mean squares [4] of the four finest octaves over the face, that of rounding added."""
    levels = [grey, *(low_passed(grey, sigma) for sigma in (0.8, 1.6, 3.2, 6.4))]
    bands = [fine - coarse for fine, coarse in zip(levels, levels[1:], strict=False)]
    return np.array([np.square(band[_box(len(grey))]).mean() + ROUNDING for band in bands])


def _correlation(a, b):
    """Of two grey crops [S, S] over the face."""
    a, b = (low_passed(grey, 1.0)[_box(len(grey))].ravel() for grey in (a, b))
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else -1.0


def _box(size):
    rows, columns = (slice(round(part.start * size), round(part.stop * size)) for part in FACE)
    return rows, columns


def _grey(pixels):
    return pixels.astype(np.float32).mean(axis=2)
