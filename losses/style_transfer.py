"""Style transfer by relaxed optimal transport and self-similarity, the losses of the texture refinement.

N. Kolkin, J. Salavon, G. Shakhnarovich, "Style Transfer by Relaxed Optimal Transport and Self-Similarity", CVPR 2019
(section 3), as used by FaceRefiner (Li et al. 2024). Pictures are compared at scattered points: a hypercolumn is the
picture's colour and the activations of all tapped layers at one point.

No matrix of all pairs is kept: which point is nearest to which is found portion by portion without derivatives, and
only the distances of the pairs found are differentiated: the derivative of the minimum wherever it exists.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch.nn.functional import grid_sample, max_pool2d, normalize

PAIRS = 2**21  # distances held at a time
VGG_TAPS = (1, 3, 6, 8, 11, 13, 15, 22, 29)  # relu 1_1 to 3_3, 4_3 and 5_3: with the colour 2179 channels
# An orthogonal basis of colour in which natural pictures are nearly decorrelated (Ruderman et al. 1998): grey,
# blue-yellow, red-green
OPPONENT = ((3**-0.5,) * 3, (6**-0.5, 6**-0.5, -2 * 6**-0.5), (2**-0.5, -(2**-0.5), 0.0))


@dataclass(frozen=True)
class Samples:
    """Points of one picture."""

    columns: torch.Tensor  # [P, C] hypercolumns
    colors: torch.Tensor  # [P, 3] in [-1, 1]

    @cached_property
    def moments(self):
        """Mean [C] and covariance [C, C] of the columns; what is compared often is not computed anew."""
        return moments(self.columns)

    @cached_property
    def directions(self):
        """The columns at unit length."""
        return normalize(self.columns)


def feature_maps(network, picture):
    """[1, 3, H, W] in [-1, 1] -> list of maps [1, C_l, H_l, W_l], the picture itself first.

    network: a PerceptualNetwork or VGGPerceptual of losses/perceptual.py.
    """
    maps, x = [picture], _prepared(network, picture)
    for layers in _blocks(network):
        for layer in layers:
            x = layer(x)
        maps.append(x)
    return maps


def columns_at(network, picture, points, gains):
    """`sample(feature_maps(network, picture), points, gains)` whose derivative never fills a map of zeros: that of the
    points is added to the map's own, in place, on its way back through the network."""
    found, x = _Tap.apply(picture, *_corners(points, picture.shape[2:]))
    columns, x = [found], _prepared(network, x)
    for layers in _blocks(network):
        for layer in layers:
            x = layer(x)
        found, x = _Tap.apply(x, *_corners(points, x.shape[2:]))
        columns.append(found)
    return _samples(columns, gains)


def _prepared(network, picture):
    return (picture - network.shift) / network.scale if hasattr(network, "trunk") else picture


