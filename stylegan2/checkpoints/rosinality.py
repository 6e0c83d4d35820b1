"""Checkpoints in the layout of rosinality's StyleGAN2, which the pSp and e4e families use: a pure rename of ours.

The leading 1 of convolution weights is dropped; blur and up-sampling kernels are constants of the architecture.
"""

import re

import torch

from weights.files import REMEDY, first_line, written_atomically
from weights.networks import FAILURES, filled, state_of

from ..discriminator import Discriminator
from ..generator import Generator
from ..ops import setup_filter
from .safe_pickle import CheckpointError

FILTER = (1, 3, 3, 1)
DEEPEST = 20  # doublings of the resolution: more have never been trained


def read_rosinality(content, path):
    """{"G" | "G_ema" | "D": function that builds it} of what is in a `.pt`, as its training script saves it: any of
    `g`, `g_ema`, `d`, and `latent_avg`; or the generator's state dict alone. {} if it is no such file.

    Sizes are read off the shapes. Where `latent_avg` is absent, the mean of w is computed from 10,000 draws. Names may
    have prefixes ("module."). The functions raise CheckpointError.
    """
    if not isinstance(content, dict):
        return {}
    saved = {"G": content.get("g"), "G_ema": content.get("g_ema")}
    if not any(isinstance(state, dict) for state in saved.values()):
        saved = {"G_ema": content}
    average = content.get("latent_avg")
    found = {
        name: (lambda state=state: build_generator(path, state, average))
        for name, state in saved.items()
        if isinstance(state, dict) and _holds(state, "input.input")
    }
    if found and isinstance(content.get("d"), dict) and content["d"]:
        found["D"] = lambda: build_discriminator(path, content["d"])
    return found


def _holds(state, anchor):
    """Whether a state dict, or one in it, has a tensor of that name, after any prefix."""
    try:
        return bool(state_of(state, anchor, "", ""))
    except CheckpointError:
        return False


def build_generator(path, state, latent_avg=None, what="a generator in rosinality's layout"):
    """The Generator of a state dict in that layout; latent_avg [w_dim] or [rows, w_dim], else the mean of 10,000 draws.
    Raises CheckpointError, naming `path`, where it does not fit; `what` it is called."""
    try:
        tensors = {}
        for name, tensor in state_of(state, "input.input", path, what).items():
            new = rename(name)
            if new is None:
                continue
            if new.endswith(".weight") and tensor.ndim == 5:
                tensor = tensor[0]
            elif new.endswith(("noise_strength", "noise_const", "torgb.bias", "const")):
                tensor = tensor.reshape(_official_shape(new, tensor))
            tensors[new] = tensor
        layers = sum(re.fullmatch(r"mapping\.fc\d+\.weight", name) is not None for name in tensors)
        if not layers:
            raise ValueError("it has no mapping network")
        size, widths = _sizes(tensors, r"synthesis\.b(\d+)\.conv1\.weight")
        w_dim = tensors["synthesis.b4.conv1.affine.weight"].shape[1]
        z_dim = tensors["mapping.fc0.weight"].shape[1]
        if latent_avg is not None:
            tensors["mapping.w_avg"] = latent_avg.float().reshape(-1, w_dim)[0]
    except FAILURES as error:
        raise CheckpointError(f"{path}: does not hold {what} ({first_line(error, 120)}); {REMEDY}") from error

    def absent(names):
        maps = [name for name in names if name.endswith("noise_const")]
        if any(name.endswith("noise_const") for name in tensors):
            maps = []  # only files that have none at all, as fresh training snapshots, may come without
        random = torch.Generator().manual_seed(0)
        return (
            {name: setup_filter(list(FILTER)) for name in names if name.endswith("resample_filter")}
            | {name: torch.randn(names[name].shape, generator=random) for name in maps}
            | {name: torch.zeros([w_dim]) for name in names if name == "mapping.w_avg"}
        )

    generator = filled(
        path, lambda: Generator(z_dim, 0, w_dim, size, 3, {"num_layers": layers}, widths), tensors, what, absent
    )
    if latent_avg is None:
        z = torch.randn([10_000, z_dim], generator=torch.Generator().manual_seed(0))
        generator.mapping.w_avg.copy_(generator.mapping(z)[:, 0].mean(0))
    return generator


def build_discriminator(path, state):
    """The Discriminator of a state dict in that layout. Raises CheckpointError, naming `path`, where it does not
    fit."""
    what = "a discriminator in rosinality's layout"
    try:
        found = state_of(state, "final_linear.1.weight", path, what)
        blocks = sum(re.fullmatch(r"convs\.\d+\.conv1\.0\.weight", name) is not None for name in found)
        if blocks > DEEPEST:
            raise ValueError("too many layers")
        names = {name: rename_discriminator(name, 4 * 2**blocks) for name in found}
        tensors = {new: found[name] for name, new in names.items() if new is not None}
        size, widths = _sizes(tensors, r"b(\d+)\.conv0\.weight", at_4=tensors["b4.conv.weight"].shape[0])
    except FAILURES as error:
        raise CheckpointError(f"{path}: does not hold {what} ({first_line(error, 120)}); {REMEDY}") from error

    def absent(names):
        return {name: setup_filter(list(FILTER)) for name in names if name.endswith("resample_filter")}

    return filled(path, lambda: Discriminator(0, size, 3, **widths), tensors, what, absent)


