"""The compiled kernels as torch operators: `lifelike::bias_act`, `lifelike::bias_act_grad`, `lifelike::upfirdn2d`.

Registered with fake kernels (torch.compile, meta tensors) and autograd formulas that are made of the same operators, so
derivatives of any order come out. CUDA tensors run the CUDA kernels; CPU tensors run the same per-thread code compiled
for the host, which is for tests: the reference formulation is faster there.
"""

import ctypes
import functools
import warnings

import torch

from . import build

ACTS = ("linear", "relu", "lrelu", "tanh", "sigmoid", "elu", "selu", "softplus", "swish")  # as in bias_act.cu
SIGN_TELLS_SLOPE = ("linear", "relu", "lrelu")
DTYPES = {torch.float32: 0, torch.float64: 1, torch.float16: 2, torch.bfloat16: 3}  # as in portable.h
OFF = -1.0  # no clamp


@functools.cache
def _warn_once(reason):
    warnings.warn(f"custom CUDA ops are off, slower reference ops are used: {reason}", RuntimeWarning, stacklevel=3)


@functools.cache
def _library(device_type, index):
    if device_type == "cuda":
        library = build.cuda_library(torch.cuda.get_device_capability(index))
    else:
        library = build.host_library()
    pointer, whole, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
    library.lifelike_bias_act.argtypes = [
        ctypes.c_int, pointer, pointer, pointer, pointer, whole, whole, whole, ctypes.c_int, real, real, real, pointer,
    ]  # fmt: skip
    library.lifelike_upfirdn2d.argtypes = [
        ctypes.c_int, pointer, pointer, pointer, pointer, pointer, pointer, pointer, ctypes.c_int, real, pointer,
    ]  # fmt: skip
    for function in (library.lifelike_bias_act, library.lifelike_upfirdn2d):
        function.restype = ctypes.c_char_p
    return library


@torch.compiler.assume_constant_result
def available(x):
    """Whether the CUDA kernels can take tensor x; builds them the first time. False, after one warning, if they cannot
    be built here."""
    return x.is_cuda and x.dtype in DTYPES and _loads(x.device.index)


@functools.cache
def _loads(index):
    try:
        _library("cuda", index)
    except build.BuildError as error:
        _warn_once(str(error))
        return False
    return True


def _call(name, x, *arguments):
    device = x.device
    if device.type == "cuda":
        with torch.cuda.device(device):
            stream = torch.cuda.current_stream().cuda_stream
            error = getattr(_library("cuda", device.index), name)(DTYPES[x.dtype], *arguments, stream)
    else:
        error = getattr(_library("cpu", None), name)(DTYPES[x.dtype], *arguments, None)
    if error:
        raise RuntimeError(f"{name}: {error.decode()}")


# -- bias_act


@torch.library.custom_op("lifelike::bias_act", mutates_args=())
def bias_act(x: torch.Tensor, b: torch.Tensor | None, dim: int, act: str, alpha: float, gain: float,
             clamp: float) -> torch.Tensor:  # fmt: skip
    """clamp(act(x + b) * gain); x any shape, b [x.shape[dim]] of the same type, clamp < 0 = off."""
    return _run_bias_act(x, b, None, dim, act, alpha, gain, clamp)


@torch.library.custom_op("lifelike::bias_act_grad", mutates_args=())
def bias_act_grad(dy: torch.Tensor, x: torch.Tensor, b: torch.Tensor | None, dim: int, act: str, alpha: float,
                  gain: float, clamp: float) -> torch.Tensor:  # fmt: skip
    """dy times the derivative of `bias_act` at x. For linear, relu and lrelu, x is the *output* of `bias_act`, b None:
    the sign tells the slope, and the next layer keeps the output anyway."""
    return _run_bias_act(x, b, dy, dim, act, alpha, gain, clamp)


def _run_bias_act(x, b, dy, dim, act, alpha, gain, clamp):
    x = _dense(x)
    if dy is not None and dy.stride() != x.stride():
        dy = torch.empty_like(x).copy_(dy)
    b = None if b is None else b.contiguous()
    out = torch.empty_like(x)
    step = x.stride(dim) if x.shape[dim] > 1 else 1
    _call(
        "lifelike_bias_act", x, x.data_ptr(), None if b is None else b.data_ptr(),
        None if dy is None else dy.data_ptr(), out.data_ptr(), x.numel(), step, x.shape[dim], ACTS.index(act), alpha,
        gain, clamp,
    )  # fmt: skip
    return out


def _dense(x):
    """x itself when its elements fill a block of memory without gaps, else a contiguous copy."""
    order = sorted(range(x.ndim), key=lambda d: (x.stride(d), x.shape[d]))
    expected = 1
    for d in order:
        if x.shape[d] > 1 and x.stride(d) != expected:
            return x.contiguous()
        expected *= x.shape[d]
    return x


@bias_act.register_fake
def _(x, b, dim, act, alpha, gain, clamp):
    return torch.empty_like(_dense(x))


@bias_act_grad.register_fake
def _(dy, x, b, dim, act, alpha, gain, clamp):
    return torch.empty_like(_dense(x))


def _bias_act_setup(ctx, inputs, output):
    x, b, *ctx.rest = inputs
    ctx.has_bias = b is not None
    ctx.save_for_backward(*((output, None) if ctx.rest[1] in SIGN_TELLS_SLOPE else (x, b)))


