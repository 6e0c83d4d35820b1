"""A synthesis layer as one function: what inversion, inference and training run on the CPU.

Modulated convolution, noise, bias, leaky ReLU, gain and clamp, written so that memory is touched as rarely as possible.
Nothing but the layer's input and output is kept for the backward pass: the output's sign tells the slope of the
activation, and sums over pixels that the gradients of styles and demodulation need follow from the output itself:

    y = act(z + noise + bias) gain,  z = d * conv(s * x)   =>   sum(dz z) = sum(dy y) - sum(dz noise) - bias sum(dz)

since dz t = dy y for the leaky ReLU's input t = z + noise + bias. Gradients of weight and bias are computed where they
are trained. The tail works through the picture in bands of rows that stay in the cache.
"""

from contextlib import contextmanager

import torch
import torch.nn.functional as F

from .conv2d_resample import conv2d_resample
from .cpu_bias_act import bands
from .upfirdn2d import upfirdn2d

_separate = False


@contextmanager
def separate_operators():
    """In here layers are made of the single operators, which is the better way where a derivative is differentiated
    again: this function would then compute the layer twice."""
    global _separate
    before, _separate = _separate, True
    try:
        yield
    finally:
        _separate = before


def cpu_layer_applies(x, weight, act, gain):
    """Whether `cpu_layer` may take the place of the operators: CPU, float32, 3x3, leaky ReLU."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and weight.shape[2:] == (3, 3)
        and act == "lrelu"
        and gain > 0
        and not _separate
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


def cpu_layer(x, weight, styles, noise, bias, up, padding, resample_filter, gain, clamp, slope=0.2):
    """clamp(lrelu(modulated_conv2d(x, weight, styles, noise) + bias) gain), with gradients to all of these.

    x [N, Cin, H, W], weight [Cout, Cin, k, k], styles [N, Cin], noise broadcastable to [N, 1, H up, W up] or None, bias
    [Cout]. Differentiable twice.
    """
    factors = (styles.square() @ weight.square().sum([2, 3]).T + 1e-8).rsqrt()  # [N, Cout]
    settings = (up, padding, resample_filter, gain, clamp, slope)
    return _Layer.apply(x, styles, factors, noise, weight, bias, settings)


def _convolve(x, weight, settings):
    up, padding, resample_filter = settings[:3]
    return conv2d_resample(x, weight, resample_filter, up, 1, padding, flip_weight=up == 1)


def _convolve_adjoint(dz, weight, settings, size):
    """The transpose of `_convolve`: gradient [N, Cin, *size] at its input from the gradient at its output."""
    up, padding = settings[:2]
    if up == 1:
        return F.conv2d(dz, weight.transpose(0, 1).flip([2, 3]), padding=weight.shape[2] - 1 - padding)
    return F.conv2d(_before_filter(dz, weight, settings, size), weight.transpose(0, 1), stride=2)


def _weight_gradient(dz, x, weight, settings):
    """[Cout, Cin, k, k] from the gradient at the output of `_convolve` and its input."""
    up, padding = settings[:2]
    if up == 1:
        return _of_weight(dz, x, weight, 1, padding)
    dz = _before_filter(dz, weight, settings, x.shape[2:])
    return _of_weight(x, dz, weight.transpose(0, 1), 2, 0).transpose(0, 1)  # a convolution with the ends exchanged


def _of_weight(dy, x, weight, stride, padding):
    arguments = (None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1, [False, True, False])
    return torch.ops.aten.convolution_backward(dy, x, weight, *arguments)[1]


def _before_filter(dz, weight, settings, size):
    """Between the transposed convolution and the FIR filter that follows it, from the gradient behind that."""
    _, padding, f = settings[:3]
    taps, kernel = f.shape[-1], weight.shape[2]
    before = taps - 1 - (padding + (taps + 1) // 2 - (kernel - 1))
    height, width = (2 * (length - 1) + kernel for length in size)
    pads = (before, width - dz.shape[3] + taps - 1 - before, before, height - dz.shape[2] + taps - 1 - before)
    return upfirdn2d(dz, f, padding=pads, flip_filter=True, gain=4)


def _plain(x, styles, factors, noise, weight, bias, settings):
    """The same function in differentiable operators."""
    *_, gain, clamp, slope = settings
    z = _convolve(x * styles[:, :, None, None], weight, settings) * factors[:, :, None, None]
    z = z + bias[:, None, None] if noise is None else z + noise + bias[:, None, None]
    y = F.leaky_relu(z, slope) * gain
    return y if clamp is None else y.clamp(-clamp, clamp)


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, styles, factors, noise, weight, bias, settings):
        *_, gain, clamp, slope = settings
        if len(x) == 1:  # scale the weight, not the picture
            modulated = weight * styles[0, :, None, None] * (factors[0] * gain)[:, None, None, None]
            y = _convolve(x, modulated, settings)
            scale = None
        else:
            y = _convolve(x * styles[:, :, None, None], weight, settings)
            scale = (factors * gain)[:, :, None, None]
        shift = (bias * gain)[:, None, None]
        for rows in bands(y):
            band = y[:, :, rows]
            if scale is not None:
                band.mul_(scale)
            band.add_(shift)
            if noise is not None:
                band.add_(noise[..., rows, :], alpha=gain)
            F.leaky_relu_(band, slope)
            if clamp is not None:
                band.clamp_(-clamp, clamp)
        ctx.settings = settings
        ctx.save_for_backward(x, styles, factors, noise, weight, bias, y)
        return y

    @staticmethod
    def backward(ctx, dy):
        x, styles, factors, noise, weight, bias, y = ctx.saved_tensors
        if torch.is_grad_enabled():  # asked to be differentiated again
            inputs = (x, styles, factors, noise, weight, bias)
            # Aliases, so that the path from styles and weight to factors is not counted here too.
            aliases = [None if t is None else t.view_as(t) for t in inputs]
            wanted = [t for t, needed in zip(aliases, ctx.needs_input_grad, strict=False) if needed]
            found = iter(torch.autograd.grad(_plain(*aliases, ctx.settings), wanted, dy, create_graph=True))
            return (*(next(found) if needed else None for needed in ctx.needs_input_grad[:6]), None)

        *_, gain, clamp, slope = ctx.settings
        dz = torch.empty_like(y)  # gradient at the input of the activation, times gain
        total_yy = y.new_zeros(y.shape[:2])  # sum over pixels of dy y
        total = y.new_zeros(y.shape[:2])  # of dz
        total_noise = y.new_zeros(y.shape[:2])  # of dz noise
        dnoise = None if noise is None or not ctx.needs_input_grad[3] else torch.empty_like(y[:, :1])
        for rows in bands(y):
            up_band, out, band = dy[:, :, rows], y[:, :, rows], dz[:, :, rows]
            if clamp is not None:
                up_band = up_band * (out.abs() < clamp)
            torch.ops.aten.leaky_relu_backward.grad_input(up_band, out, slope, True, grad_input=band)
            total_yy += (up_band * out).sum([2, 3])
            total += band.sum([2, 3])
            if noise is not None:
                total_noise += (band * noise[..., rows, :]).sum([2, 3])
                if dnoise is not None:
                    dnoise[:, :, rows] = band.sum(1, keepdim=True)
        # sum(dz z) gain; every factor's gradient is that over the factor
        inner = total_yy - gain * (total * bias + total_noise)
        dfactors = inner / factors
        if dnoise is not None:
            dnoise = (dnoise * gain).sum_to_size(noise.shape)

        scale = (factors * gain)[:, :, None, None]  # [N, Cout, 1, 1]
        dweight = None
        if len(x) == 1:
            dx = _convolve_adjoint(dz, weight * scale[0, :, None], ctx.settings, x.shape[2:])
            if ctx.needs_input_grad[4]:
                of_modulated = _weight_gradient(dz, x, weight, ctx.settings)
                dweight = of_modulated * styles[0, :, None, None] * scale[0, :, None]
        else:
            dx = _convolve_adjoint(dz.mul_(scale), weight, ctx.settings, x.shape[2:])
            if ctx.needs_input_grad[4]:
                dweight = _weight_gradient(dz, x * styles[:, :, None, None], weight, ctx.settings)
        dstyles = x.new_zeros(styles.shape)
        for rows in bands(x):
            band = dx[:, :, rows]
            dstyles += (band * x[:, :, rows]).sum([2, 3])
            band.mul_(styles[:, :, None, None])
        return dx, dstyles, dfactors, dnoise, dweight, gain * total.sum(0), None
