"""Sketch extractor files: what is read, and that nothing in a pickle is executed."""

import pickle
import sys
import types

import numpy as np
import pytest
import torch

import weights
from sketch.checkpoints import load_sketch_extractor
from sketch.network import SketchExtractor
from weights import WeightsError

CONFIG = {"ngf": 3, "n_downsampling": 2, "n_blocks": 2}


def arrays(keep_norms=True):
    torch.manual_seed(1)
    network = SketchExtractor(**CONFIG)
    norms = [key for key, module in network.named_modules() if isinstance(module, torch.nn.InstanceNorm2d)]
    state = {k: v.numpy() for k, v in network.state_dict().items() if keep_norms or k.rpartition(".")[0] not in norms}
    return network, state


def write(path, content, trailer=b""):
    path.write_bytes(pickle.dumps(content, protocol=4) + trailer)
    return path


@pytest.mark.parametrize("trailer", [b"", bytes(20) + b"HCAJSLHD"])
@pytest.mark.parametrize("keep_norms", [True, False])
def test_jittor_pickle_gives_the_same_network(tmp_path, trailer, keep_norms):
    network, state = arrays(keep_norms)
    loaded = load_sketch_extractor(write(tmp_path / "sketch_generator.pkl", state, trailer))
    assert loaded.config == CONFIG
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(loaded(x), network(x).detach())
    assert not any(parameter.requires_grad for parameter in loaded.parameters()) and not loaded.training


def test_old_numpy_names_are_read(tmp_path):
    _, state = arrays()
    content = pickle.dumps(state, protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    (tmp_path / "old.pkl").write_bytes(content)
    assert load_sketch_extractor(tmp_path / "old.pkl").config == CONFIG


class Var:
    """How a current Jittor pickles a variable: the name of its class, called with the array."""

    def __init__(self, array):
        self.array = array

    def __reduce__(self):
        return Var, (self.array,)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_arrays_in_variables(tmp_path, monkeypatch, protocol):
    network, state = arrays()
    monkeypatch.setitem(sys.modules, "jittor_core", types.SimpleNamespace(Var=Var))
    monkeypatch.setattr(Var, "__module__", "jittor_core")
    (tmp_path / "v.pkl").write_bytes(pickle.dumps({k: Var(v) for k, v in state.items()}, protocol) + bytes(28))
    loaded = load_sketch_extractor(tmp_path / "v.pkl")
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(loaded(x), network(x).detach())


class Bomb:
    def __reduce__(self):
        return open, ("exploded", "w")


@pytest.mark.parametrize("content", [
    {"model.1.weight": Bomb()},
    {"model.1.weight": np.array([None, "object"])},
    {"model.1.weight": 3.0},
    [1, 2],
    {"model.1.weight": np.zeros([3, 64, 7, 7], np.float32)},  # the release's fusion network takes 64 channels
])  # fmt: skip
def test_other_pickles_are_refused_by_name(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match="bad.pkl"):
        load_sketch_extractor(write(tmp_path / "bad.pkl", content))
    assert not (tmp_path / "exploded").exists()


def test_missing_layers_missing_and_damaged_files_are_named(tmp_path):
    _, state = arrays()
    del state["model.4.weight"]
    with pytest.raises(WeightsError, match="short.pkl"):
        load_sketch_extractor(write(tmp_path / "short.pkl", state))
    with pytest.raises(WeightsError, match="none.pkl"):
        load_sketch_extractor(tmp_path / "none.pkl")
    (tmp_path / "cut.pkl").write_bytes(b"\x80\x04\x95")
    with pytest.raises(WeightsError, match="cut.pkl"):
        load_sketch_extractor(tmp_path / "cut.pkl")


def test_native_file_and_demo_weights(tmp_path):
    network, _ = arrays()
    path = tmp_path / "s.safetensors"
    weights.save(path, network.state_dict(), kind="sketch_extractor", config=network.config)
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(load_sketch_extractor(path)(x), network(x).detach())
    weights.save(path, network.state_dict(), kind="parser", config=network.config)
    with pytest.raises(WeightsError, match="s.safetensors"):
        load_sketch_extractor(path)

    demo = load_sketch_extractor()
    paper = torch.full([1, 3, 64, 64], 0.5)
    disc = paper.clone()
    yy, xx = torch.meshgrid(torch.arange(64) - 32, torch.arange(64) - 32, indexing="ij")
    inside = yy**2 + xx**2 < 16**2
    disc[:, :, inside] = -0.6
    ring = ((yy**2 + xx**2).float().sqrt() - 15).abs() < 1.5  # XDoG draws on the dark side of an edge
    drawn = demo(disc).mean(1)[0]
    assert drawn[ring].mean() < drawn[~ring].mean() - 0.5  # it draws the outline, dark on white
