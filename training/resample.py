"""A geometric transform of pictures, executed once: on a doubled grid, between two low-pass filters, so that no
aliasing tells the discriminator what was done (Karras et al. 2020b, appendix B).
"""

import math

import torch
import torch.nn.functional as F

from stylegan2.ops import downsample2d, upsample2d


def resample(images, geometry, f):
    """Execute an output-to-input pixel transform [N, 3, 3] about the centre: reflect-pad, double, sample, halve.

    f: orthogonal low-pass filter [taps] for the doubling and halving. Differentiable to any order in the images.
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
    images = _GridSample.apply(images, grid)
    return downsample2d(images, f, down=2, padding=-2 * taps, flip_filter=True)


class _GridSample(torch.autograd.Function):
    """Bilinear sampling of images [N, C, H, W] at grid [N, h, w, 2] in [-1, 1], zeros outside; differentiable to any
    order in the images, which R1 through the augmentation needs and torch's own does not have. The grid gets no
    gradient."""

    @staticmethod
    def forward(context, images, grid):
        context.save_for_backward(grid)
        context.size = images.shape
        return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

    @staticmethod
    def backward(context, gradient):
        return _GridSampleTransposed.apply(gradient, context.saved_tensors[0], context.size), None


class _GridSampleTransposed(torch.autograd.Function):
    """The transpose of `_GridSample`, which is linear in the images: [N, C, h, w] -> [N, C, H, W]."""

    @staticmethod
    def forward(context, gradient, grid, size):
        context.save_for_backward(grid)
        images = gradient.new_empty(size)  # only its shape is used
        bilinear, zeros, corners = 0, 0, False
        return torch.ops.aten.grid_sampler_2d_backward(gradient, images, grid, bilinear, zeros, corners, [True, False])[
            0
        ]

    @staticmethod
    def backward(context, gradient):
        return _GridSample.apply(gradient, context.saved_tensors[0]), None, None
