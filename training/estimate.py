"""What a run will need, without running it: `train.py --dry-run`.

The networks are built on torch's `meta` device, which has shapes but no memory. What autograd saves and how many
floating-point operations it takes is counted for each phase of a training step.
"""

import functools
from dataclasses import replace
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from losses import adversarial
from sketch.network import SketchExtractor

from .networks import build_networks, trained_parameters
from .run import division

# Published by the authors of StyleGAN2-ADA: seconds per thousand pictures of plain StyleGAN2 at 1024x1024, batch 4.
# Divided into our count of that run's operations they give the rate a GPU really reaches.
PLAIN_1024_SECONDS = {"V100": 141.8, "A100": 90.4}
OVERHEAD = 1.5  # GiB: CUDA context, cuDNN's workspaces


def estimate(config, world_size):
    """{"parameters": {network: count}, "gib": peak per process, "flops_per_image", "minutes": {GPU: whole run}}."""
    G, D, g_real = _networks(config)
    _, n = division(config, D, world_size)
    phases = _phases(config, G, D, g_real, n)
    parameters = {"G": _count(G.parameters()), "D": _count(D.parameters())}
    trained = _count(trained_parameters(G, transfer=g_real is not None)) + parameters["D"]
    held = 2 * parameters["G"] + parameters["D"] + 3 * trained  # G, G_ema, D; gradient and Adam's two moments
    if g_real is not None:
        parameters["g_real"] = _count(g_real.parameters())
        held += parameters["g_real"]
    augmentation = 0
    if config.ada_target is not None:  # padded to twice the size and doubled, sampled at twice the size, and its grid
        augmentation = n * 3 * 4 * (16 + 4 + 3) * config.resolution**2
    peak = max(saved for saved, _, _ in phases.values())
    flops = sum(count * share for _, count, share in phases.values()) / n
    minutes = {
        gpu: 1000 * config.kimg / world_size * flops / (1000 * plain_flops_per_image() / seconds) / 60
        for gpu, seconds in PLAIN_1024_SECONDS.items()
    }
    gib = (4 * held + augmentation + peak) / 2**30 + OVERHEAD
    return {"parameters": parameters, "gib": gib, "flops_per_image": flops, "minutes": minutes}


@functools.cache
def plain_flops_per_image():
    """Of the run that PLAIN_1024_SECONDS were measured on."""
    from .config import TrainingConfig

    config = TrainingConfig(data="", batch=4, sketch_weight=0, color_weight=0)
    G, D, _ = _networks(config)
    return sum(count * share for _, count, share in _phases(config, G, D, None, 4).values()) / 4


def _networks(config):
    """(G, D, g_real) on the meta device; a file that is not there yet counts as one of the configured widths."""
    given = config.g_real or config.init
    if given and Path(given).is_file():  # read on the CPU: a file's reader computes with its numbers
        G, D, g_real = build_networks(config)
        return G.to("meta").train(), D.to("meta").train(), g_real and g_real.to("meta").train()
    with torch.device("meta"):
        G, D, _ = build_networks(replace(config, g_real=None, init=None, discriminator=None))
        g_real = (
            build_networks(replace(config, g_real=None, init=None, discriminator=None))[0] if config.g_real else None
        )
    return G.train(), D.train(), g_real


def _phases(config, G, D, g_real, n):
    """{phase: (saved bytes, floating-point operations, share of the steps it runs in)} for n pictures."""
    size = config.resolution
    identity = _identity_networks(config) if g_real is not None else []

    def fakes(count):
        z = torch.empty([count, G.z_dim], device="meta")
        w_plus = G.mapping(z)
        w_plus = w_plus if w_plus.requires_grad else w_plus.requires_grad_()
        return G.synthesis(w_plus, noise_mode="random"), w_plus

    def pictures():
        return torch.empty([n, 3, size, size], device="meta", requires_grad=True)

    def generator():
        fake, w_plus = fakes(n)
        loss = adversarial.generator_loss(D(fake))
        if g_real is not None:
            with torch.no_grad():
                pairs = [fake.detach(), g_real.synthesis(w_plus)]
            for network, side in identity:
                small = torch.nn.functional.interpolate(fake, size=(side, side))
                loss = loss + network(small).sum()
                with torch.no_grad():
                    network(torch.nn.functional.interpolate(pairs[1], size=(side, side)))
        return loss

    def path_length():
        fake, w_plus = fakes(max(n // config.pl_batch_shrink, 1))
        return adversarial.path_lengths(fake, w_plus, torch.empty_like(fake)).mean()

    def discriminator():
        with torch.no_grad():
            fake, _ = fakes(n)
        return adversarial.discriminator_loss(D(pictures().detach()), D(fake))

    def r1():
        real = pictures()
        return adversarial.r1_penalty(real, D(real)).mean()

    trained = trained_parameters(G, transfer=g_real is not None)
    result = {}
    for name, loss_of, network, share in (
        ("generator", generator, G, 1),
        ("path length", path_length, G, 1 / config.pl_interval if config.pl_weight else 0),
        ("discriminator", discriminator, D, 1),
        ("R1", r1, D, 1 / config.r1_interval),
    ):
        if share:
            D.requires_grad_(network is D)
            for parameter in trained:
                parameter.requires_grad_(network is G)
            result[name] = (*_measured(loss_of, (G, D)), share)
    return result


def _measured(loss_of, networks):
    """(bytes that autograd saves, floating-point operations) of a loss and its gradient; weights do not count."""
    weights = {p.untyped_storage()._cdata for network in networks for p in network.parameters()}
    sizes = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            sizes[storage._cdata] = (tensor.numel() * tensor.element_size(), storage)  # kept, so that no id comes twice
        return tensor

    with _FlopCounter() as counter:
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            loss = loss_of()
        loss.backward()
    for network in networks:
        network.zero_grad(set_to_none=True)
    return sum(size for size, _ in sizes.values()), counter.total


class _FlopCounter(TorchDispatchMode):
    """Sums torch's own formulas for convolutions and matrix products, double backward included."""

    total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        formula = flop_registry.get(function._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=out)
        return out


def _identity_networks(config):
    """[(network, side of its input)]: the released sketch extractor and VGG-16 in their sizes, without weights."""
    from torchvision.models.vgg import cfgs, make_layers

    networks = []
    with torch.device("meta"):
        if config.sketch_weight:
            networks.append((SketchExtractor().requires_grad_(False), config.sketch_size))
        if config.color_weight:
            networks.append((make_layers(cfgs["D"])[:30].requires_grad_(False), config.color_size))
    return networks


def _count(parameters):
    return sum(p.numel() for p in parameters)