def _bias_act_backward(ctx, dy):
    x, b = ctx.saved_tensors
    dx = bias_act_grad(dy, x, b, *ctx.rest)
    return dx, _to_bias(dx, ctx.rest[0]) if ctx.has_bias else None, None, None, None, None, None


bias_act.register_autograd(_bias_act_backward, setup_context=_bias_act_setup)


def _bias_act_grad_setup(ctx, inputs, output):
    dy, x, b, *ctx.rest = inputs
    ctx.save_for_backward(dy, x, b)


def _bias_act_grad_backward(ctx, ddx):
    """Of dx = dy * s(x + b): with respect to dy the same operator, with respect to x the second derivative."""
    dy, x, b = ctx.saved_tensors
    dim, act, alpha, gain, clamp = ctx.rest
    to_dy = bias_act_grad(ddx, x, b, *ctx.rest)
    if act in SIGN_TELLS_SLOPE:
        return to_dy, None, None, None, None, None, None, None
    t = x if b is None else x + b.reshape([-1 if d == dim else 1 for d in range(x.ndim)])
    to_x = ddx * dy * gain * _second_derivative(act, t)
    if clamp >= 0:
        to_x = torch.where(bias_act(x, b, *ctx.rest).abs() < clamp, to_x, 0)
    return to_dy, to_x, None if b is None else _to_bias(to_x, dim), None, None, None, None, None


bias_act_grad.register_autograd(_bias_act_grad_backward, setup_context=_bias_act_grad_setup)


def _to_bias(dx, dim):
    return dx.sum([d for d in range(dx.ndim) if d != dim])


def _second_derivative(act, t):
    """act''(t) in torch operations. (Rare: no StyleGAN2 layer has an activation with one.)"""
    s = torch.sigmoid(t)
    if act == "tanh":
        return -2 * torch.tanh(t) * (1 - torch.tanh(t).square())
    if act == "sigmoid":
        return s * (1 - s) * (1 - 2 * s)
    if act == "elu":
        return torch.where(t > 0, 0, t.exp())
    if act == "selu":
        return torch.where(t > 0, 0, 1.0507009873554805 * 1.6732632423543772 * t.exp())
    if act == "softplus":
        return torch.where(t > 20, 0, s * (1 - s))
    return s * (1 - s) * (2 + t * (1 - 2 * s))  # swish


# -- upfirdn2d


@torch.library.custom_op("lifelike::upfirdn2d", mutates_args=())
def upfirdn2d(x: torch.Tensor, f: torch.Tensor, up: list[int], down: list[int], padding: list[int], flip: bool,
              gain: float) -> torch.Tensor:  # fmt: skip
    """x [N, C, H, W], f float32 [h, w], up and down (x, y), padding (x0, x1, y0, y1), flip: correlate with f."""
    f = f.contiguous()
    y = _empty_result(x, f, up, down, padding)
    n, c, h, w = x.shape
    sizes = (ctypes.c_int64 * 6)(n, c, h, w, *y.shape[2:])
    factors = (ctypes.c_int64 * 8)(*up, *down, *f.shape, padding[0], padding[2])
    strides = [(ctypes.c_int64 * 4)(*t.stride()) for t in (x, y)]
    _call("lifelike_upfirdn2d", x, x.data_ptr(), f.data_ptr(), y.data_ptr(), sizes, *strides, factors, int(flip), gain)
    return y


@upfirdn2d.register_fake
def _(x, f, up, down, padding, flip, gain):
    return _empty_result(x, f, up, down, padding)


def _empty_result(x, f, up, down, padding):
    n, c, h, w = x.shape
    fh, fw = f.shape
    out_h = (h * up[1] + padding[2] + padding[3] - fh) // down[1] + 1
    out_w = (w * up[0] + padding[0] + padding[1] - fw) // down[0] + 1
    channels_last = x.is_contiguous(memory_format=torch.channels_last) and c > 1
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return torch.empty([n, c, out_h, out_w], dtype=x.dtype, device=x.device, memory_format=layout)


def _upfirdn2d_setup(ctx, inputs, output):
    x, f, ctx.up, ctx.down, ctx.padding, ctx.flip, ctx.gain = inputs
    ctx.in_size, ctx.out_size = x.shape[2:], output.shape[2:]
    ctx.save_for_backward(f)


def _upfirdn2d_backward(ctx, dy):
    """The transpose: up and down change places, the filter is turned round, the padding restores the input's size."""
    (f,) = ctx.saved_tensors
    (upx, upy), (downx, downy) = ctx.up, ctx.down
    (in_h, in_w), (out_h, out_w) = ctx.in_size, ctx.out_size
    fh, fw = f.shape
    x0, y0 = fw - 1 - ctx.padding[0], fh - 1 - ctx.padding[2]
    x1 = in_w * upx - out_w * downx + fw - upx - x0
    y1 = in_h * upy - out_h * downy + fh - upy - y0
    dx = upfirdn2d(dy, f, [downx, downy], [upx, upy], [x0, x1, y0, y1], not ctx.flip, ctx.gain)
    return dx, None, None, None, None, None, None


upfirdn2d.register_autograd(_upfirdn2d_backward, setup_context=_upfirdn2d_setup)
