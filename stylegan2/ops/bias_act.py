"""Bias, activation, gain, clamp, in this order: the pointwise tail of every StyleGAN2 layer.

This is the reference in torch operations; on CUDA a kernel of our own does it in one pass (native.py).
"""

import math

import torch
import torch.nn.functional as F

from . import cpu_bias_act, native

_SQRT2 = math.sqrt(2)
HOMOGENEOUS = {"linear", "relu", "lrelu"}  # g act(x) = act(g x) for g > 0
# name -> (function of (x, alpha), default alpha, default gain)
ACTIVATIONS = {
    "linear": (lambda x, alpha: x, 0.0, 1.0),
    "relu": (lambda x, alpha: F.relu(x), 0.0, _SQRT2),
    "lrelu": (lambda x, alpha: F.leaky_relu(x, alpha), 0.2, _SQRT2),
    "tanh": (lambda x, alpha: torch.tanh(x), 0.0, 1.0),
    "sigmoid": (lambda x, alpha: torch.sigmoid(x), 0.0, 1.0),
    "elu": (lambda x, alpha: F.elu(x), 0.0, 1.0),
    "selu": (lambda x, alpha: F.selu(x), 0.0, 1.0),
    "softplus": (lambda x, alpha: F.softplus(x), 0.0, 1.0),
    "swish": (lambda x, alpha: torch.sigmoid(x) * x, 0.0, _SQRT2),
}


def default_gain(act):
    """The gain that keeps the variance of a unit-variance input through activation `act`."""
    return ACTIVATIONS[act][2]


def bias_act(x, b=None, dim=1, act="linear", alpha=None, gain=None, clamp=None):
    """y = clamp(act(x + b) * gain), any shape.

    b: [x.shape[dim]] or None. alpha: slope of lrelu (other activations ignore it). gain: None = `default_gain(act)`.
    clamp: None = off, else the output stays within [-clamp, clamp]. Raises ValueError for an unknown activation, a
    bias that does not fit, or a negative clamp.
    """
    if act not in ACTIVATIONS:
        raise ValueError(f"unknown activation {act!r}; one of {', '.join(ACTIVATIONS)}")
    if clamp is not None and clamp < 0:
        raise ValueError(f"clamp must not be negative, got {clamp}")
    function, default_alpha, gain_of_act = ACTIVATIONS[act]
    alpha = default_alpha if alpha is None else alpha
    gain = gain_of_act if gain is None else gain
    if b is not None:
        if b.ndim != 1 or b.shape[0] != x.shape[dim]:
            raise ValueError(f"bias {list(b.shape)} does not fit dimension {dim} of {list(x.shape)}")
        b = b.to(x.dtype)
    if gain > 0 and alpha >= 0 and native.available(x):
        return native.bias_act(x, b, dim % x.ndim, act, alpha, gain, native.OFF if clamp is None else clamp)
    if cpu_bias_act.applies(x, b, act, gain):
        return cpu_bias_act.cpu_bias_act(x, b, alpha, gain, clamp)
    if b is not None:
        b = b.reshape([-1 if i == dim else 1 for i in range(x.ndim)])
        if act in HOMOGENEOUS and gain > 0:  # bias and gain in one pass over x
            x, gain = torch.add(b * gain, x, alpha=gain), 1
        else:
            x = x + b
    x = function(x, alpha)
    if gain != 1:
        x = x * gain
    if clamp is not None:
        x = x.clamp(-clamp, clamp)
    return x
