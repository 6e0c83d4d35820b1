"""Adaptive discriminator augmentation: the differentiable pipeline `bgc` (Karras et al. 2020b, appendix B).

Pixel blitting, general geometry and colour transforms; each is drawn with probability `multiplier * p` per picture. The
geometric ones are composed into one matrix and executed once, with a wavelet low-pass on a doubled grid so that no
aliasing tells D what was done; the colour ones are composed into one 4x4 matrix.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from stylegan2.ops import downsample2d, setup_filter, upsample2d

from .shares import Share

# Low-pass analysis filter of the 'sym6' wavelet (Daubechies 1992)
SYM6 = [
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633, 0.4910559419267466,
    0.787641141030194, 0.3379294217276218, -0.07263752278646252, -0.021060292512300564, 0.04472490177066578,
    0.0017677118642428036, -0.007800708325034148,
]  # fmt: skip


class AugmentPipe(nn.Module):
    """Images [N, 3, H, W], about [-1, 1] -> augmented images of the same shape (values are not clipped).

    Every argument named after a transform is its probability multiplier; 0 switches it off. `p` is a buffer that the
    training loop adapts. p = 0 returns the pictures untouched.
    """

    def __init__(self, xflip=0, rotate90=0, xint=0, xint_max=0.125, scale=0, rotate=0, aniso=0, xfrac=0, scale_std=0.2,
                 rotate_max=1, aniso_std=0.2, xfrac_std=0.125, brightness=0, contrast=0, lumaflip=0, hue=0,
                 saturation=0, brightness_std=0.2, contrast_std=0.5, hue_max=1, saturation_std=1):  # fmt: skip
        super().__init__()
        self.register_buffer("p", torch.ones([]))
        self.register_buffer("Hz_geom", setup_filter(SYM6))
        self.multiplier = dict(
            xflip=xflip, rotate90=rotate90, xint=xint, scale=scale, rotate=rotate, aniso=aniso, xfrac=xfrac,
            brightness=brightness, contrast=contrast, lumaflip=lumaflip, hue=hue, saturation=saturation,
        )  # fmt: skip
        self.xint_max, self.scale_std, self.rotate_max, self.aniso_std = xint_max, scale_std, rotate_max, aniso_std
        self.xfrac_std, self.brightness_std, self.contrast_std = xfrac_std, brightness_std, contrast_std
        self.hue_max, self.saturation_std = hue_max, saturation_std

    def forward(self, images, debug_percentile=None, share=None):
        """debug_percentile: replace every random draw by this percentile of its distribution and apply everything.
        share: the Share of a larger batch that `images` are; by default they are a batch of their own."""
        if debug_percentile is None and float(self.p) == 0:
            return images
        share = share or Share(0, 1, len(images), images.device)
        draw = _Draw(share, self.p, debug_percentile)
        geometry = self._geometry(draw, *images.shape[2:])
        if geometry is not None:
            images = resample(images, geometry, self.Hz_geom)
        color = self._color(draw)
        if color is not None:
            flat = color[:, :3, :3] @ images.flatten(2) + color[:, :3, 3:]  # [N, 3, H * W]
            images = flat.reshape(images.shape)
        return images

    def _geometry(self, draw, height, width):
        """Output-to-input pixel transform [N, 3, 3] about the picture's centre, or None when nothing is switched on."""
        m, steps = self.multiplier, []
        if m["xflip"]:
            i = draw.when(m["xflip"], draw.uniform().mul(2).floor(), 0)
            steps.append(_scale2d(1 - 2 * i, torch.ones_like(i)))
        if m["rotate90"]:
            i = draw.when(m["rotate90"], draw.uniform().mul(4).floor(), 0)
            steps.append(_rotate2d(math.pi / 2 * i))
        if m["xint"]:
            t = [draw.uniform() * 2 - 1 for _ in range(2)]
            tx, ty = draw.when_both(m["xint"], [v * self.xint_max for v in t])
            steps.append(_translate2d(-(tx * width).round(), -(ty * height).round()))
        if m["scale"]:
            s = draw.when(m["scale"], draw.normal(self.scale_std).exp2(), 1)
            steps.append(_scale2d(1 / s, 1 / s))
        # Two rotations, before and after the stretch, so that P(rotated) is p in all.
        p_rotate = 1 - (1 - (m["rotate"] * self.p).clamp(0, 1)).sqrt()
        if m["rotate"]:
            theta = (draw.uniform() * 2 - 1) * math.pi * self.rotate_max
            steps.append(_rotate2d(draw.when(None, theta, 0, p_rotate)))
        if m["aniso"]:
            s = draw.when(m["aniso"], draw.normal(self.aniso_std).exp2(), 1)
            steps.append(_scale2d(1 / s, s))
        if m["rotate"] and draw.percentile is None:
            theta = (draw.uniform() * 2 - 1) * math.pi * self.rotate_max
            steps.append(_rotate2d(draw.when(None, theta, 0, p_rotate)))
        if m["xfrac"]:
            tx, ty = draw.when_both(m["xfrac"], [draw.normal(self.xfrac_std) for _ in range(2)])
            steps.append(_translate2d(-tx * width, -ty * height))
        return _compose(steps)

    def _color(self, draw):
        """Colour transform [N, 4, 4] on (r, g, b, 1), or None when nothing is switched on."""
        m, steps = self.multiplier, []
        eye = torch.eye(4, device=self.p.device)
        axis = torch.tensor([1.0, 1.0, 1.0, 0.0], device=self.p.device) / math.sqrt(3)
        luma = axis.outer(axis)  # projection on the grey axis
        rows = (slice(None), None, None)
        if m["brightness"]:
            b = draw.when(m["brightness"], draw.normal(self.brightness_std), 0)
            shift = torch.zeros(4, 4, device=self.p.device)
            shift[:3, 3] = 1
            steps.append(eye + b[rows] * shift)
        if m["contrast"]:
            c = draw.when(m["contrast"], draw.normal(self.contrast_std).exp2(), 1)
            scale = torch.diag(torch.tensor([1.0, 1.0, 1.0, 0.0], device=self.p.device))
            steps.append(eye + (c - 1)[rows] * scale)
        if m["lumaflip"]:
            i = draw.when(m["lumaflip"], draw.uniform().mul(2).floor(), 0)
            steps.append(eye - 2 * i[rows] * luma)
        if m["hue"]:
            theta = draw.when(m["hue"], (draw.uniform() * 2 - 1) * math.pi * self.hue_max, 0)
            steps.append(_rotate_about_grey(theta))
        if m["saturation"]:
            s = draw.when(m["saturation"], draw.normal(self.saturation_std).exp2(), 1)
            steps.append(luma + (eye - luma) * s[rows])
        return _compose(steps[::-1])  # applied to column vectors: the last transform stands leftmost