def _sizes(tensors, pattern, at_4=None):
    """(resolution, {channel_base, channel_max}) from the widths of the convolutions whose names match."""
    channels = {int(m[1]): t.shape[0] for name, t in tensors.items() if (m := re.fullmatch(pattern, name))}
    channels |= {} if at_4 is None else {4: at_4}
    if not channels:
        raise ValueError("it has no convolutions")
    size, widest = max(channels), max(channels.values())
    narrow = [resolution * width for resolution, width in channels.items() if width < widest]
    return size, {"channel_base": max(narrow) if narrow else size * widest, "channel_max": widest}


def rename_discriminator(name, size):
    """rosinality's tensor name in the discriminator of that resolution -> ours; None for constants that are dropped."""
    if name.endswith(".kernel"):
        return None
    if m := re.fullmatch(r"convs\.0\.(0\.weight|1\.bias)", name):
        return f"b{size}.fromrgb.{m[1][2:]}"
    if m := re.fullmatch(r"convs\.(\d{1,2})\.(.+)", name):
        inner = {"conv1.0.weight": "conv0.weight", "conv1.1.bias": "conv0.bias", "conv2.1.weight": "conv1.weight",
                 "conv2.2.bias": "conv1.bias", "skip.1.weight": "skip.weight"}[m[2]]  # fmt: skip
        return f"b{size // 2 ** (int(m[1]) - 1)}.{inner}"
    return {"final_conv.0.weight": "b4.conv.weight", "final_conv.1.bias": "b4.conv.bias",
            "final_linear.0.weight": "b4.fc.weight", "final_linear.0.bias": "b4.fc.bias",
            "final_linear.1.weight": "b4.out.weight", "final_linear.1.bias": "b4.out.bias"}[name]  # fmt: skip


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
        return f"synthesis.b{4 if m[2] is None else 8 * 2 ** _checked(int(m[2]))}.torgb.{inner}"
    raise KeyError(f"unknown tensor {name}")


def _layer(index):
    """0 -> b4.conv1, 1 -> b8.conv0, 2 -> b8.conv1, 3 -> b16.conv0, ..."""
    _checked(index // 2)
    return "b4.conv1" if index == 0 else f"b{4 * 2 ** ((index + 1) // 2)}.conv{(index + 1) % 2}"


def _checked(doublings):
    if doublings > DEEPEST:
        raise ValueError("too many layers")
    return doublings


def _official_shape(name, tensor):
    if name.endswith("noise_strength"):
        return []
    return tensor.shape[-2:] if name.endswith("noise_const") else [3] if name.endswith("bias") else tensor.shape[1:]


def save_rosinality(path, generator):
    """Write a generator as {"g_ema", "latent_avg"} in rosinality's layout, atomically.

    Raises ValueError for one that the layout cannot hold: it has no place for arguments, so all but the sizes must be
    what its readers take for granted. A clamp of 256 and more stays out, as nothing a trained network computes reaches
    it.
    """
    if why := not_held(generator):
        raise ValueError(f"rosinality's layout cannot hold this generator: {why}")
    ours = generator.state_dict()
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
    with written_atomically(path) as unfinished:
        torch.save({"g_ema": state, "latent_avg": ours["mapping.w_avg"].contiguous()}, unfinished)


def not_held(generator):
    """Why that layout cannot hold a generator; None if it can."""
    mapping, synthesis = generator.config["mapping_kwargs"], generator.config["synthesis_kwargs"]
    if generator.c_dim or generator.img_channels != 3:
        return f"it has {generator.c_dim} labels and {generator.img_channels} channels, not 0 and 3"
    if any(block.architecture != "skip" for block in generator.synthesis.blocks()):
        return "its architecture is not skip"
    if generator.z_dim != generator.w_dim:
        return f"z has {generator.z_dim} dimensions and w {generator.w_dim}"
    if not hasattr(generator.mapping, "w_avg"):
        return "it keeps no mean of w"
    if mapping.get("layer_features") not in (None, generator.w_dim):
        return "the layers of its mapping network are not as wide as w"
    usual = {"activation": "lrelu", "kernel_size": 3, "use_noise": True, "lr_multiplier": 0.01}
    for name, value in [*mapping.items(), *synthesis.items()]:
        if name in usual and value != usual[name]:
            return f"{name} is {value}, not {usual[name]}"
    if tuple(synthesis.get("resample_filter", FILTER)) != FILTER:
        return f"resample_filter is not {list(FILTER)}"
    clamp = synthesis.get("conv_clamp")
    return f"conv_clamp is {clamp}, below 256" if clamp is not None and clamp < 256 else None


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
