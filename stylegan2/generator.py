"""The StyleGAN2 generator: mapping network z -> w, synthesis network w+ -> image (Karras et al. 2020, fig. 2).

State-dict keys and maths equal the official StyleGAN2-ADA release.
"""

import math

import torch
from torch import nn

from .layers import Conv2dLayer, FullyConnectedLayer, block_resolutions, channels_at
from .ops import bias_act, modulated_conv2d, setup_filter, upsample2d
from .ops.bias_act import default_gain
from .ops.cpu_layer import cpu_layer, cpu_layer_applies
from .precision import half_dtype


def normalize_2nd_moment(x, dim=1, eps=1e-8):
    """Scale to unit mean square along `dim`."""
    return x * (x.square().mean(dim=dim, keepdim=True) + eps).rsqrt()


class MappingNetwork(nn.Module):
    """z [N, z_dim] (and label c [N, c_dim]) -> w_plus [N, num_ws, w_dim], or [N, w_dim] when `num_ws` is None.

    `w_avg` follows the mean of w during training; truncation pulls the first `truncation_cutoff` rows toward it.
    """

    def __init__(self, z_dim, c_dim, w_dim, num_ws, num_layers=8, embed_features=None, layer_features=None,
                 activation="lrelu", lr_multiplier=0.01, w_avg_beta=0.995):  # fmt: skip
        super().__init__()
        self.z_dim, self.c_dim, self.w_dim, self.num_ws = z_dim, c_dim, w_dim, num_ws
        self.num_layers, self.w_avg_beta = num_layers, w_avg_beta
        embed_features = w_dim if embed_features is None else embed_features
        embed_features = embed_features if c_dim else 0
        layer_features = w_dim if layer_features is None else layer_features
        features = [z_dim + embed_features] + [layer_features] * (num_layers - 1) + [w_dim]
        if c_dim:
            self.embed = FullyConnectedLayer(c_dim, embed_features)
        for i in range(num_layers):
            layer = FullyConnectedLayer(
                features[i], features[i + 1], activation=activation, lr_multiplier=lr_multiplier
            )
            setattr(self, f"fc{i}", layer)
        if num_ws is not None and w_avg_beta is not None:
            self.register_buffer("w_avg", torch.zeros([w_dim]))

    def forward(self, z, c=None, truncation_psi=1, truncation_cutoff=None, update_w_avg=None):
        x = None
        if self.z_dim:
            x = normalize_2nd_moment(z.float())
        if self.c_dim:
            y = normalize_2nd_moment(self.embed(c.float()))
            x = y if x is None else torch.cat([x, y], dim=1)
        for i in range(self.num_layers):
            x = getattr(self, f"fc{i}")(x)
        if update_w_avg is None:
            update_w_avg = self.training
        if update_w_avg and self.w_avg_beta is not None:
            self.w_avg.copy_(x.detach().mean(dim=0).lerp(self.w_avg, self.w_avg_beta))
        if self.num_ws is None:
            return x
        x = x[:, None, :].repeat(1, self.num_ws, 1)  # [N, num_ws, w_dim]
        if truncation_psi != 1:
            rows = slice(truncation_cutoff)
            x = torch.cat([self.w_avg.lerp(x[:, rows], truncation_psi), x[:, x[:, rows].shape[1] :]], dim=1)
        return x


class SynthesisLayer(nn.Module):
    """Modulated convolution, noise, bias, activation."""

    def __init__(self, in_channels, out_channels, w_dim, resolution, kernel_size=3, up=1, use_noise=True,
                 activation="lrelu", resample_filter=(1, 3, 3, 1), conv_clamp=None):  # fmt: skip
        super().__init__()
        self.resolution, self.up, self.use_noise = resolution, up, use_noise
        self.activation, self.conv_clamp, self.padding = activation, conv_clamp, kernel_size // 2
        self.affine = FullyConnectedLayer(w_dim, in_channels, bias_init=1)
        self.weight = nn.Parameter(torch.randn([out_channels, in_channels, kernel_size, kernel_size]))
        if use_noise:
            self.register_buffer("noise_const", torch.randn([resolution, resolution]))
            self.noise_strength = nn.Parameter(torch.zeros([]))
        self.bias = nn.Parameter(torch.zeros([out_channels]))
        self.register_buffer("resample_filter", setup_filter(list(resample_filter)))

    def forward(self, x, w, noise_mode="random", noise=None, fused_modconv=False, gain=1):
        if noise_mode not in ("random", "const", "none"):
            raise ValueError(f"noise_mode must be random, const or none, got {noise_mode!r}")
        styles = self.affine(w)  # [N, Cin]
        if self.use_noise and noise_mode != "none":
            if noise is None and noise_mode == "random":
                noise = torch.randn([x.shape[0], 1, self.resolution, self.resolution], device=x.device)
            elif noise is None:
                noise = self.noise_const
            noise = noise * self.noise_strength
        else:
            noise = None
        clamp = None if self.conv_clamp is None else self.conv_clamp * gain
        gain = default_gain(self.activation) * gain
        if not fused_modconv and cpu_layer_applies(x, self.weight, self.activation, gain):
            filter_ = self.resample_filter
            return cpu_layer(x, self.weight, styles, noise, self.bias, self.up, self.padding, filter_, gain, clamp)
        x = modulated_conv2d(
            x, self.weight, styles, noise=noise, up=self.up, padding=self.padding,
            resample_filter=self.resample_filter, flip_weight=self.up == 1, fused_modconv=fused_modconv,
        )  # fmt: skip
        return bias_act(x, self.bias, act=self.activation, gain=gain, clamp=clamp)