def _blocks(network):
    """The layers from tap to tap, as lists of functions."""
    if not hasattr(network, "trunk"):
        return [
            [*([max_pool] if index else []), *(lambda x, conv=conv: conv(x).relu_() for conv in stage)]
            for index, stage in enumerate(network.stages)
        ]
    layers = [torch.relu_ if isinstance(layer, torch.nn.ReLU) else layer for layer in network.trunk]
    ends = [tap + 1 for tap in VGG_TAPS]
    return [layers[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def max_pool(x):
    return max_pool2d(x, 2)


class _Tap(torch.autograd.Function):
    """(columns [P, C] of a map [1, C, H, W], the map): corners [P, 4] number its positions, row by row."""

    @staticmethod
    def forward(ctx, x, corners, shares):
        ctx.save_for_backward(corners, shares)
        ctx.size = x.shape
        return (_rows(x)[corners] * shares[..., None]).sum(1), x.detach()  # a view would lose its layout in pooling

    @staticmethod
    def backward(ctx, of_columns, of_map):
        corners, shares = ctx.saved_tensors
        if of_map is None:
            of_map = of_columns.new_zeros(ctx.size)
        of_map = of_map.contiguous(memory_format=torch.channels_last)  # fresh from the layer behind: ours to change
        if of_columns is not None:
            shared = (of_columns[:, None] * shares[..., None]).flatten(0, 1)  # [4 P, C]
            _rows(of_map).index_add_(0, corners.flatten(), shared.to(of_map.dtype))
        return of_map, None, None


def _rows(x):
    """[1, C, H, W] -> [H * W, C], without a copy where the channels lie together."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _corners(points, size):
    """The four positions around each point of a map of `size`, [P, 4], and their shares in it (bilinear)."""
    height, width = size
    limit = points.new_tensor([width - 1, height - 1])
    place = (((points + 1) * points.new_tensor([width, height]) - 1) / 2).clamp_min(0).minimum(limit)
    low = place.floor()
    part, high = place - low, (low + 1).minimum(limit).long()
    (x, y), (right, down), low = part.unbind(1), high.unbind(1), low.long()
    left, up = low.unbind(1)
    corners = torch.stack([up * width + left, up * width + right, down * width + left, down * width + right], 1)
    return corners, torch.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], 1)


def layer_gains(maps):
    """One factor a map that gives it a mean length of 1 over its positions: every layer then has the same say.

    A small network's activations are many times longer than a colour; without this, cosines would not see colours at
    all, and speckles of any hue would go unpunished.
    """
    return [1 / m.square().sum(1).mean().sqrt().clamp_min(1e-6) for m in maps]


def sample(maps, points, gains):
    """Samples at points [P, 2], (x, y) in [-1, 1] from the left and top border to the right and bottom one.

    gains: of `layer_gains`, the same for all pictures that are compared.
    """
    grid = points[None, None]  # [1, 1, P, 2]
    columns = [grid_sample(m, grid, padding_mode="border", align_corners=False)[0, :, 0].T for m in maps]  # [P, C_l]
    return _samples(columns, gains)


def _samples(columns, gains):
    return Samples(torch.cat([gain * x for gain, x in zip(gains, columns, strict=True)], 1), columns[0])


def content_loss(result, content):
    """Self-similarity of two Samples at the same points of two pictures: mean |D_ij - D'_ij| over all pairs.

    D holds the cosine distances among the points of one picture. Kolkin et al. (Eq. 4) divide its columns by their
    sums; here they are compared as they are: among points of nearly plain skin the sums are so small that the quotients
    forbid the very pores and freckles that a plain texture is to gain.
    """
    result, content = result.directions, content.directions
    return (result @ result.T - content @ content.T).abs().mean()  # 1 - cosine: the ones cancel


def style_loss(result, style, content_weight):
    """How far the features of some Samples are from another picture's, wherever they are (Kolkin et al., Eqs. 6 to 8).

    Relaxed earth mover's distance of the hypercolumns, their moments, and the relaxed earth mover's distance of the
    colours divided by the content weight.
    """
    return (
        relaxed_emd(result.directions, style.directions, cosine_distance)
        + moment_distance(result, style)
        + relaxed_emd(opponent(result.colors), opponent(style.colors), euclidean_distance) / content_weight
    )


def relaxed_emd(a, b, distance):
    """Relaxed earth mover's distance of points [P, C] and [Q, C]: every point goes to its nearest of the other set.

    max(mean_i min_j d(a_i, b_j), mean_j min_i d(a_i, b_j)). `distance` of paired rows must grow with the Euclidean one
    (which the cosine distance of unit vectors does).
    """
    nearest_b, nearest_a = nearest(a, b)
    return torch.maximum(distance(a, b[nearest_b]).mean(), distance(a[nearest_a], b).mean())


@torch.no_grad()
def nearest(a, b):
    """([P] index into b of the point nearest to each of a, [Q] index into a of that nearest to each of b)."""
    half_a, half_b = a.square().sum(1) / 2, b.square().sum(1) / 2  # |a - b|^2 / 2 = half_a - a.b + half_b
    in_b, in_a = [], torch.zeros(len(b), dtype=torch.long, device=a.device)
    best = torch.full([len(b)], torch.inf, device=a.device, dtype=a.dtype)
    step = max(PAIRS // len(b), 1)
    for start in range(0, len(a), step):
        rows = slice(start, start + step)
        distance = torch.addmm(half_b, a[rows], b.T, alpha=-1)  # [S, Q], short of half_a
        in_b.append(distance.argmin(1))
        least, index = (distance + half_a[rows, None]).min(0)
        in_a = torch.where(least < best, index + start, in_a)
        best = torch.minimum(best, least)
    return torch.cat(in_b), in_a


def cosine_distance(a, b):
    """1 - cosine of paired unit rows, [P]."""
    return 1 - (a * b).sum(1)


def euclidean_distance(a, b):
    """Of paired rows, [P]; the derivative at distance 0 is 0."""
    squared = (a - b).square().sum(1)
    return torch.where(squared > 0, squared.clamp_min(1e-12).sqrt(), 0)


def moment_distance(a, b):
    """Mean absolute difference of the means and of the covariances of two Samples (Eq. 7)."""
    (mean_a, covariance_a), (mean_b, covariance_b) = a.moments, b.moments
    return (mean_a - mean_b).abs().mean() + (covariance_a - covariance_b).abs().mean()


def moments(points):
    """Mean [C] and covariance [C, C] of points [P, C]."""
    mean = points.mean(0)
    return mean, (points - mean).T @ (points - mean) / max(len(points) - 1, 1)


def opponent(colors):
    """[P, 3] RGB -> the decorrelated colours, same lengths and distances."""
    return colors @ colors.new_tensor(OPPONENT).T
