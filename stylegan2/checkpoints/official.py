"""Official StyleGAN2-ADA snapshots: pickles of {"G", "D", "G_ema", ...} whose networks carry their own source code.

Only tensors and constructor arguments are taken; the embedded source is never looked at.
"""

import inspect

import torch

from ..discriminator import Discriminator
from ..generator import Generator
from .safe_pickle import CheckpointError, PersistentObject, load_pickle, state_dict

CLASSES = {"G": Generator, "G_ema": Generator, "D": Discriminator}


def load_official(path):
    """{"G" | "G_ema" | "D": network} of an official pickle, current or older layout, on the CPU, float32.

    Raises CheckpointError, naming the file, when it holds no such network or one that does not fit.
    """
    content = load_pickle(path)
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds {type(content).__name__}, not a StyleGAN2-ADA snapshot")
    networks = {}
    for name, network_class in CLASSES.items():
        if isinstance(content.get(name), PersistentObject):
            networks[name] = _build(path, name, network_class, content[name])
    if not networks:
        raise CheckpointError(f"{path}: holds none of {', '.join(CLASSES)}; its keys are {list(content)[:8]}")
    return networks


def _build(path, name, network_class, saved):
    arguments = saved.state.get("_init_kwargs")
    if not isinstance(arguments, dict):
        raise CheckpointError(f"{path}: its {name} does not say how it was built")
    known = inspect.signature(network_class).parameters
    arguments = {key: _plain(value) for key, value in arguments.items() if key in known}
    try:
        with torch.device("meta"):
            network = network_class(**arguments)
        tensors = {key: t.float() if t.is_floating_point() else t for key, t in state_dict(saved).items()}
        network.load_state_dict(tensors, assign=True)
    except (TypeError, ValueError, RuntimeError, AttributeError, ZeroDivisionError) as error:
        reason = str(error).splitlines()[0][:200]
        raise CheckpointError(f"{path}: its {name} cannot be rebuilt ({reason})") from error
    return network


def _plain(value):
    return {str(k): _plain(v) for k, v in value.items()} if isinstance(value, dict) else value
