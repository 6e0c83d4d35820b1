"""Adaptive discriminator augmentation: the differentiable pipeline (Karras et al. 2020b, appendix B).

Pixel blitting, general geometry, colour, filtering in four frequency bands, noise and cutout; each transform is drawn
with probability `multiplier * p` per picture. The geometric ones are composed into one matrix and executed once
(resample.py), the colour ones into one 4x4 matrix.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from stylegan2.ops import setup_filter

from .draw import Draw
from .filter_bank import filter_bank
from .resample import resample
from .shares import Share

# Low-pass analysis filter of the wavelet 'sym6' (Daubechies 1992)
SYM6 = [
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
]

# The pipelines of Karras et al. 2020b by name: which transforms are switched on
GROUPS = {
    "blit": ("xflip", "rotate90", "xint"),
    "geom": ("scale", "rotate", "aniso", "xfrac"),
    "color": ("brightness", "contrast", "lumaflip", "hue", "saturation"),
    "filter": ("imgfilter",),
    "noise": ("noise",),
    "cutout": ("cutout",),
}
_cumulative = {"".join(name[0] for name in list(GROUPS)[:count]): list(GROUPS)[:count] for count in range(2, 7)}
PIPELINES = {
    name: {transform: 1 for group in groups for transform in GROUPS[group]}
    for name, groups in ({name: [name] for name in GROUPS} | _cumulative).items()
}  # blit, geom, ..., bg, bgc, bgcf, bgcfn, bgcfnc

BAND_POWER = (10 / 13, 1 / 13, 1 / 13, 1 / 13)  # expected power spectrum of pictures (1 / f), lowest band first


class AugmentPipe(nn.Module):
    """Images [N, 3, H, W], about [-1, 1] -> augmented images of the same shape (values are not clipped).

    The arguments are the release's: one named after a transform is its probability multiplier, 0 switches it off. `p`
    is a buffer that the training loop adapts. p = 0 returns the pictures untouched.
    """

    def __init__(
        self,
        # Pixel blitting
        xflip=0,
        rotate90=0,
        xint=0,
        xint_max=0.125,  # largest whole-pixel shift, as a share of the side
        # General geometry
        scale=0,
        rotate=0,
        aniso=0,
        xfrac=0,
        scale_std=0.2,  # of log2 of the scale
        rotate_max=1,  # largest angle, in half turns
        aniso_std=0.2,  # of log2 of the stretch
        xfrac_std=0.125,  # of the shift, as a share of the side
        # Colour
        brightness=0,
        contrast=0,
        lumaflip=0,
        hue=0,
        saturation=0,
        brightness_std=0.2,
        contrast_std=0.5,  # of log2
        hue_max=1,  # in half turns
        saturation_std=1,  # of log2
        # Image-space filtering
        imgfilter=0,
        imgfilter_bands=(1, 1, 1, 1),  # further multipliers, one a frequency band, lowest first
        imgfilter_std=1,  # of log2 of a band's amplification
        # Corruption
        noise=0,
        cutout=0,
        noise_std=0.1,  # of the noise's own standard deviation
        cutout_size=0.5,  # side of the square that is cut out, as a share of the picture's
    ):
        super().__init__()
        self.register_buffer("p", torch.ones([]))
        self.register_buffer("Hz_geom", setup_filter(SYM6))
        self.register_buffer("Hz_fbank", filter_bank())
        self.multiplier = dict(
            xflip=xflip,
            rotate90=rotate90,
            xint=xint,
            scale=scale,
            rotate=rotate,
            aniso=aniso,
            xfrac=xfrac,
            brightness=brightness,
            contrast=contrast,
            lumaflip=lumaflip,
            hue=hue,
            saturation=saturation,
            imgfilter=imgfilter,
            noise=noise,
            cutout=cutout,
        )
        self.xint_max, self.scale_std, self.rotate_max, self.aniso_std = xint_max, scale_std, rotate_max, aniso_std
        self.xfrac_std, self.brightness_std, self.contrast_std = xfrac_std, brightness_std, contrast_std
        self.hue_max, self.saturation_std = hue_max, saturation_std
        if len(imgfilter_bands) != len(BAND_POWER):
            raise ValueError(f"imgfilter_bands are {len(BAND_POWER)} multipliers, got {len(imgfilter_bands)}")
        self.imgfilter_bands, self.imgfilter_std = imgfilter_bands, imgfilter_std
        self.noise_std, self.cutout_size = noise_std, cutout_size

    def forward(self, images, debug_percentile=None, share=None):
        """debug_percentile: replace every random draw by this percentile of its distribution and apply everything.
        share: the Share of a larger batch that `images` are; by default they are a batch of their own."""
        if debug_percentile is None and float(self.p) == 0:
            return images
        share = share or Share(0, 1, len(images), images.device)
        draw = Draw(share, self.p, debug_percentile)
        geometry = self._geometry(draw, *images.shape[2:])
        if geometry is not None:
            images = resample(images, geometry, self.Hz_geom)
        color = self._color(draw)
        if color is not None:
            flat = color[:, :3, :3] @ images.flatten(2) + color[:, :3, 3:]  # [N, 3, H * W]
            images = flat.reshape(images.shape)
        if self.multiplier["imgfilter"]:
            images = self._filtered(draw, images)
        if self.multiplier["noise"]:
            images = self._noisy(draw, images)
        if self.multiplier["cutout"]:
            images = self._cut_out(draw, images)
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

    def _filtered(self, draw, images):
        """Each frequency band amplified at random, the expected power kept: one zero-phase filter a picture."""
        power = torch.tensor(BAND_POWER, device=images.device)
        gains = torch.ones([len(images), len(power)], device=images.device)
        for band, multiplier in enumerate(self.imgfilter_bands):
            if multiplier:
                value = draw.when(self.multiplier["imgfilter"] * multiplier, draw.normal(self.imgfilter_std).exp2(), 1)
                change = torch.ones_like(gains)
                change[:, band] = value
                gains = gains * change / (power * change.square()).sum(1, keepdim=True).sqrt()
        taps = (gains @ self.Hz_fbank).repeat_interleave(images.shape[1], 0)[:, None]  # [N * C, 1, 43]
        n, c, height, width = images.shape
        reach = taps.shape[2] // 2
        if reach >= min(height, width):
            raise ValueError(f"filtering needs pictures of more than {reach} pixels, got {width}x{height}")
        x = F.pad(images, [reach] * 4, mode="reflect").reshape(1, n * c, height + 2 * reach, width + 2 * reach)
        x = F.conv2d(x, taps[:, :, None], groups=n * c)
        return F.conv2d(x, taps[:, :, :, None], groups=n * c).reshape(images.shape)

    def _noisy(self, draw, images):
        """White noise; its standard deviation is half-normal per picture."""
        std = draw.when(self.multiplier["noise"], draw.half_normal(self.noise_std), 0)
        return images + draw.share.randn(*images.shape[1:]) * std[:, None, None, None]

    def _cut_out(self, draw, images):
        """A square somewhere set to 0."""
        half = draw.when(self.multiplier["cutout"], torch.full([len(images)], 0.5 * self.cutout_size).to(images), 0)
        inside = None
        for axis in (3, 2):
            side = images.shape[axis]
            centre = draw.uniform()
            positions = (torch.arange(side, device=images.device) + 0.5) / side
            near = (positions - centre[:, None]).abs() < half[:, None]  # [N, side]
            near = near[:, None, None, :] if axis == 3 else near[:, None, :, None]
            inside = near if inside is None else inside & near
        return images * ~inside


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
