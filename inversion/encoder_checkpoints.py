"""The released files of pSp, e4e and ReStyle: an encoder, the generator it was trained for, and its mean latent.

One torch file: `state_dict` with `encoder.*` and `decoder.*` (rosinality's layout), `latent_avg`, and `opts`, the
training's options. pSp and e4e have the same tensors: only `opts` tells them apart. Nothing in a file is executed.
"""

import re

import torch

from stylegan2.checkpoints import CheckpointError
from stylegan2.checkpoints.rosinality import build_generator
from weights.networks import filled, state_of
from weights.torch_files import read

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
    content = read(path)
    state = state_of(content, "encoder.input_layer.0.weight", path, f"an encoder of {method} with its decoder")
    encoder_state, decoder_state = (_under(state, prefix) for prefix in ("encoder.", "decoder."))
    if not decoder_state:
        raise CheckpointError(f"{path}: holds no decoder.* tensors (found {len(state)} others); {REMEDY}")
    cumulative, add_average = _options(path, content.get("opts"), method)
    generator = build_generator(path, decoder_state, content.get("latent_avg"), "the decoder of an encoder file")
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


def _options(path, opts, method):
    """(are rows shifts of row 0?, is latent_avg added?) as the file's options say."""
    types = TYPES[method]
    if opts is None and len(types) == 1:
        return *types.values(), True
    if not isinstance(opts, dict) or not isinstance(opts.get("encoder_type"), str):
        raise CheckpointError(f"{path}: its opts name no encoder_type, so its rows cannot be understood; {REMEDY}")
    kind = opts["encoder_type"][:60]
    if method == "restyle" and kind == "GradualStyleEncoder":  # an old name of BackboneEncoder there
        kind = "BackboneEncoder"
    if kind not in types:
        raise CheckpointError(f"{path}: its encoder is a {kind}, but {method} needs {' or '.join(types)}; {REMEDY}")
    if opts.get("learn_in_w") is True or "cars_" in str(opts.get("dataset_type")):
        raise CheckpointError(f"{path}: made for W or for cars, but faces in w+ are needed; {REMEDY}")
    return types[kind], method == "restyle" or opts.get("start_from_latent_avg") is not False


def _build(path, state, method, cumulative):
    """The Encoder that fits the shapes of a state dict."""
    rows = [int(m[1]) for m in (re.match(r"styles\.(\d{1,3})\.", name) for name in state) if m]
    first = state.get("input_layer.0.weight")
    width = first.shape[0] if torch.is_tensor(first) and first.ndim == 4 else 0
    if not rows or max(rows) > 64 or not 16 <= width <= 512:
        raise CheckpointError(f"{path}: no encoder with an IR-SE-50 trunk; {REMEDY}")
    what = f"the encoder of {method}"
    encoder = filled(path, lambda: Encoder(max(rows) + 1, width, method == "restyle", cumulative), state, what)
    encoder.latent_avg = torch.zeros([encoder.num_ws, encoder.w_dim])
    return encoder


def _under(state, prefix):
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
