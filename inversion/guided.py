"""Direct inversion under the identity losses: the paper's ablation of its framework (Sec. 5.3.2, "as a baseline").

    w+*, n* = argmin  (lambda_s L_sketch(x, G(w+, n)) + lambda_c L_color(x, G(w+, n))) / (lambda_s + lambda_c)
                      + lambda_n L_n(n)

Eqs. 1 and 2 take the place of LPIPS in Eq. 4, and G is g_real itself: no generator is fine-tuned. The paper gives
neither weights nor a schedule. Here lambda_s and lambda_c are those of Eq. 3, divided by their sum, so that lambda_n
means beside them what it means beside LPIPS. All else is `latent_optimization`.
"""

import torch

from losses.color import blurred
from losses.resize import downsample

from .latent_optimization import latent_optimization


def guided(generator, target, perceptual, *, extractor, sketch, color, **schedule):
    """Invert N portraits together; arguments and result as in `latent_optimization`, which also takes `schedule`.

    extractor: the sketch extractor S. sketch, color: SketchSpec and ColorSpec, how Eqs. 1 and 2 compare and what they
    weigh (the paper's, their defaults, fit pictures of 512 pixels and more). history holds "guidance" in place of
    "lpips", and on_step gets it. Raises ValueError when both weights are 0, besides the reasons of
    `latent_optimization`.
    """
    distance = guidance_to(target, perceptual, extractor, sketch, color)
    return latent_optimization(generator, target, perceptual, distance=distance, name="guidance", **schedule)


def guidance_to(target, perceptual, extractor, sketch, color):
    """Both identity losses of pictures to a fixed target: a function [N, 3, R, R] -> [N], the weighted mean of Eq. 1
    (as a mean over the pixels) and Eq. 2."""
    if sketch.reduction not in ("sum", "mean"):
        raise ValueError(f"guided: the sketch reduction is 'sum' or 'mean', not {sketch.reduction!r}")
    weight = sketch.weight * (3 * sketch.size**2 if sketch.reduction == "sum" else 1)  # the weight of the mean
    if not weight + color.weight > 0:
        raise ValueError("guided: the weights of sketch and colour must not both be 0")
    share = weight / (weight + color.weight)

    def features(image):
        drawing = extractor(downsample(image, sketch.size))  # [N, 3, S, S]
        return drawing, perceptual.features(blurred(image, color))

    with torch.no_grad():
        wanted = features(target)

    def distance(image):
        found = features(image)
        lines = (found[0] - wanted[0]).abs().mean([1, 2, 3])  # [N]
        return share * lines + (1 - share) * perceptual.distance(found[1], wanted[1])

    return distance
