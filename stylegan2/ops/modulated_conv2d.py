"""Weight-modulated and demodulated convolution (Karras et al. 2020, section 2.2, eqs. 1 and 3).

Two formulations of the same function. *Activation-scaled*: multiply the input by the styles, convolve once with the
shared weight, multiply the output by the demodulation factors; one plain convolution for the whole batch. *Fused*: a
weight of its own for every sample and a grouped convolution; this saves the two scalings where grouped convolutions are
fast (batch 1, GPU).
"""

import torch

from .conv2d_resample import conv2d_resample


def modulated_conv2d(
    x, weight, styles, noise=None, up=1, down=1, padding=0, resample_filter=None, demodulate=True, flip_weight=True,
    fused_modconv=False,
):  # fmt: skip
    """Convolve every sample with its own scaled copy of `weight`.

    x [N, Cin, H, W], weight [Cout, Cin, kh, kw], styles [N, Cin], noise broadcastable to the output or None, added to
    it. demodulate: scale each output map to unit expected variance, rsqrt(sum of squares + 1e-8).
    Returns [N, Cout, H * up // down, W * up // down].
    """
    n = x.shape[0]
    cout, cin, kh, kw = weight.shape
    if x.dtype == torch.float16 and demodulate:  # keep products within half range; demodulation undoes the scales
        weight = weight * (1 / (cin * kh * kw) ** 0.5 / weight.norm(float("inf"), dim=[1, 2, 3], keepdim=True))
        styles = styles / styles.norm(float("inf"), dim=1, keepdim=True)

    if fused_modconv or n == 1:  # a single weight is smaller than its picture, and less is kept for derivatives
        w = weight[None] * styles[:, None, :, None, None]  # [N, Cout, Cin, kh, kw]
        if demodulate:
            w = w * (w.square().sum([2, 3, 4], keepdim=True) + 1e-8).rsqrt()
        x = conv2d_resample(
            x.reshape(1, n * cin, *x.shape[2:]), w.reshape(n * cout, cin, kh, kw).to(x.dtype), resample_filter,
            up, down, padding, groups=n, flip_weight=flip_weight,
        )  # fmt: skip
        x = x.reshape(n, cout, *x.shape[2:])
        return x if noise is None else x + noise.to(x.dtype)

    x = x * styles.to(x.dtype)[:, :, None, None]
    x = conv2d_resample(x, weight.to(x.dtype), resample_filter, up, down, padding, flip_weight=flip_weight)
    if demodulate:
        # sum over i,k of (w s)^2 = (sum over k of w^2) s^2: no [N, Cout, Cin, kh, kw] tensor is needed
        factors = (styles.square() @ weight.square().sum([2, 3]).T + 1e-8).rsqrt().to(x.dtype)[:, :, None, None]
        return x * factors if noise is None else torch.addcmul(noise.to(x.dtype), x, factors)
    return x if noise is None else x + noise.to(x.dtype)