class ToRGBLayer(nn.Module):
    """1x1 modulated convolution without demodulation: features -> picture."""

    def __init__(self, in_channels, out_channels, w_dim, kernel_size=1, conv_clamp=None):
        super().__init__()
        self.conv_clamp = conv_clamp
        self.affine = FullyConnectedLayer(w_dim, in_channels, bias_init=1)
        self.weight = nn.Parameter(torch.randn([out_channels, in_channels, kernel_size, kernel_size]))
        self.bias = nn.Parameter(torch.zeros([out_channels]))
        self.weight_gain = 1 / math.sqrt(in_channels * kernel_size**2)

    def forward(self, x, w, fused_modconv=False):
        styles = self.affine(w) * self.weight_gain
        x = modulated_conv2d(x, self.weight, styles, demodulate=False, fused_modconv=fused_modconv)
        return bias_act(x, self.bias, clamp=self.conv_clamp)


class SynthesisBlock(nn.Module):
    """One resolution: (conv0 with 2x up-sampling,) conv1, and toRGB where the architecture has one."""

    def __init__(self, in_channels, out_channels, w_dim, resolution, img_channels, is_last, architecture="skip",
                 resample_filter=(1, 3, 3, 1), conv_clamp=None, use_half=False, **layer_kwargs):  # fmt: skip
        super().__init__()
        if architecture not in ("orig", "skip", "resnet"):
            raise ValueError(f"architecture must be orig, skip or resnet, got {architecture!r}")
        self.in_channels, self.architecture, self.use_half = in_channels, architecture, use_half
        self.register_buffer("resample_filter", setup_filter(list(resample_filter)))
        self.num_conv = self.num_torgb = 0
        common = dict(w_dim=w_dim, resolution=resolution, conv_clamp=conv_clamp, **layer_kwargs)
        if in_channels == 0:
            self.const = nn.Parameter(torch.randn([out_channels, resolution, resolution]))
        else:
            self.conv0 = SynthesisLayer(in_channels, out_channels, up=2, resample_filter=resample_filter, **common)
            self.num_conv += 1
        self.conv1 = SynthesisLayer(out_channels, out_channels, **common)
        self.num_conv += 1
        if is_last or architecture == "skip":
            self.torgb = ToRGBLayer(out_channels, img_channels, w_dim=w_dim, conv_clamp=conv_clamp)
            self.num_torgb += 1
        if in_channels != 0 and architecture == "resnet":
            self.skip = Conv2dLayer(in_channels, out_channels, 1, bias=False, up=2, resample_filter=resample_filter)

    def forward(self, x, img, ws, noise_mode="random", noise=None, fused_modconv=False):
        """x [N, Cin, R/2, R/2] or None, img [N, 3, R/2, R/2] or None, ws [N, num_conv + num_torgb, w_dim], noise a list
        of num_conv tensors or None. Returns (x, img) at resolution R; img is float32."""
        dtype = half_dtype(ws.device) if self.use_half else torch.float32
        if self.training:
            fused_modconv = False  # one shared weight gradient instead of N
        w = iter(ws.unbind(dim=1))
        noise = iter(noise if noise is not None else [None] * self.num_conv)
        layer = dict(noise_mode=noise_mode, fused_modconv=fused_modconv)
        if self.in_channels == 0:
            x = self.const.to(dtype)[None].expand(ws.shape[0], -1, -1, -1).contiguous(memory_format=torch.channels_last)
            x = self.conv1(x, next(w), noise=next(noise), **layer)
        elif self.architecture == "resnet":
            x = x.to(dtype)
            y = self.skip(x, gain=math.sqrt(0.5))
            x = self.conv0(x, next(w), noise=next(noise), **layer)
            x = y + self.conv1(x, next(w), noise=next(noise), gain=math.sqrt(0.5), **layer)
        else:
            x = self.conv0(x.to(dtype), next(w), noise=next(noise), **layer)
            x = self.conv1(x, next(w), noise=next(noise), **layer)
        if img is not None:
            img = upsample2d(img, self.resample_filter)
        if self.num_torgb:
            y = self.torgb(x, next(w), fused_modconv=fused_modconv).float()
            img = y if img is None else img + y
        return x, img


