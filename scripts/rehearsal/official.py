"""Write networks of ours the way the official StyleGAN2-ADA release pickles its own: each module as a persistent object
with its source (here: none), and constructor arguments beside the state."""

import copy
import pickle
import sys
import types
from contextlib import contextmanager

from weights.files import written_atomically


def _reconstruct_persistent_obj(meta):
    raise NotImplementedError("only ever written")


_reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
_reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"


class Saved:
    """Pickles as the official network of the same state. arguments: what `_init_kwargs` holds."""

    def __init__(self, network, arguments=None, name="Generator"):
        children = {key: Saved(child) for key, child in network._modules.items() if child is not None}
        state = {"_parameters": dict(network._parameters), "_buffers": dict(network._buffers), "_modules": children}
        if arguments is not None:
            state |= {"_init_kwargs": arguments, "_init_args": (), "training": False}
        self.meta = {"type": "class", "version": 6, "module_src": "", "class_name": name, "state": state}

    def __reduce__(self):
        return _reconstruct_persistent_obj, (self.meta,)


@contextmanager
def names_exist():
    """Let pickle find the release's function by its name while a file is written."""
    module = types.ModuleType("torch_utils.persistence")
    module._reconstruct_persistent_obj = _reconstruct_persistent_obj
    added = {"torch_utils": types.ModuleType("torch_utils"), "torch_utils.persistence": module}
    before = {name: sys.modules.get(name) for name in added}
    sys.modules |= added
    try:
        yield
    finally:
        for name, old in before.items():
            if old is None:
                del sys.modules[name]
            else:
                sys.modules[name] = old


def save_official(path, generator, discriminator):
    """Write {"G", "D", "G_ema", ...} as a snapshot of the release, atomically; its D carries `freeze_layers`, as the
    released one does."""
    D = dict(discriminator.config)
    D["block_kwargs"] = D["block_kwargs"] | {"freeze_layers": 0}
    content = {
        "training_set_kwargs": None,
        "G": Saved(copy.deepcopy(generator), generator.config),  # numbers of its own, as in training
        "D": Saved(discriminator, D, "Discriminator"),
        "G_ema": Saved(generator, generator.config),
        "augment_pipe": None,
    }
    write(path, content)


def write(path, content):
    """Pickle what may hold `Saved` networks, atomically."""
    with names_exist(), written_atomically(path) as unfinished, open(unfinished, "wb") as file:
        pickle.dump(content, file)
