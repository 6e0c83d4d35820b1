"""The released files of pSp, e4e and ReStyle: an encoder, the generator it was trained for, and its mean latent.

One torch file: `state_dict` with `encoder.*` and `decoder.*` (rosinality's layout), `latent_avg`, and `opts`, the
training's options. pSp and e4e have the same tensors: only `opts` tells them apart. Nothing in a file is executed.
"""

import argparse
import pickle
import re
import warnings

import torch

from stylegan2.checkpoints import CheckpointError
from stylegan2.checkpoints.rosinality import build_generator

from .encoder import Encoder

# opts.encoder_type -> (method, are the rows shifts of row 0?)
TYPES = {
    "psp": {"GradualStyleEncoder": False},
    "e4e": {"Encoder4Editing": True},
    "restyle": {"BackboneEncoder": False, "ProgressiveBackboneEncoder": True},
}
REMEDY = "fetch the released FFHQ encoder again, or name the method that it belongs to"


def load_encoder(path, method, device="cpu"):
    """(Encoder, Generator) of a `.pt` of `method`, "psp", "e4e" or "restyle"; both frozen and in eval mode.

    `latent_avg` may be [num_ws, w_dim], [1, w_dim] or [w_dim]; where the file has none, it is the mean of w over 10,000
    draws. Without `opts` the file is taken for what `method` says; only ReStyle's two types cannot be told apart then.
    Raises CheckpointError, naming the file and the remedy.
    """
    content = _read(path)
    state = content.get("state_dict", content)
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise CheckpointError(f"{path}: its state_dict is no dictionary of tensors; {REMEDY}")
    encoder_state, decoder_state = (_under(state, prefix) for prefix in ("encoder.", "decoder."))
    for part, found in (("encoder", encoder_state), ("decoder", decoder_state)):
        if not found:
            raise CheckpointError(f"{path}: holds no {part}.* tensors (found {list(content)[:5]}); {REMEDY}")
    cumulative, add_average = _options(path, content.get("opts"), method)
    try:
        generator = build_generator(decoder_state, content.get("latent_avg"))
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        raise CheckpointError(f"{path}: its decoder cannot be rebuilt ({_line(error)}); {REMEDY}") from error
    encoder = _build(path, encoder_state, method, cumulative)
    if (encoder.num_ws, encoder.w_dim) != (generator.num_ws, generator.w_dim):
        raise CheckpointError(
            f"{path}: its encoder gives w+ [{encoder.num_ws}, {encoder.w_dim}], its decoder takes "
            f"[{generator.num_ws}, {generator.w_dim}]; {REMEDY}"
        )
    if add_average:
        average = content.get("latent_avg")
        average = generator.mapping.w_avg if average is None else average
        try:
            encoder.latent_avg = average.float().expand(encoder.num_ws, encoder.w_dim).clone()
        except (AttributeError, RuntimeError) as error:
            raise CheckpointError(f"{path}: its latent_avg does not fit its encoder; {REMEDY}") from error
    return tuple(network.to(device).eval().requires_grad_(False) for network in (encoder, generator))


def _read(path):
    """The dictionary in a torch file. Besides tensors and plain values only argparse.Namespace may occur in it."""
    try:
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error
    except Exception as error:  # damaged data can fail anywhere
        forbidden = re.search(r"GLOBAL (\S+)", str(error)) if isinstance(error, pickle.UnpicklingError) else None
        reason = f"it asks for {forbidden[1]}" if forbidden else "damaged, cut short or of another kind"
        raise CheckpointError(f"{path}: not a torch file that can be read safely ({reason}); {REMEDY}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, not a checkpoint; {REMEDY}")
    return content


def _options(path, opts, method):
    """(are rows shifts of row 0?, is latent_avg added?) as the file's options say."""
    types = TYPES[method]
    opts = vars(opts) if isinstance(opts, argparse.Namespace) else opts
    if opts is None and len(types) == 1:
        return *types.values(), True
    if not isinstance(opts, dict) or not isinstance(opts.get("encoder_type"), str):
        raise CheckpointError(f"{path}: its opts name no encoder_type, so its rows cannot be understood; {REMEDY}")
    kind = opts["encoder_type"]
    if method == "restyle" and kind == "GradualStyleEncoder":  # an old name of BackboneEncoder there
        kind = "BackboneEncoder"
    if kind not in types:
        raise CheckpointError(f"{path}: its encoder is a {kind}, but {method} needs {' or '.join(types)}; {REMEDY}")
    if opts.get("learn_in_w") is True or "cars_" in str(opts.get("dataset_type")):
        raise CheckpointError(f"{path}: made for W or for cars, but faces in w+ are needed; {REMEDY}")
    return types[kind], method == "restyle" or opts.get("start_from_latent_avg") is not False


def _build(path, state, method, cumulative):
    """The Encoder that fits the shapes of a state dict."""
    rows = [int(m[1]) for m in (re.match(r"styles\.(\d+)\.", name) for name in state) if m]
    first = state.get("input_layer.0.weight")
    width = first.shape[0] if torch.is_tensor(first) and first.ndim == 4 else 0
    if not rows or max(rows) > 64 or not 16 <= width <= 512:
        raise CheckpointError(f"{path}: no encoder with an IR-SE-50 trunk; {REMEDY}")
    with torch.device("meta"):
        encoder = Encoder(max(rows) + 1, width, method == "restyle", cumulative)
    wanted = encoder.state_dict()
    missing, unknown = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    for name, tensor in wanted.items():
        if name in state and (not torch.is_tensor(state[name]) or state[name].shape != tensor.shape):
            unknown.append(f"{name} of another shape")
    if missing or unknown:
        named = " and ".join(
            f"{len(names)} {what} (encoder.{names[0]}{', ...' if len(names) > 1 else ''})"
            for what, names in (("missing", missing), ("unknown or of another shape", unknown))
            if names
        )
        raise CheckpointError(f"{path}: not the encoder of {method}: tensors are {named}; {REMEDY}")
    tensors = {name: t.float() if t.is_floating_point() else t for name, t in state.items()}
    encoder.load_state_dict(tensors, assign=True)
    encoder.latent_avg = torch.zeros([encoder.num_ws, encoder.w_dim])
    return encoder


def _under(state, prefix):
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _line(error):
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
