"""The StyleGAN2 discriminator (Karras et al. 2020, section 4.1), residual by default.

State-dict keys and maths equal the official StyleGAN2-ADA release.
"""

import math

import torch
from torch import nn

from .generator import MappingNetwork
from .layers import Conv2dLayer, FullyConnectedLayer, block_resolutions, channels_at
from .ops import downsample2d, setup_filter
from .precision import half_dtype


class DiscriminatorBlock(nn.Module):
    """One resolution R -> R/2; the first block (and every one of the skip architecture) reads the picture."""

    def __init__(self, in_channels, tmp_channels, out_channels, resolution, img_channels, architecture="resnet",
                 activation="lrelu", resample_filter=(1, 3, 3, 1), conv_clamp=None, use_half=False):  # fmt: skip
        super().__init__()
        if architecture not in ("orig", "skip", "resnet"):
            raise ValueError(f"architecture must be orig, skip or resnet, got {architecture!r}")
        self.architecture, self.use_half = architecture, use_half
        self.register_buffer("resample_filter", setup_filter(list(resample_filter)))
        layer = dict(activation=activation, resample_filter=resample_filter, conv_clamp=conv_clamp)
        if in_channels == 0 or architecture == "skip":
            self.fromrgb = Conv2dLayer(img_channels, tmp_channels, 1, **layer)
        self.conv0 = Conv2dLayer(tmp_channels, tmp_channels, 3, **layer)
        self.conv1 = Conv2dLayer(tmp_channels, out_channels, 3, down=2, **layer)
        if architecture == "resnet":
            self.skip = Conv2dLayer(tmp_channels, out_channels, 1, bias=False, down=2, resample_filter=resample_filter)

    def forward(self, x, img):
        """x [N, tmp, R, R] or None, img [N, 3, R, R] or None -> the same at R/2 (img None unless architecture skip)."""
        device = (x if x is not None else img).device
        dtype = half_dtype(device) if self.use_half else torch.float32
        if x is not None:
            x = x.to(dtype)
        if hasattr(self, "fromrgb"):
            y = self.fromrgb(img.to(dtype, memory_format=torch.channels_last))
            x = y if x is None else x + y
            img = downsample2d(img, self.resample_filter) if self.architecture == "skip" else None
        if self.architecture == "resnet":
            y = self.skip(x, gain=math.sqrt(0.5))
            x = self.conv1(self.conv0(x), gain=math.sqrt(0.5))
            return y + x, img
        return self.conv1(self.conv0(x)), img


class MinibatchStdLayer(nn.Module):
    """Append `num_channels` maps holding the mean standard deviation within groups (Karras et al. 2018, section 3)."""

    def __init__(self, group_size, num_channels=1):
        super().__init__()
        self.group_size, self.num_channels = group_size, num_channels

    def forward(self, x):
        n, c, h, w = x.shape
        group = n if self.group_size is None else min(self.group_size, n)
        if n % group:
            raise ValueError(f"a batch of {n} does not divide into groups of {group} for the minibatch deviation")
        f = self.num_channels
        y = x.reshape(group, -1, f, c // f, h, w)  # sample i is grouped with i + N/G, i + 2N/G, ...
        y = y - y.mean(dim=0)
        y = (y.square().mean(dim=0) + 1e-8).sqrt()  # [N/G, F, C/F, H, W]
        y = y.mean(dim=[2, 3, 4]).reshape(-1, f, 1, 1).repeat(group, 1, h, w)
        return torch.cat([x, y], dim=1)


class DiscriminatorEpilogue(nn.Module):
    """4x4 features -> logit [N, 1] (projected on the label embedding when there is one)."""

    def __init__(self, in_channels, cmap_dim, resolution, img_channels, architecture="resnet", mbstd_group_size=4,
                 mbstd_num_channels=1, activation="lrelu", conv_clamp=None):  # fmt: skip
        super().__init__()
        self.cmap_dim, self.architecture = cmap_dim, architecture
        if architecture == "skip":
            self.fromrgb = Conv2dLayer(img_channels, in_channels, 1, activation=activation)
        self.mbstd = MinibatchStdLayer(mbstd_group_size, mbstd_num_channels) if mbstd_num_channels > 0 else None
        self.conv = Conv2dLayer(
            in_channels + mbstd_num_channels, in_channels, 3, activation=activation, conv_clamp=conv_clamp
        )
        self.fc = FullyConnectedLayer(in_channels * resolution**2, in_channels, activation=activation)
        self.out = FullyConnectedLayer(in_channels, 1 if cmap_dim == 0 else cmap_dim)

    def forward(self, x, img, cmap):
        x = x.float()
        if self.architecture == "skip":
            x = x + self.fromrgb(img.float())
        if self.mbstd is not None:
            x = self.mbstd(x)
        x = self.conv(x)
        x = self.out(self.fc(x.flatten(1)))
        if self.cmap_dim:
            x = (x * cmap).sum(dim=1, keepdim=True) / math.sqrt(self.cmap_dim)
        return x


class Discriminator(nn.Module):
    """image [N, img_channels, R, R] (and label c [N, c_dim]) -> logits [N, 1]; positive = looks like training data."""

    def __init__(self, c_dim, img_resolution, img_channels, architecture="resnet", channel_base=32768, channel_max=512,
                 num_fp16_res=0, conv_clamp=None, cmap_dim=None, block_kwargs=None, mapping_kwargs=None,
                 epilogue_kwargs=None):  # fmt: skip
        super().__init__()
        self.config = dict(
            c_dim=c_dim, img_resolution=img_resolution, img_channels=img_channels, architecture=architecture,
            channel_base=channel_base, channel_max=channel_max, num_fp16_res=num_fp16_res, conv_clamp=conv_clamp,
            cmap_dim=cmap_dim, block_kwargs=dict(block_kwargs or {}), mapping_kwargs=dict(mapping_kwargs or {}),
            epilogue_kwargs=dict(epilogue_kwargs or {}),
        )  # fmt: skip
        self.c_dim, self.img_resolution, self.img_channels = c_dim, img_resolution, img_channels
        self.block_resolutions = block_resolutions(img_resolution)[:0:-1]  # R, R/2, ..., 8
        at_4 = channels_at(4, channel_base, channel_max)
        cmap_dim = (at_4 if cmap_dim is None else cmap_dim) if c_dim else 0
        common = dict(img_channels=img_channels, architecture=architecture, conv_clamp=conv_clamp)
        for index, resolution in enumerate(self.block_resolutions):
            tmp = channels_at(resolution, channel_base, channel_max)
            out = channels_at(resolution // 2, channel_base, channel_max)
            block = DiscriminatorBlock(
                0 if index == 0 else tmp, tmp, out, resolution, use_half=index < num_fp16_res,
                **(block_kwargs or {}), **common,
            )  # fmt: skip
            setattr(self, f"b{resolution}", block)
        if c_dim:
            self.mapping = MappingNetwork(0, c_dim, cmap_dim, None, w_avg_beta=None, **(mapping_kwargs or {}))
        self.b4 = DiscriminatorEpilogue(at_4, cmap_dim, 4, **(epilogue_kwargs or {}), **common)

    def forward(self, img, c=None):
        if img.shape[1:] != (self.img_channels, self.img_resolution, self.img_resolution):
            size = f"[N, {self.img_channels}, {self.img_resolution}, {self.img_resolution}]"
            raise ValueError(f"image must be {size}, got {list(img.shape)}")
        x = None
        for resolution in self.block_resolutions:
            x, img = getattr(self, f"b{resolution}")(x, img)
        cmap = self.mapping(None, c) if self.c_dim else None
        return self.b4(x, img, cmap)
