"""Direct inversion under the identity losses: the paper's ablation of its framework (Sec. 5.3.2, "as a baseline").

    w+*, n* = argmin  (lambda_s L_sketch(x, G(w+, n)) + lambda_c L_color(x, G(w+, n))) / (lambda_s + lambda_c)
                      + lambda_n L_n(n)

Eqs. 1 and 2 take the place of LPIPS in Eq. 4, and G is g_real itself: no generator is fine-tuned. The paper gives
neither weights nor a schedule. Here lambda_s and lambda_c are those of Eq. 3, divided by their sum, so that lambda_n
means beside them what it means beside LPIPS. All else is `latent_optimization`.
"""

from losses.color import gaussian_blur
from losses.sketch import downsample

from .common import Inversion
from .latent_optimization import latent_optimization


def guided(generator, target, perceptual, *, extractor, steps=500, sketch_weight=5e-6, sketch_size=512,
           sketch_reduction="sum", color_weight=3.75e3, color_size=256, color_kernel=13, color_sigma=10.0, start=None,
           on_step=None, **schedule):  # fmt: skip
    """Invert N portraits together; arguments and result as in `latent_optimization`, which also takes `schedule`.

    extractor: the sketch extractor S. sketch_*, color_*: Eqs. 1 to 3 as in training/config.py, the paper's by default
    (which fit pictures of 512 pixels and more). history holds "guidance" in place of "lpips", and on_step gets it.
    Raises ValueError when both weights are 0, besides the reasons of `latent_optimization`.
    """
    guidance = Guidance(
        extractor, perceptual, sketch_weight, sketch_size, sketch_reduction, color_weight, color_size, color_kernel,
        color_sigma,
    )  # fmt: skip
    found = latent_optimization(
        generator, target, guidance, steps=steps, start=start, size=max(sketch_size, color_size), on_step=on_step,
        **schedule,
    )  # fmt: skip
    history = [{"guidance": entry["lpips"], "noise": entry["noise"]} for entry in found.history]
    return Inversion(found.w_plus, found.image, history)


class Guidance:
    """Both identity losses of one picture each, in the interface of losses/perceptual.py (features, distance)."""

    def __init__(self, extractor, perceptual, sketch_weight, sketch_size, sketch_reduction, color_weight, color_size,
                 color_kernel, color_sigma):  # fmt: skip
        if sketch_reduction not in ("sum", "mean"):
            raise ValueError(f"guided: sketch_reduction is 'sum' or 'mean', not {sketch_reduction!r}")
        if sketch_reduction == "sum":
            sketch_weight = sketch_weight * 3 * sketch_size**2  # the weight of the mean
        if not sketch_weight + color_weight > 0:
            raise ValueError("guided: sketch_weight and color_weight must not both be 0")
        self.share = sketch_weight / (sketch_weight + color_weight)
        self.extractor, self.perceptual = extractor, perceptual
        self.sketch_size, self.color_size, self.blur = sketch_size, color_size, (color_kernel, color_sigma)

    def features(self, x):
        """[N, 3, H, W] in [-1, 1] -> the drawing [N, 3 S^2], then the blurred picture's perceptual features."""
        drawing = self.extractor(downsample(x, self.sketch_size))
        return [
            drawing.flatten(1),
            *self.perceptual.features(gaussian_blur(downsample(x, self.color_size), *self.blur)),
        ]

    def distance(self, a, b):
        """[N]: the weighted mean of Eq. 1 (mean over pixels) and Eq. 2."""
        sketch = (a[0] - b[0]).abs().mean(1)
        return self.share * sketch + (1 - self.share) * self.perceptual.distance(a[1:], b[1:])
