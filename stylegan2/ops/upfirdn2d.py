"""Up-sample, FIR-filter, down-sample: the one resampling primitive of StyleGAN2 (Karras et al. 2020, appendix B).

Definition, per channel: insert `up - 1` zeros after every sample, pad (negative padding crops), convolve with the
filter `f` times `gain`, keep every `down`-th sample. This is the reference, written with torch convolutions only, so
that derivatives of any order come from autograd. A small 2-D filter is applied as it is, though it is an outer product:
one pass over memory costs less than two of fewer products. On CUDA a kernel of our own does it in one pass (native.py).
"""

import torch
import torch.nn.functional as F

from . import native


def setup_filter(f, device=None, normalize=True, flip_filter=False, gain=1, separable=None):
    """Prepare a FIR filter.

    f: None (identity), a number, a list of taps, or a 2-D list. 1-D lists with fewer than 8 taps become their outer
    product unless `separable` says otherwise. Returns float32 [taps] (separable) or [h, w]; `normalize` makes it sum
    to 1, `gain` multiplies the signal (so gain^(ndim/2) the taps).
    """
    f = torch.as_tensor(1 if f is None else f, dtype=torch.float32, device=device)
    if f.ndim == 0:
        f = f[None]
    if f.ndim not in (1, 2) or f.numel() == 0:
        raise ValueError(f"filter must have 1 or 2 dimensions and at least one tap, got shape {list(f.shape)}")
    if separable is None:
        separable = f.ndim == 1 and f.numel() >= 8
    if f.ndim == 1 and not separable:
        f = f.outer(f)
    if normalize:
        f = f / f.sum()
    if flip_filter:
        f = f.flip(list(range(f.ndim)))
    return f * gain ** (f.ndim / 2)


def upfirdn2d(x, f, up=1, down=1, padding=0, flip_filter=False, gain=1):
    """Resample `x` [N, C, H, W] with the prepared filter `f` ([h, w], [taps] = separable, None = identity).

    up, down: int or (x, y). padding: int, (x, y) or (x0, x1, y0, y1), counted in up-sampled pixels, negative = crop.
    flip_filter: False = convolution, True = correlation. gain: scales the output.
    Returns [N, C, (H * up_y + pady0 + pady1 - h) // down_y + 1, ...].
    """
    upx, upy = _pair(up)
    downx, downy = _pair(down)
    padx0, padx1, pady0, pady1 = parse_padding(padding)
    if f is not None and native.available(x):
        f = f.to(x.device, torch.float32)
        if f.ndim == 2:
            padding = [padx0, padx1, pady0, pady1]
            return native.upfirdn2d(x, f, [upx, upy], [downx, downy], padding, flip_filter, gain)
        x = native.upfirdn2d(x, f[None, :], [upx, 1], [downx, 1], [padx0, padx1, 0, 0], flip_filter, gain)
        return native.upfirdn2d(x, f[:, None], [1, upy], [1, downy], [0, 0, pady0, pady1], flip_filter, 1)
    f = torch.ones([1, 1]) if f is None else f
    f = f.to(x.dtype) if flip_filter else f.to(x.dtype).flip(list(range(f.ndim)))
    if f.ndim == 2:
        return _filter(x, f * gain, (upy, upx), (downy, downx), (pady0, pady1, padx0, padx1))
    x = _filter(x, (f * gain)[None, :], (1, upx), (1, downx), (0, 0, padx0, padx1))
    return _filter(x, f[:, None], (upy, 1), (downy, 1), (pady0, pady1, 0, 0))


def upsample2d(x, f, up=2, padding=0, flip_filter=False, gain=1):
    """Enlarge `x` by `up`; the mean of the signal is kept (gain is multiplied by up_x * up_y)."""
    upx, upy = _pair(up)
    fw, fh = filter_size(f)
    px0, px1, py0, py1 = parse_padding(padding)
    pad = (px0 + (fw + upx - 1) // 2, px1 + (fw - upx) // 2, py0 + (fh + upy - 1) // 2, py1 + (fh - upy) // 2)
    return upfirdn2d(x, f, up=up, padding=pad, flip_filter=flip_filter, gain=gain * upx * upy)


def downsample2d(x, f, down=2, padding=0, flip_filter=False, gain=1):
    """Reduce `x` by `down`."""
    downx, downy = _pair(down)
    fw, fh = filter_size(f)
    px0, px1, py0, py1 = parse_padding(padding)
    pad = (px0 + (fw - downx + 1) // 2, px1 + (fw - downx) // 2,
           py0 + (fh - downy + 1) // 2, py1 + (fh - downy) // 2)  # fmt: skip
    return upfirdn2d(x, f, down=down, padding=pad, flip_filter=flip_filter, gain=gain)


def filter_size(f):
    """(width, height) of a prepared filter."""
    if f is None:
        return 1, 1
    return f.shape[-1], f.shape[0]


def parse_padding(padding):
    """int, (x, y) or (x0, x1, y0, y1) -> (x0, x1, y0, y1)."""
    if isinstance(padding, int):
        return (padding,) * 4
    padding = [int(p) for p in padding]
    if len(padding) == 2:
        padx, pady = padding
        return padx, padx, pady, pady
    padx0, padx1, pady0, pady1 = padding
    return padx0, padx1, pady0, pady1


def _pair(value):
    x, y = (value, value) if isinstance(value, int) else value
    if x < 1 or y < 1:
        raise ValueError(f"resampling factors must be at least 1, got {value}")
    return int(x), int(y)


def _filter(x, taps, up, down, padding):
    """Correlate with `taps` [h, w] after zero insertion by `up` = (y, x), keep every `down`-th sample."""
    (upy, upx), (downy, downx), (pady0, pady1, padx0, padx1) = up, down, padding
    n, c, h, w = x.shape
    fh, fw = taps.shape
    if (fh, fw) == (1, 1) and up == (1, 1) and down == (1, 1) and padding == (0, 0, 0, 0):
        return x * taps
    if upx == 1 and upy == 1:
        if min(padding) < 0 or padx0 != padx1 or pady0 != pady1:  # what the convolution cannot pad itself
            x = F.pad(x, [padx0, padx1, pady0, pady1])
            padx0 = pady0 = 0
        kernel = taps.expand(c, 1, fh, fw)
        return F.conv2d(x, kernel, stride=(downy, downx), padding=(pady0, padx0), groups=c)
    # A transposed convolution scatters x * taps onto the finer grid: it gives (h - 1) * up + f samples, which is the
    # full correlation with flipped taps of the zero-inserted signal without its trailing up - 1 zeros.
    kernel = taps.flip([0, 1]).expand(c, 1, fh, fw)
    y = F.conv_transpose2d(x, kernel, stride=(upy, upx), groups=c)
    # The full result starts fh - 1 samples before the first input sample; bring it to the requested padding.
    edges = [padx0 - (fw - 1), padx1 + (upx - 1) - (fw - 1), pady0 - (fh - 1), pady1 + (upy - 1) - (fh - 1)]
    y = F.pad(y, edges) if any(edges) else y
    return y[:, :, ::downy, ::downx] if max(down) > 1 else y