class SynthesisNetwork(nn.Module):
    """w_plus [N, num_ws, w_dim] -> image [N, img_channels, R, R], about [-1, 1] (not clipped).

    The `num_fp16_res` highest resolutions run in half precision (precision.py).
    """

    def __init__(self, w_dim, img_resolution, img_channels, channel_base=32768, channel_max=512, num_fp16_res=0,
                 **block_kwargs):  # fmt: skip
        super().__init__()
        self.w_dim, self.img_resolution, self.img_channels = w_dim, img_resolution, img_channels
        self.block_resolutions = block_resolutions(img_resolution)
        self.num_ws = 0
        in_channels = 0
        for index, resolution in enumerate(self.block_resolutions):
            out_channels = channels_at(resolution, channel_base, channel_max)
            is_last = resolution == img_resolution
            block = SynthesisBlock(
                in_channels, out_channels, w_dim=w_dim, resolution=resolution, img_channels=img_channels,
                is_last=is_last, use_half=index >= len(self.block_resolutions) - num_fp16_res, **block_kwargs,
            )  # fmt: skip
            setattr(self, f"b{resolution}", block)
            self.num_ws += block.num_conv + (block.num_torgb if is_last else 0)
            in_channels = out_channels

    def blocks(self):
        """The blocks from 4x4 up."""
        return [getattr(self, f"b{resolution}") for resolution in self.block_resolutions]

    def noise_shapes(self):
        """[(R, R), ...]: the size of every noise input, in the order `forward(noise=...)` takes them."""
        pairs = zip(self.block_resolutions, self.blocks(), strict=True)
        return [(resolution, resolution) for resolution, block in pairs for _ in range(block.num_conv)]

    def forward(self, ws, noise_mode="random", noise=None, fused_modconv=False):
        """noise: None, or a tensor a layer, [N or 1, 1, R, R] (see `noise_shapes`), instead of `noise_mode`'s."""
        if ws.ndim != 3 or ws.shape[1:] != (self.num_ws, self.w_dim):
            raise ValueError(f"w_plus must be [N, {self.num_ws}, {self.w_dim}], got {list(ws.shape)}")
        ws = ws.float()
        x = img = None
        row = layer = 0
        for block in self.blocks():
            # A block's toRGB shares its row with the first layer of the next block.
            block_ws = ws[:, row : row + block.num_conv + block.num_torgb]
            block_noise = None if noise is None else noise[layer : layer + block.num_conv]
            x, img = block(x, img, block_ws, noise_mode, block_noise, fused_modconv)
            row += block.num_conv
            layer += block.num_conv
        return img


class Generator(nn.Module):
    """z [N, z_dim] (and label c [N, c_dim]) -> image [N, img_channels, R, R].

    Constructor arguments are the official ones; `mapping_kwargs` and `synthesis_kwargs` go to the two networks.
    """

    def __init__(self, z_dim, c_dim, w_dim, img_resolution, img_channels, mapping_kwargs=None, synthesis_kwargs=None):
        super().__init__()
        self.config = dict(
            z_dim=z_dim, c_dim=c_dim, w_dim=w_dim, img_resolution=img_resolution, img_channels=img_channels,
            mapping_kwargs=dict(mapping_kwargs or {}), synthesis_kwargs=dict(synthesis_kwargs or {}),
        )  # fmt: skip
        self.z_dim, self.c_dim, self.w_dim = z_dim, c_dim, w_dim
        self.img_resolution, self.img_channels = img_resolution, img_channels
        self.synthesis = SynthesisNetwork(w_dim, img_resolution, img_channels, **(synthesis_kwargs or {}))
        self.num_ws = self.synthesis.num_ws
        self.mapping = MappingNetwork(z_dim, c_dim, w_dim, self.num_ws, **(mapping_kwargs or {}))

    def forward(self, z, c=None, truncation_psi=1, truncation_cutoff=None, **synthesis_kwargs):
        ws = self.mapping(z, c, truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff)
        return self.synthesis(ws, **synthesis_kwargs)
