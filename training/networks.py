"""The networks a run starts with, the checks that they fit its configuration, and which weights are trained."""

import copy

import torch

import stylegan2.checkpoints
from stylegan2 import Discriminator, Generator
from stylegan2.layers import channels_at

from .growth import channels, grow, widened

CHANNEL_BASE, CHANNEL_MAX = 32768, 512  # of networks that start from nothing, where the configuration says nothing


def build_networks(config):
    """(G, D, g_real) of a run; g_real is None in plain training. Raises ValueError where a checkpoint does not fit the
    configuration or holds no D, WeightsError where it cannot be read."""
    if config.g_real:
        g_real = stylegan2.checkpoints.load_generator(config.g_real)
        check_sizes(config.g_real, g_real, config)
        g_real = with_precision(g_real, config)
        D = with_precision(discriminator_beside(g_real, config), config)
        G = copy.deepcopy(g_real)
        if config.init:
            G = with_precision(stylegan2.checkpoints.load_generator(config.init), config)
            check_sizes(config.init, G, config)
        return G, D, g_real.eval().requires_grad_(False)
    widths = dict(
        channel_base=config.channel_base or CHANNEL_BASE,
        channel_max=config.channel_max or CHANNEL_MAX,
        num_fp16_res=config.num_fp16_res,
        conv_clamp=clamp(config),
    )
    if not config.init:
        mapping = {"num_layers": config.mapping_layers}
        G = Generator(config.z_dim, 0, config.w_dim, config.resolution, 3, mapping, widths)
        return G, Discriminator(0, config.resolution, 3, **widths, epilogue_kwargs={"mbstd_group_size": 4}), None
    start = stylegan2.checkpoints.load_generator(config.init)
    check_sizes(config.init, start, config, may_grow=True)
    synthesis = start.config["synthesis_kwargs"] | widths
    sizes = {"w_dim": config.w_dim, "img_resolution": config.resolution, "synthesis_kwargs": synthesis}
    G = Generator(**start.config | sizes)  # what the configuration does not say stays: it draws what `start` draws
    check_wider(config.init, start, G)
    grow(widened(start, G), G)
    start = stylegan2.checkpoints.load_discriminator(config.init)  # keeps its width: a step uses D three times, G twice
    precision = {key: widths[key] for key in ("num_fp16_res", "conv_clamp")}
    D = Discriminator(**start.config | precision | {"c_dim": 0, "img_resolution": config.resolution, "img_channels": 3})
    grow(start, D)
    return G, D, None


def discriminator_beside(g_real, config):
    """The D to fine-tune with: that of the file `discriminator`, or of g_real's own."""
    path = config.discriminator or config.g_real
    try:
        D = stylegan2.checkpoints.load_discriminator(path)
    except stylegan2.checkpoints.CheckpointError as error:
        raise ValueError(
            f"{error}; fine-tuning starts from the D of the same training: name its file by --set discriminator=FILE"
        ) from error
    if (D.img_resolution, D.img_channels, D.c_dim) != (g_real.img_resolution, g_real.img_channels, 0):
        raise ValueError(
            f"{path}: its D judges pictures of {D.img_resolution} pixels, {D.img_channels} channels and {D.c_dim} "
            f"labels; g_real draws {g_real.img_resolution} pixels, {g_real.img_channels} channels and no labels"
        )
    return D


def with_precision(network, config):
    """The same network, weights shared, with the configuration's `num_fp16_res` and `conv_clamp`."""
    kwargs = dict(network.config)
    inner = kwargs["synthesis_kwargs"] if isinstance(network, Generator) else kwargs
    wanted = {"num_fp16_res": config.num_fp16_res, "conv_clamp": clamp(config, inner.get("conv_clamp"))}
    if isinstance(network, Generator):
        kwargs["synthesis_kwargs"] = inner | wanted
    else:
        kwargs |= wanted
    if kwargs == network.config:
        return network
    with torch.device("meta"):
        result = type(network)(**kwargs)
    result.load_state_dict(network.state_dict(), assign=True)
    return result


def clamp(config, own=None):
    """The limit of the convolutions' outputs: the configuration's, a checkpoint's own, or what half precision needs."""
    if config.conv_clamp is not None:
        return config.conv_clamp
    return own if own is not None else 256 if config.num_fp16_res else None


def check_sizes(path, G, config, may_grow=False):
    """Raise ValueError when the generator of a checkpoint has other sizes than the run's configuration says."""
    found = {
        "resolution": G.img_resolution,
        "z_dim": G.z_dim,
        "w_dim": G.w_dim,
        "mapping_layers": G.mapping.num_layers,
    }
    differ = {key: value for key, value in found.items() if value != getattr(config, key)}
    if may_grow:
        differ = {key: value for key, value in differ.items() if not grows(key, value, config)}
    if differ:
        said = ", ".join(
            f"{key} = {value} (the configuration: {getattr(config, key)})" for key, value in differ.items()
        )
        remedy = " ".join(f"--set {key}={value}" for key, value in differ.items())
        raise ValueError(f"{path}: its generator has {said}; use {remedy}, or another checkpoint")
    if not may_grow:
        check_widths(path, G, config)


def grows(key, value, config):
    """Whether a generator of `value` may start one of the configuration's larger size."""
    return key in ("resolution", "w_dim") and value < getattr(config, key)


def check_wider(path, start, G):
    """Raise ValueError when a generator from `path` has more feature maps than the one that it is to start."""
    have, wanted = channels(start), channels(G)
    if any(a > b for a, b in zip(have, wanted, strict=False)):
        raise ValueError(
            f"{path}: its generator has {', '.join(map(str, have))} feature maps from 4 pixels up, channel_base and "
            f"channel_max give {', '.join(map(str, wanted))}; a generator can be widened, not narrowed: raise them"
        )


def check_widths(path, G, config):
    """Raise ValueError when the configuration asks for other feature maps than the generator has."""
    have = channels(G)
    known = G.config["synthesis_kwargs"]
    base = config.channel_base or known.get("channel_base", CHANNEL_BASE)
    most = config.channel_max or known.get("channel_max", CHANNEL_MAX)
    if have != [channels_at(resolution, base, most) for resolution in G.synthesis.block_resolutions]:
        said = " and ".join(
            f"{k} = {getattr(config, k)}" for k in ("channel_base", "channel_max") if getattr(config, k)
        )
        raise ValueError(
            f"{path}: its generator has {', '.join(map(str, have))} feature maps from 4 pixels up, which {said} does "
            "not give; widths cannot change in fine-tuning: leave out channel_base and channel_max"
        )


def trained_parameters(generator, transfer):
    """The trainable parameters of G; in fine-tuning the paper freezes the mapping network and all toRGB layers."""
    parameters = []
    for name, parameter in generator.named_parameters():
        frozen = transfer and (name.startswith("mapping.") or ".torgb." in name)
        parameter.requires_grad_(not frozen)
        if not frozen:
            parameters.append(parameter)
    return parameters
