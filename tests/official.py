"""Write networks of ours the way the official releases pickle theirs: each module as a persistent object with its
source (here: none), constructor arguments beside the state."""

import sys
import types


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


def names_exist(monkeypatch):
    """Let pickle find the release's function by its name while a file is written."""
    module = types.ModuleType("torch_utils.persistence")
    module._reconstruct_persistent_obj = _reconstruct_persistent_obj
    monkeypatch.setitem(sys.modules, "torch_utils", types.ModuleType("torch_utils"))
    monkeypatch.setitem(sys.modules, "torch_utils.persistence", module)
