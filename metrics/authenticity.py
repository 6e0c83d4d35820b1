"""How much a face looks like the photo look rather than the computer-graphics look: a small classifier of the two.

The paper has no such measure ("no currently viable quantitative metric for assessing the authenticity", Sec. 5.2.1) and
asks people. This is no substitute for people: it knows the two looks of one set of pictures, and nothing else.

Features are means and deviations of a perceptual network's activations over a region, in a picture whose colours were
first brought to one mean and one contrast there, so that light, exposure and colour cast do not count. On them stands a
logistic regression, so training has one solution and needs no seed of its own.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import adaptive_avg_pool2d, softplus

FEWEST = 20  # pictures of each kind
CONTRAST = 0.35  # standard deviation of every channel in the region, of pictures in [-1, 1]


@dataclass(frozen=True)
class Authenticity:
    """A trained classifier: the logit of "real" for features f is ((f - mean) / scale) @ weight + bias. float64 [F]
    each; bias a number."""

    mean: torch.Tensor
    scale: torch.Tensor
    weight: torch.Tensor
    bias: float

    def __call__(self, features):
        """float64 [N, F] -> [N] logits; above 0 = rather real."""
        return ((features - self.mean) / self.scale) @ self.weight + self.bias


@torch.no_grad()
def region_features(network, images, region):
    """float64 [N, F]: of each channel of each tapped layer its mean and deviation over the region.

    network: with `activations` (losses/perceptual.py). images: [N, 3, R, R] in [-1, 1]. region: bool [N, R, R].
    """
    weight = region[:, None].to(images.dtype)  # [N, 1, R, R]
    mean, deviation = _moments(images, weight)
    neutral = (images - mean[..., None, None]) / (deviation[..., None, None] + 1e-3) * CONTRAST * weight
    features = []
    for tap in network.activations(neutral):  # [N, C, H, W]
        features += _moments(tap, adaptive_avg_pool2d(weight, tap.shape[2:]))
    return torch.cat(features, 1).double()


def _moments(values, weight):
    """Mean and deviation over positions of [N, C, H, W] under weights [N, 1, H, W]: two [N, C]."""
    total = weight.sum((2, 3)).clamp(min=1e-6)
    mean = (values * weight).sum((2, 3)) / total
    square = (values.square() * weight).sum((2, 3)) / total
    return mean, (square - mean.square()).clamp(min=0).sqrt()


def fit(real, rendered, penalty=1e-3):
    """Logistic regression of features, float64 [N, F] of real and [M, F] of rendered pictures. Returns an Authenticity.

    Both kinds weigh the same. penalty: of the squared weights, beside the mean log loss. Raises ValueError for fewer
    than FEWEST pictures of a kind.
    """
    if min(len(real), len(rendered)) < FEWEST:
        raise ValueError(f"authenticity: {len(real)} real and {len(rendered)} rendered pictures to learn from; "
                         f"at least {FEWEST} of each are needed")  # fmt: skip
    both = torch.cat([real, rendered])
    mean, scale = both.mean(0), both.std(0).clamp(min=1e-6)
    x, y = (real - mean) / scale, (rendered - mean) / scale
    weight = torch.zeros(both.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=500, tolerance_grad=1e-7, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        value = (softplus(-(x @ weight + bias)).mean() + softplus(y @ weight + bias).mean()) / 2
        value = value + penalty * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return Authenticity(mean, scale, weight.detach(), float(bias.detach()))


def auc(above, below):
    """Share of pairs in which the score from `above` [N] is larger than that from `below` [M], ties half: 0.5 = blind,
    1 = always."""
    return float(((above[:, None] > below).double() + (above[:, None] == below).double() / 2).mean())
