"""Checkpoints in the layout of rosinality's StyleGAN2, which the pSp and e4e families use: a pure rename of ours.

The leading 1 of convolution weights is dropped; blur and up-sampling kernels are constants of the architecture.
"""

import os
import re
from pathlib import Path

import torch

from ..generator import Generator
from .safe_pickle import CheckpointError


def load_rosinality(path):
    """{"G_ema": generator} from a `.pt` with `g_ema` and, optionally, `latent_avg`; sizes are read off the shapes.

    Where `latent_avg` is absent, the mean of w is computed from 10,000 draws. Raises CheckpointError.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise CheckpointError(f"{path}: not a torch file that can be read safely ({reason})") from error
    state = content.get("g_ema", content.get("g")) if isinstance(content, dict) else None
    if not isinstance(state, dict) or "input.input" not in state:
        found = list(content)[:8] if isinstance(content, dict) else type(content).__name__
        raise CheckpointError(f"{path}: no generator in rosinality's layout (found {found})")
    try:
        return {"G_ema": build_generator(state, content.get("latent_avg"))}
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise CheckpointError(f"{path}: its generator cannot be rebuilt ({reason})") from error


def build_generator(state, latent_avg=None):
    """The Generator of a state dict in that layout; latent_avg [w_dim] or [rows, w_dim], else the mean of 10,000 draws.
    Raises KeyError, RuntimeError and the like where it does not fit."""
    tensors = {}
    for name, tensor in state.items():
        new = rename(name)
        if new is None:
            continue
        if new.endswith(".weight") and tensor.ndim == 5:
            tensor = tensor[0]
        elif new.endswith(("noise_strength", "noise_const", "torgb.bias", "const")):
            tensor = tensor.reshape(_official_shape(new, tensor))
        tensors[new] = tensor.float()
    layers = max(int(m[1]) for m in (re.match(r"mapping\.fc(\d+)\.weight", k) for k in tensors) if m) + 1
    channels = {
        int(m[1]): t.shape[0] for k, t in tensors.items() if (m := re.match(r"synthesis\.b(\d+)\.conv1\.weight", k))
    }
    size, widest = max(channels), max(channels.values())
    narrow = [r * c for r, c in channels.items() if c < widest]
    base = max(narrow) if narrow else size * widest
    w_dim = tensors["synthesis.b4.conv1.affine.weight"].shape[1]
    z_dim = tensors["mapping.fc0.weight"].shape[1]
    widths = {"channel_base": base, "channel_max": widest}
    generator = Generator(z_dim, 0, w_dim, size, 3, {"num_layers": layers}, widths).eval().requires_grad_(False)
    complete = generator.state_dict()  # resampling filters are ours
    absent = {k for k in complete if not k.endswith("resample_filter")} - set(tensors) - {"mapping.w_avg"}
    if not any(k.endswith("noise_const") for k in tensors):  # fresh training snapshots may come without noise maps
        absent = {k for k in absent if not k.endswith("noise_const")}
    if absent or set(tensors) - set(complete):
        raise KeyError(f"missing {sorted(absent)[:3]}, unknown {sorted(set(tensors) - set(complete))[:3]}")
    generator.load_state_dict(complete | tensors)
    if latent_avg is None:
        z = torch.randn([10_000, z_dim], generator=torch.Generator().manual_seed(0))
        latent_avg = generator.mapping(z)[:, 0].mean(0)
    generator.mapping.w_avg.copy_(latent_avg.float().reshape(-1, w_dim)[0])
    return generator


def rename(name):
    """rosinality's tensor name -> ours; None for constants that are dropped."""
    if name.endswith(".kernel"):
        return None
    if m := re.fullmatch(r"style\.(\d+)\.(weight|bias)", name):
        return f"mapping.fc{int(m[1]) - 1}.{m[2]}"
    if name == "input.input":
        return "synthesis.b4.const"
    if m := re.fullmatch(r"noises\.noise_(\d+)", name):
        return f"synthesis.{_layer(int(m[1]))}.noise_const"
    if m := re.fullmatch(r"(conv1|convs\.(\d+))\.(.+)", name):
        inner = {"conv.weight": "weight", "conv.modulation.weight": "affine.weight",
                 "conv.modulation.bias": "affine.bias", "noise.weight": "noise_strength",
                 "activate.bias": "bias"}[m[3]]  # fmt: skip
        return f"synthesis.{_layer(0 if m[2] is None else int(m[2]) + 1)}.{inner}"
    if m := re.fullmatch(r"(to_rgb1|to_rgbs\.(\d+))\.(.+)", name):
        inner = {"bias": "bias", "conv.weight": "weight", "conv.modulation.weight": "affine.weight",
                 "conv.modulation.bias": "affine.bias"}[m[3]]  # fmt: skip
        return f"synthesis.b{4 if m[2] is None else 8 * 2 ** int(m[2])}.torgb.{inner}"
    raise KeyError(f"unknown tensor {name}")


