"""Convolution with built-in up- or down-sampling (Karras et al. 2020, section 4).

A transposed or strided convolution does the resampling and the FIR filter removes its aliases, which costs far less
than filtering the enlarged picture first.
"""

import torch.nn.functional as F

from .upfirdn2d import filter_size, parse_padding, upfirdn2d


def conv2d_resample(x, w, f=None, up=1, down=1, padding=0, groups=1, flip_weight=True, flip_filter=False):
    """Convolve `x` [N, Cin, H, W] with `w` [Cout, Cin // groups, kh, kw] between an up- and a down-sampling.

    f: prepared FIR filter or None. padding: int, (x, y) or (x0, x1, y0, y1), in up-sampled pixels. flip_weight:
    True = correlation (torch's convolution), False = true convolution. Returns [N, Cout, H * up / down, ...].
    """
    kh, kw = w.shape[2:]
    fw, fh = filter_size(f)
    px0, px1, py0, py1 = parse_padding(padding)
    if up > 1:
        px0, px1 = px0 + (fw + up - 1) // 2, px1 + (fw - up) // 2
        py0, py1 = py0 + (fh + up - 1) // 2, py1 + (fh - up) // 2
    if down > 1:
        px0, px1 = px0 + (fw - down + 1) // 2, px1 + (fw - down) // 2
        py0, py1 = py0 + (fh - down + 1) // 2, py1 + (fh - down) // 2

    if not flip_weight and (kh, kw) != (1, 1):
        w = w.flip([2, 3])  # from here on `w` is a correlation kernel

    if (kh, kw) == (1, 1) and down > 1 and up == 1:  # reduce first: the 1x1 convolution then sees fewer pixels
        x = upfirdn2d(x, f, down=down, padding=(px0, px1, py0, py1), flip_filter=flip_filter)
        return F.conv2d(x, w, groups=groups)
    if (kh, kw) == (1, 1) and up > 1 and down == 1:  # enlarge last
        x = F.conv2d(x, w, groups=groups)
        return upfirdn2d(x, f, up=up, padding=(px0, px1, py0, py1), gain=up**2, flip_filter=flip_filter)
    if down > 1 and up == 1:
        x = upfirdn2d(x, f, padding=(px0, px1, py0, py1), flip_filter=flip_filter)
        return F.conv2d(x, w, stride=down, groups=groups)
    if up > 1:
        # Transposed convolution = zero insertion + full convolution with the flipped correlation kernel.
        cout, cin_per_group = w.shape[:2]
        wt = w.flip([2, 3]).reshape(groups, cout // groups, cin_per_group, kh, kw).transpose(1, 2)
        wt = wt.reshape(groups * cin_per_group, cout // groups, kh, kw)
        px0, px1, py0, py1 = px0 - (kw - 1), px1 - (kw - up), py0 - (kh - 1), py1 - (kh - up)
        trimx, trimy = max(min(-px0, -px1), 0), max(min(-py0, -py1), 0)
        x = F.conv_transpose2d(x, wt, stride=up, padding=(trimy, trimx), groups=groups)
        pad = (px0 + trimx, px1 + trimx, py0 + trimy, py1 + trimy)
        x = upfirdn2d(x, f, padding=pad, gain=up**2, flip_filter=flip_filter)
        return upfirdn2d(x, f, down=down, flip_filter=flip_filter) if down > 1 else x
    if px0 == px1 and py0 == py1 and px0 >= 0 and py0 >= 0:
        return F.conv2d(x, w, padding=(py0, px0), groups=groups)
    return F.conv2d(upfirdn2d(x, None, padding=(px0, px1, py0, py1)), w, groups=groups)
