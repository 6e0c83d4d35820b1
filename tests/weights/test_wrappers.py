"""Every public network is read out of whatever its state dict was saved in, and what does not fit is told in one short
line: what was found, what was expected, the first name that differs."""

import argparse
import collections
import pathlib
import pickle

import numpy as np
import pytest
import torch

from losses.perceptual import load_perceptual
from postprocess.parsing import BiSeNet, load_parser
from sketch.checkpoints import load_sketch_extractor
from sketch.network import SketchExtractor
from weights import WeightsError

TRAINING = {
    "epoch": 7,
    "args": argparse.Namespace(lr=0.1, out=pathlib.PosixPath("runs/x")),
    "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
    "scheduler": {"milestones": collections.Counter([3, 5]), "losses": collections.defaultdict(list, a=[1])},
    "best": np.float64(0.5),
    "history": np.arange(3),
}
WRAPPERS = {
    "DataParallel": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    "torch.compile": lambda state: {f"_orig_mod.{name}": tensor for name, tensor in state.items()},
    "a training state": lambda state: TRAINING | {"state_dict": collections.OrderedDict(state)},
    "both": lambda state: TRAINING | {"model": {f"module.net.{name}": tensor for name, tensor in state.items()}},
}


def parser_shapes():
    with torch.device("meta"):
        return BiSeNet().state_dict()


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_parser(tmp_path, wrapper):
    state = {name: torch.full(t.shape, 1, dtype=t.dtype) for name, t in parser_shapes().items()}
    torch.save(WRAPPERS[wrapper](state), tmp_path / "79999_iter.pth")
    assert load_parser(tmp_path / "79999_iter.pth").ffm.conv1.weight.eq(1).all()


@pytest.mark.parametrize("wrapper", ["both", "a training state"])
def test_vgg16(tmp_path, wrapper):
    import torchvision

    with torch.device("meta"):
        shapes = torchvision.models.vgg16(weights=None).features.state_dict()
    state = {f"features.{name}": torch.full(t.shape, 0.5) for name, t in shapes.items()}
    torch.save(WRAPPERS[wrapper](state), tmp_path / "vgg16-x.pth", _use_new_zipfile_serialization=wrapper == "both")
    assert load_perceptual(tmp_path / "vgg16-x.pth").trunk[0].weight.eq(0.5).all()


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("arrays", [True, False])
def test_sketch(tmp_path, wrapper, arrays):
    network = SketchExtractor(3, 2, 2)
    state = {name: t.numpy() if arrays else t for name, t in network.state_dict().items()}
    path = tmp_path / "sketch_generator.pkl"
    if arrays:
        path.write_bytes(pickle.dumps(WRAPPERS[wrapper](state) if wrapper != "both" else {"net": state}))
    else:
        torch.save(WRAPPERS[wrapper](state), path)
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(load_sketch_extractor(path)(x), network(x).detach())


@pytest.mark.parametrize(
    "change, said",
    [
        ({"cp.resnet.bn1.weight": torch.zeros(3)}, "found 186 tensors, expected 186; .* is [3], expected [64]"),
        ({"extra\x1b[31m\nname" * 20: torch.zeros(3)}, "is [3], is not expected"),
        ({"cp.resnet.bn1.bias": None}, "bn1.bias, is missing, expected [64]"),
        ({"cp.resnet.bn1.bias": torch.tensor([float("inf")] * 64)}, "bn1.bias holds numbers that are not finite"),
    ],
)
def test_what_does_not_fit_is_told_shortly(tmp_path, change, said):
    import re

    state = {name: torch.ones(t.shape, dtype=t.dtype) for name, t in parser_shapes().items()} | change
    torch.save({name: t for name, t in state.items() if t is not None}, tmp_path / "79999_iter.pth")
    with pytest.raises(WeightsError) as error:
        load_parser(tmp_path / "79999_iter.pth")
    message = str(error.value)
    assert re.search(said.replace("[", r"\[").replace("]", r"\]").replace("186", r"\d+"), message), message
    assert message.isprintable() and len(message.removeprefix(str(tmp_path))) <= 300