def resample(images, geometry, f):
    """Execute an output-to-input pixel transform [N, 3, 3] about the centre: reflect-pad, double, sample, halve.

    f: orthogonal low-pass filter [taps] for the doubling and halving.
    """
    n, c, height, width = images.shape
    taps = len(f) // 4
    # Pad as far as any corner of any output reaches, at most one reflection.
    cx, cy = (width - 1) / 2, (height - 1) / 2
    corners = torch.tensor([[-cx, cx, cx, -cx], [-cy, -cy, cy, cy], [1, 1, 1, 1]], device=images.device)
    reach = (geometry @ corners)[:, :2].transpose(0, 1).flatten(1)  # [2, N * 4]
    low = ((-reach).amax(1) + 2 * taps - torch.tensor([cx, cy], device=images.device)).tolist()
    high = (reach.amax(1) + 2 * taps - torch.tensor([cx, cy], device=images.device)).tolist()
    x0, x1 = (min(max(math.ceil(side[0]), 0), width - 1) for side in (low, high))
    y0, y1 = (min(max(math.ceil(side[1]), 0), height - 1) for side in (low, high))
    images = F.pad(images, [x0, x1, y0, y1], mode="reflect")
    images = upsample2d(images, f, up=2)

    def constant(matrix):
        return torch.tensor(matrix, device=images.device, dtype=torch.float32)

    def shift(tx, ty):
        return constant([[1, 0, tx], [0, 1, ty], [0, 0, 1]])

    def scale(sx, sy):
        return constant([[sx, 0, 0], [0, sy, 0], [0, 0, 1]])

    out_h, out_w = (height + 2 * taps) * 2, (width + 2 * taps) * 2
    geometry = shift((x0 - x1) / 2, (y0 - y1) / 2) @ geometry  # the centre moved with the padding
    geometry = scale(2, 2) @ geometry @ scale(0.5, 0.5)
    geometry = shift(-0.5, -0.5) @ geometry @ shift(0.5, 0.5)  # sample positions of the doubled grid
    # Pixels -> the [-1, 1] coordinates of grid_sample, input side and output side.
    geometry = scale(2 / images.shape[3], 2 / images.shape[2]) @ geometry @ scale(out_w / 2, out_h / 2)
    grid = F.affine_grid(geometry[:, :2], [n, c, out_h, out_w], align_corners=False)
    images = F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return downsample2d(images, f, down=2, padding=-2 * taps, flip_filter=True)