def _layer(index):
    """0 -> b4.conv1, 1 -> b8.conv0, 2 -> b8.conv1, 3 -> b16.conv0, ..."""
    return "b4.conv1" if index == 0 else f"b{4 * 2 ** ((index + 1) // 2)}.conv{(index + 1) % 2}"


def _official_shape(name, tensor):
    if name.endswith("noise_strength"):
        return []
    return tensor.shape[-2:] if name.endswith("noise_const") else [3] if name.endswith("bias") else tensor.shape[1:]


def save_rosinality(path, generator):
    """Write a skip generator with unconditional mapping as {"g_ema", "latent_avg"} in rosinality's layout, atomically.

    Raises ValueError for networks that layout cannot hold.
    """
    ours = generator.state_dict()
    if generator.c_dim or any(block.architecture != "skip" for block in generator.synthesis.blocks()):
        raise ValueError("rosinality's layout holds unconditional skip generators only")
    state = {}
    for name in _rosinality_names(generator.img_resolution, generator.mapping.num_layers):
        if name.endswith(".kernel"):
            taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
            state[name] = taps.outer(taps) / 64 * 4  # the layout stores the up-sampling gain in the kernel
            continue
        tensor = ours[rename(name)]
        if name.endswith("conv.weight") or name == "input.input":
            tensor = tensor[None]
        elif name.endswith("noise.weight"):
            tensor = tensor.reshape(1)
        elif name.startswith("noises."):
            tensor = tensor[None, None]
        elif name.startswith("to_rgb") and name.split(".")[-2] != "modulation" and name.endswith(".bias"):
            tensor = tensor.reshape(1, 3, 1, 1)
        state[name] = tensor.contiguous()
    temporary = Path(path).with_name(Path(path).name + ".part")
    torch.save({"g_ema": state, "latent_avg": ours["mapping.w_avg"]}, temporary)
    os.replace(temporary, path)


def _rosinality_names(resolution, mapping_layers):
    """All tensor names of that layout for a given size, in its order."""
    names = [f"style.{i + 1}.{kind}" for i in range(mapping_layers) for kind in ("weight", "bias")]
    names.append("input.input")
    convs = 2 * (resolution.bit_length() - 3)
    layers = ["conv1", "to_rgb1", *(f"convs.{i}" for i in range(convs)), *(f"to_rgbs.{i}" for i in range(convs // 2))]
    for layer in layers:
        rgb = layer.startswith("to_rgb")
        inner = ["bias"] if rgb else []
        inner += ["upsample.kernel"] if layer.startswith("to_rgbs") else []
        inner += ["conv.weight"]
        inner += ["conv.blur.kernel"] if layer in [f"convs.{i}" for i in range(0, convs, 2)] else []
        inner += ["conv.modulation.weight", "conv.modulation.bias"]
        inner += [] if rgb else ["noise.weight", "activate.bias"]
        names += [f"{layer}.{kind}" for kind in inner]
    return names + [f"noises.noise_{i}" for i in range(convs + 1)]
