"""Reading and writing networks. Our own format: one safetensors file that holds any of G, D and G_ema.

Tensor names carry the network's name in front ("G_ema.synthesis.b4.const"); the metadata holds every constructor
argument, so a file is complete by itself. Official StyleGAN2-ADA pickles, a generator that PTI tuned, and rosinality's
`.pt` are read too, told apart by what is in them and not by their names, without executing anything.
"""

import weights
from weights.files import REMEDY
from weights.networks import filled

from .official import CLASSES, networks_in
from .rosinality import read_rosinality
from .safe_pickle import CheckpointError, load_pickle

__all__ = ["CheckpointError", "load", "load_discriminator", "load_generator", "save"]

KIND = "stylegan2"


def save(path, networks, card=None, half=False):
    """Write `networks` ({"G" | "G_ema" | "D": network}) atomically; `half` stores float16 (half the size)."""
    tensors = {
        f"{name}.{key}": tensor for name, network in networks.items() for key, tensor in network.state_dict().items()
    }
    config = {name: network.config for name, network in networks.items()}
    weights.save(path, tensors, kind=KIND, config=config, card=card, half=half)


def load(path, device="cpu"):
    """What is in a checkpoint: {"G" | "G_ema" | "D": network}, in eval mode, float32, without gradients.

    What cannot be rebuilt beside the wanted generator is left out: D (`load_discriminator` says why), and G where there
    is a G_ema. Raises weights.WeightsError, naming the file, for anything else that does not fit.
    """
    networks, found = {}, _read(path)
    for name, build in found.items():
        try:
            networks[name] = build().to(device)
        except CheckpointError:
            if name == "G_ema" or name == "G" and "G_ema" not in found:
                raise
    if not networks:
        raise CheckpointError(f"{path}: holds no network that can be rebuilt; {REMEDY}")
    return networks


def load_generator(path, device="cpu"):
    """The generator for inference: G_ema where the file has one, else G; nothing else is built.

    Raises weights.WeightsError for one that draws no unlabelled pictures in colour, too: nothing here can use it.
    """
    found = _read(path)
    name = next((name for name in ("G_ema", "G") if name in found), None)
    if name is None:
        raise CheckpointError(f"{path}: holds no generator, only {', '.join(found) or 'nothing'}; {REMEDY}")
    generator = found[name]().to(device)
    if generator.c_dim:
        raise CheckpointError(
            f"{path}: a conditional generator ({generator.c_dim} labels) cannot be used here; give an unconditional one"
        )
    if generator.img_channels != 3:
        raise CheckpointError(
            f"{path}: a generator of {generator.img_channels}-channel pictures cannot be used here; give one in colour"
        )
    return generator


def load_discriminator(path, device="cpu"):
    """The discriminator in a checkpoint. Raises weights.WeightsError, with the remedy, if it has none or one that
    cannot be rebuilt."""
    found = _read(path)
    if "D" not in found:
        raise CheckpointError(
            f"{path}: holds no discriminator, only {', '.join(found)}; give a file that has one, such as the official "
            "pickle or a snapshot of train.py"
        )
    return found["D"]().to(device)


def _read(path):
    """{name: function that builds the network on the CPU} of a file of any layout."""
    if weights.is_native(path):
        return _read_native(path)
    content = load_pickle(path)
    found = networks_in(content, path) or read_rosinality(content, path)
    if not found:
        keys = [str(key)[:30] for key in list(content)[:4]] if isinstance(content, dict) else type(content).__name__
        raise CheckpointError(f"{path}: no generator of a known layout (official, rosinality), found {keys}; {REMEDY}")
    return found


def _read_native(path):
    def builder(name, kwargs):
        def build():
            if name not in CLASSES or not isinstance(kwargs, dict):
                raise CheckpointError(f"{path}: its {name[:40]} does not fit its own description; {REMEDY}")
            tensors, _ = weights.load(path, KIND, only=name + ".")
            tensors = {key.removeprefix(name + "."): tensor for key, tensor in tensors.items()}
            return filled(path, lambda: CLASSES[name](**kwargs), tensors, f"the {name} that it describes")

        return build

    return {name: builder(name, kwargs) for name, kwargs in weights.describe(path, KIND).items()}
