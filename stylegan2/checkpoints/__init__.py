"""Reading and writing networks. Our own format: one safetensors file that holds any of G, D and G_ema.

Tensor names carry the network's name in front ("G_ema.synthesis.b4.const"); the metadata holds every constructor
argument, so a file is complete by itself. `load` also reads official StyleGAN2-ADA pickles and rosinality's `.pt`,
without executing anything in them.
"""

from pathlib import Path

import torch

import weights

from .official import CLASSES, load_official
from .rosinality import load_rosinality
from .safe_pickle import CheckpointError

__all__ = ["CheckpointError", "load", "load_generator", "save"]

KIND = "stylegan2"


def save(path, networks, card=None, half=False):
    """Write `networks` ({"G" | "G_ema" | "D": network}) atomically; `half` stores float16 (half the size)."""
    tensors = {
        f"{name}.{key}": tensor.half() if half else tensor
        for name, network in networks.items()
        for key, tensor in network.state_dict().items()
    }
    config = {name: network.config for name, network in networks.items()}
    weights.save(path, tensors, kind=KIND, config=config, card=card)


def load(path, device="cpu"):
    """Read a checkpoint: {"G" | "G_ema" | "D": network}, in eval mode, float32, without gradients.

    `.pkl` is read as an official StyleGAN2-ADA snapshot, `.pt` and `.pth` in rosinality's layout, everything else as
    our own. Raises weights.WeightsError (CheckpointError is one), naming the file, for anything that does not fit.
    """
    suffix = Path(path).suffix
    if suffix == ".pkl":
        networks = load_official(path)
    elif suffix in (".pt", ".pth"):
        networks = load_rosinality(path)
    else:
        networks = load_native(path)
    return {name: network.to(device).eval().requires_grad_(False) for name, network in networks.items()}


def load_native(path):
    """The networks of a file written by `save`, on the CPU."""
    tensors, config = weights.load(path, KIND)
    networks = {}
    for name, kwargs in config.items():
        try:
            with torch.device("meta"):
                network = CLASSES[name](**kwargs)
            state = {key[len(name) + 1 :]: tensor for key, tensor in tensors.items() if key.startswith(name + ".")}
            network.load_state_dict(state, assign=True)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise weights.WeightsError(f"{path}: its {name} does not fit its own description ({error})") from error
        networks[name] = network
    return networks


def load_generator(path, device="cpu"):
    """The generator for inference: G_ema where the file has one, else G."""
    networks = load(path, device)
    for name in ("G_ema", "G"):
        if name in networks:
            return networks[name]
    raise weights.WeightsError(f"{path}: holds no generator, only {', '.join(networks) or 'nothing'}")
