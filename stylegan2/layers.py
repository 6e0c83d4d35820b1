"""The two layers that generator and discriminator share, with the equalised learning rate of Karras et al. 2018."""

import math

import torch
from torch import nn

from .ops import bias_act, conv2d_resample, setup_filter
from .ops.bias_act import default_gain


class FullyConnectedLayer(nn.Module):
    """y = act(x W^T + b), [N, in] -> [N, out]; weights are stored with unit variance and scaled at run time."""

    def __init__(self, in_features, out_features, bias=True, activation="linear", lr_multiplier=1, bias_init=0):
        super().__init__()
        self.activation = activation
        self.weight = nn.Parameter(torch.randn([out_features, in_features]) / lr_multiplier)
        self.bias = nn.Parameter(torch.full([out_features], float(bias_init))) if bias else None
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.bias_gain = lr_multiplier

    def forward(self, x):
        w = self.weight.to(x.dtype) * self.weight_gain
        b = None if self.bias is None else self.bias.to(x.dtype) * self.bias_gain
        return bias_act(x @ w.T, b, act=self.activation)


class Conv2dLayer(nn.Module):
    """Convolution, optional 2x up- or down-sampling, bias and activation: [N, Cin, H, W] -> [N, Cout, H', W']."""

    def __init__(self, in_channels, out_channels, kernel_size, bias=True, activation="linear", up=1, down=1,
                 resample_filter=(1, 3, 3, 1), conv_clamp=None, trainable=True):  # fmt: skip
        super().__init__()
        self.activation, self.up, self.down, self.conv_clamp = activation, up, down, conv_clamp
        self.padding = kernel_size // 2
        self.weight_gain = 1 / math.sqrt(in_channels * kernel_size**2)
        weight = torch.randn([out_channels, in_channels, kernel_size, kernel_size])
        bias = torch.zeros([out_channels]) if bias else None
        if trainable:
            self.weight = nn.Parameter(weight)
            self.bias = None if bias is None else nn.Parameter(bias)
        else:
            self.register_buffer("weight", weight)
            self.register_buffer("bias", bias)
        self.register_buffer("resample_filter", setup_filter(list(resample_filter)))

    def forward(self, x, gain=1):
        w = (self.weight * self.weight_gain).to(x.dtype)
        x = conv2d_resample(x, w, self.resample_filter, self.up, self.down, self.padding, flip_weight=self.up == 1)
        clamp = None if self.conv_clamp is None else self.conv_clamp * gain
        return bias_act(x, self.bias, act=self.activation, gain=default_gain(self.activation) * gain, clamp=clamp)


def block_resolutions(img_resolution):
    """[4, 8, ..., img_resolution]; ValueError unless img_resolution is a power of two of at least 4."""
    if img_resolution < 4 or img_resolution & (img_resolution - 1):
        raise ValueError(f"img_resolution must be a power of two of at least 4, got {img_resolution}")
    return [2**i for i in range(2, img_resolution.bit_length())]


def channels_at(resolution, channel_base, channel_max):
    """Feature maps of a block: inversely proportional to its resolution, limited by `channel_max`."""
    return min(channel_base // resolution, channel_max)
