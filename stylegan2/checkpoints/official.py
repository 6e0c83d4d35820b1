"""Official StyleGAN2-ADA snapshots: pickles of {"G", "D", "G_ema", ...} whose networks carry their own source code, and
the same network pickled alone (PTI). Only tensors and constructor arguments are taken; the source is never looked at.

The StyleGAN2 of the StyleGAN3 code base keeps the arguments of the synthesis beside those of the generator; both places
are read. An argument that is not known here ends the reading, since it may change what the network draws.
"""

import inspect

from weights.networks import FAILURES, filled

from ..discriminator import Discriminator, DiscriminatorBlock, DiscriminatorEpilogue
from ..generator import Generator, MappingNetwork, SynthesisBlock, SynthesisLayer, SynthesisNetwork
from .safe_pickle import CheckpointError, PersistentObject, load_pickle, state_dict

CLASSES = {"G": Generator, "G_ema": Generator, "D": Discriminator}
TRAINING_ONLY = {"freeze_layers", "fused_modconv_default", "fp16_channels_last"}  # they change no weight and no picture
OF_STYLEGAN3 = {"num_fp16_res": 4, "conv_clamp": 256}  # what that code base has where its file does not say
# arguments of single layers that the networks work out themselves: no checkpoint gives them
MADE_HERE = {"in_channels", "out_channels", "resolution", "is_last", "use_half", "num_ws"}


def _arguments(*functions):
    return {name for function in functions for name in inspect.signature(function).parameters} - MADE_HERE


SYNTHESIS = _arguments(SynthesisNetwork, SynthesisBlock, SynthesisLayer) - _arguments(Generator) - {"layer_kwargs"}
SYNTHESIS -= {"block_kwargs", "up"}
GROUPS = {  # the arguments that are dictionaries of arguments
    "mapping_kwargs": _arguments(MappingNetwork) - {"z_dim", "c_dim", "w_dim"},
    "synthesis_kwargs": SYNTHESIS,
    "block_kwargs": _arguments(DiscriminatorBlock),
    "epilogue_kwargs": _arguments(DiscriminatorEpilogue),
}


def read_official(path):
    """{"G" | "G_ema" | "D": function that builds it on the CPU, float32} of an official pickle, current or older
    layout.

    Raises CheckpointError, naming the file, when it holds no such network; the functions, when one does not fit.
    """
    return networks_in(load_pickle(path), path)


def networks_in(content, path):
    """`read_official` of what is in the file; {} if it is no such snapshot."""
    if isinstance(content, PersistentObject):  # PTI saves the tuned generator by itself
        content = {"D" if content.class_name == "Discriminator" else "G_ema": content}
    if not isinstance(content, dict):
        return {}
    saved = {name: content.get(name) for name in CLASSES}
    return {name: _builder(path, name, found) for name, found in saved.items() if isinstance(found, PersistentObject)}


def _builder(path, name, saved):
    return lambda: _build(path, name, saved)


def _build(path, name, saved):
    what = f"a StyleGAN2 {'discriminator' if name == 'D' else 'generator'} ({name})"
    try:
        tensors = state_dict(saved)
        if "synthesis.input.freqs" in tensors or "synthesis.input.transform" in tensors:
            raise CheckpointError(f"{path}: its {name} is StyleGAN3's; W+ inversion here needs a StyleGAN2 generator")
        arguments = constructor_arguments(name, saved.state.get("_init_kwargs"))
    except FAILURES as error:
        raise CheckpointError(f"{path}: its {name} cannot be rebuilt ({str(error)[:120]})") from error
    return filled(path, lambda: CLASSES[name](**arguments), tensors, what)


def constructor_arguments(name, saved):
    """The arguments of our class of that name for those that were saved, {name: value}; ValueError for unknown ones."""
    if not isinstance(saved, dict):
        raise ValueError("it does not say how it was built")
    known = set(inspect.signature(CLASSES[name]).parameters)
    arguments = {}
    for key, value in saved.items():
        if key in TRAINING_ONLY:
            continue
        if key in known and key in GROUPS:
            if not isinstance(value, dict | None):
                raise ValueError(f"{key} is no dictionary")
            inner = {k: v for k, v in (value or {}).items() if k not in TRAINING_ONLY}
            _check(inner, GROUPS[key], f"{key}.")
            arguments[key] = inner | arguments.get(key, {})
        elif key in known:
            _check({key: value}, known, "")
            arguments[key] = value
        elif name != "D" and key in SYNTHESIS:  # beside mapping_kwargs: the StyleGAN3 code base
            _check({key: value}, SYNTHESIS, "")
            arguments["synthesis_kwargs"] = OF_STYLEGAN3 | arguments.get("synthesis_kwargs", {}) | {key: value}
        else:
            raise ValueError(f"unknown argument {str(key)[:40]}")
    return arguments


def _check(arguments, known, prefix):
    """Names must be known, values plain and of a size that networks have."""
    for key, value in arguments.items():
        if key not in known:
            raise ValueError(f"unknown argument {prefix}{str(key)[:40]}")
        values = value if isinstance(value, list | tuple) and len(value) <= 64 else [value]
        for v in values:
            if not isinstance(v, str | None) and not (isinstance(v, int | float) and abs(v) <= 2**20):
                raise ValueError(f"{prefix}{key} is out of range")
