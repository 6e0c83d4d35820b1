"""The sketch extractor S: photo -> line drawing.

Layer list and state-dict keys follow the sketch generator of DeepFaceEditing (Chen et al. 2021, section 3.2), the
network that Eq. 1 of the paper compares two portraits with. The released one has ngf 32, 4 down-samplings and 9
residual blocks; the demo one is smaller.
"""

import torch
from torch import nn


class ConvNorm(nn.Module):
    """Reflection-padded 3x3 convolution followed by instance normalisation; one half of a residual block."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")
        self.norm = nn.InstanceNorm2d(channels, eps=1e-5, affine=True)

    def forward(self, x):
        return self.norm(self.conv(x))


class ResidualBlock(nn.Module):
    """x + f(x), f = two ConvNorm with one ReLU between them and nothing after the sum."""

    def __init__(self, channels):
        super().__init__()
        self.conv_block = nn.ModuleList([ConvNorm(channels), ConvNorm(channels)])

    def forward(self, x):
        return x + self.conv_block[1](torch.relu(self.conv_block[0](x)))


class SketchExtractor(nn.Module):
    """Image [N, 3, H, W] in [-1, 1] -> drawing [N, 3, H, W] in [-1, 1], white paper (+1) and dark strokes.

    H and W must be multiples of 2 ** n_downsampling (ValueError otherwise). Works in any mode: there is no dropout and
    instance normalisation keeps no running statistics.
    """

    def __init__(self, ngf=32, n_downsampling=4, n_blocks=9):
        super().__init__()
        self.config = {"ngf": ngf, "n_downsampling": n_downsampling, "n_blocks": n_blocks}
        self.multiple = 2**n_downsampling

        def norm_relu(channels):
            return [nn.InstanceNorm2d(channels, eps=1e-5, affine=True), nn.ReLU()]

        layers = [nn.ReflectionPad2d(3), nn.Conv2d(3, ngf, 7), *norm_relu(ngf)]
        for level in range(n_downsampling):  # [ngf, H, W] -> [ngf * 2^n, H / 2^n, W / 2^n]
            channels = ngf * 2 ** (level + 1)
            layers += [nn.Conv2d(channels // 2, channels, 3, stride=2, padding=1), *norm_relu(channels)]
        layers += [ResidualBlock(ngf * self.multiple) for _ in range(n_blocks)]
        for level in reversed(range(n_downsampling)):  # and back to [ngf, H, W]
            channels = ngf * 2**level
            up = nn.ConvTranspose2d(channels * 2, channels, 3, stride=2, padding=1, output_padding=1)
            layers += [up, *norm_relu(channels)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(ngf, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)  # the indices in here are part of the state-dict keys

    def forward(self, x):
        height, width = x.shape[2:]
        if height % self.multiple or width % self.multiple:
            raise ValueError(f"sketch extractor: {height}x{width} is not a multiple of {self.multiple}; resize first")
        return self.model(x)
