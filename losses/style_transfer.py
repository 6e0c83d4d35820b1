"""Style transfer by relaxed optimal transport and self-similarity, the losses of the texture refinement.

N. Kolkin, J. Salavon, G. Shakhnarovich, "Style Transfer by Relaxed Optimal Transport and Self-Similarity", CVPR 2019
(section 3), as used by FaceRefiner (Li et al. 2024). Pictures are compared at scattered points: a hypercolumn is the
picture's colour and the activations of all tapped layers at one point.

No matrix of all pairs is kept: which point is nearest to which is found portion by portion without derivatives, and
only the distances of the pairs found are differentiated: the derivative of the minimum wherever it exists.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import grid_sample, normalize

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


def feature_maps(network, picture):
    """[1, 3, H, W] in [-1, 1] -> list of maps [1, C_l, H_l, W_l], the picture itself first.

    network: a PerceptualNetwork or VGGPerceptual of losses/perceptual.py.
    """
    if hasattr(network, "activations"):
        return [picture, *network.activations(picture)]
    maps, x = [picture], (picture - network.shift) / network.scale
    for index, layer in enumerate(network.trunk):
        x = torch.relu(x) if isinstance(layer, torch.nn.ReLU) else layer(x)
        if index in VGG_TAPS:
            maps.append(x)
    return maps


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
    return Samples(torch.cat([gain * x for gain, x in zip(gains, columns, strict=True)], 1), columns[0])


def content_loss(result, content):
    """Self-similarity of hypercolumns [P, C] at the same points of two pictures: mean |D_ij - D'_ij| over all pairs.

    D holds the cosine distances among the points of one picture. Kolkin et al. (Eq. 4) divide its columns by their
    sums; here they are compared as they are: among points of nearly plain skin the sums are so small that the quotients
    forbid the very pores and freckles that a plain texture is to gain.
    """
    result, content = normalize(result), normalize(content)
    return (result @ result.T - content @ content.T).abs().mean()  # 1 - cosine: the ones cancel


def style_loss(result, style, content_weight):
    """How far the features of some Samples are from another picture's, wherever they are (Kolkin et al., Eqs. 6 to 8).

    Relaxed earth mover's distance of the hypercolumns, their moments, and the relaxed earth mover's distance of the
    colours divided by the content weight.
    """
    return (
        relaxed_emd(normalize(result.columns), normalize(style.columns), cosine_distance)
        + moment_distance(result.columns, style.columns)
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
    """Mean absolute difference of the means and of the covariances of points [P, C] and [Q, C] (Eq. 7)."""
    mean_a, mean_b = a.mean(0), b.mean(0)
    covariance_a = (a - mean_a).T @ (a - mean_a) / max(len(a) - 1, 1)  # [C, C]
    covariance_b = (b - mean_b).T @ (b - mean_b) / max(len(b) - 1, 1)
    return (mean_a - mean_b).abs().mean() + (covariance_a - covariance_b).abs().mean()


def opponent(colors):
    """[P, 3] RGB -> the decorrelated colours, same lengths and distances."""
    return colors @ colors.new_tensor(OPPONENT).T
