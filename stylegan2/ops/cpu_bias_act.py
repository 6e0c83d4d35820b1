"""bias_act on the CPU: one pass over memory each way, and nothing kept but the output.

The picture is worked through in bands of rows that stay in the cache. For an activation whose sign tells its slope the
derivative follows from the output, which the next layer keeps anyway; it is linear in the upstream gradient, so its own
derivative is the same function again.
"""

import torch
import torch.nn.functional as F

BAND = 2**18  # elements of a band


def bands(x):
    """Slices of rows of [N, C, H, W] with about BAND elements each."""
    rows = max(1, BAND // (x.shape[0] * x.shape[1] * x.shape[3]))
    return [slice(start, start + rows) for start in range(0, x.shape[2], rows)]


def applies(x, b, act, gain):
    """Whether `cpu_bias_act` may take the place of the reference: pictures on the CPU with a bias, leaky ReLU."""
    return (
        x.device.type == "cpu"
        and x.ndim == 4
        and x.dtype in (torch.float32, torch.float64)
        and b is not None
        and act == "lrelu"
        and gain > 0
        and not torch.compiler.is_compiling()
    )


def cpu_bias_act(x, b, slope, gain, clamp):
    """clamp(lrelu(x + b) gain) of x [N, C, H, W], b [C]; differentiable any number of times."""
    return _BiasAct.apply(x, b, slope, gain, clamp)


class _BiasAct(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, b, slope, gain, clamp):
        y, shift = torch.empty_like(x), (b * gain)[:, None, None]
        for rows in bands(x):
            band = y[:, :, rows]
            torch.add(shift, x[:, :, rows], alpha=gain, out=band)
            F.leaky_relu_(band, slope)
            if clamp is not None:
                band.clamp_(-clamp, clamp)
        ctx.save_for_backward(y)
        ctx.settings = (slope, gain, clamp)
        return y

    @staticmethod
    def backward(ctx, dy):
        dx, db = _Derivative.apply(dy, ctx.saved_tensors[0], ctx.settings, ctx.needs_input_grad[1])
        return dx, db, None, None, None


class _Derivative(torch.autograd.Function):
    """(dx, db or None) of dy, where y is the output."""

    @staticmethod
    def forward(ctx, dy, y, settings, with_bias):
        slope, gain, clamp = settings
        dx, db = torch.empty_like(y), y.new_zeros(y.shape[1]) if with_bias else None
        for rows in bands(y):
            upstream, out, band = dy[:, :, rows], y[:, :, rows], dx[:, :, rows]
            if clamp is not None:
                upstream = upstream * (out.abs() < clamp)
            torch.ops.aten.leaky_relu_backward.grad_input(upstream, out, slope, True, grad_input=band)
            band.mul_(gain)
            if with_bias:
                db += band.sum([0, 2, 3])
        ctx.save_for_backward(y)
        ctx.settings = settings
        return dx, db

    @staticmethod
    def backward(ctx, ddx, ddb):
        total = ddx if ddb is None else ddx + ddb[:, None, None]
        return _Derivative.apply(total, ctx.saved_tensors[0], ctx.settings, False)[0], None, None, None