class _Draw:
    """Random numbers for a share of a batch, or one percentile of their distributions."""

    def __init__(self, share, p, percentile):
        self.share, self.p, self.percentile = share, p, percentile

    def uniform(self):
        if self.percentile is not None:
            return torch.full([self.share.n], float(self.percentile), device=self.share.device)
        return self.share.rand()

    def normal(self, std):
        if self.percentile is not None:
            value = torch.erfinv(torch.tensor(2 * float(self.percentile) - 1, device=self.share.device))
            return value.expand(self.share.n) * std  # as the reference has it, without the factor sqrt(2)
        return self.share.randn() * std

    def when(self, multiplier, value, otherwise, probability=None):
        """`value` with probability multiplier * p (or `probability`), else `otherwise`; per picture."""
        if self.percentile is not None:
            return value
        probability = multiplier * self.p if probability is None else probability
        return torch.where(self.share.rand() < probability, value, otherwise)

    def when_both(self, multiplier, values):
        """Two values that are kept or set to 0 together."""
        if self.percentile is not None:
            return values
        keep = self.share.rand() < multiplier * self.p
        return [torch.where(keep, value, 0) for value in values]


def _compose(matrices):
    result = None
    for matrix in matrices:
        result = matrix if result is None else result @ matrix
    return result


def _rows(rows):
    """Nested lists of [N] tensors or numbers -> [N, len(rows), len(rows[0])]."""
    like = next(v for row in rows for v in row if torch.is_tensor(v))
    return torch.stack(
        [torch.stack([v if torch.is_tensor(v) else torch.full_like(like, v) for v in r], -1) for r in rows], -2
    )


def _translate2d(tx, ty):
    return _rows([[1, 0, tx], [0, 1, ty], [0, 0, 1]])


def _scale2d(sx, sy):
    return _rows([[sx, 0, 0], [0, sy, 0], [0, 0, 1]])


def _rotate2d(theta):
    c, s = theta.cos(), theta.sin()
    return _rows([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def _rotate_about_grey(theta):
    """Rotation of (r, g, b) by theta about the axis (1, 1, 1) (Rodrigues' formula)."""
    s, c = theta.sin(), theta.cos()
    a, b = (1 - c) / 3, s / math.sqrt(3)
    return _rows([[c + a, a - b, a + b, 0], [a + b, c + a, a - b, 0], [a - b, a + b, c + a, 0], [0, 0, 0, 1]])
