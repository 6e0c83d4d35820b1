"""Bytes of small weight files changed, cut out, doubled: a network, or the loader's own error in one line."""

import pickle
import random
import types

import numpy as np
import pytest
import torch

import weights
from inversion.latents import load_w_plus
from losses.perceptual import PerceptualNetwork, load_perceptual
from metrics import fid
from sketch.checkpoints import load_sketch_extractor
from sketch.network import SketchExtractor
from stylegan2 import Generator, checkpoints
from stylegan2.checkpoints.rosinality import save_rosinality

SPACE = types.SimpleNamespace(num_ws=4, w_dim=8)
LOADERS = {
    "rosinality.pt": checkpoints.load,
    "legacy.pt": checkpoints.load,
    "native.safetensors": checkpoints.load,
    "jittor.pkl": load_sketch_extractor,
    "perceptual.safetensors": load_perceptual,
    "w.npz": lambda path: load_w_plus(path, SPACE),
    "w.npy": lambda path: load_w_plus(path, SPACE),
    "w.pt": lambda path: load_w_plus(path, SPACE),
    "statistics.npz": fid.read_statistics,
}


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    generator = Generator(8, 0, 8, 8, 3, {"num_layers": 1}, {"channel_base": 32, "channel_max": 4})
    save_rosinality(folder / "rosinality.pt", generator.requires_grad_(False))
    content = torch.load(folder / "rosinality.pt", weights_only=True)
    torch.save(content, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    checkpoints.save(folder / "native.safetensors", {"G_ema": generator})
    sketch = {name: tensor.numpy() for name, tensor in SketchExtractor(2, 1, 1).state_dict().items()}
    (folder / "jittor.pkl").write_bytes(pickle.dumps(sketch))
    network = PerceptualNetwork([2, 2], [1, 1])
    path = folder / "perceptual.safetensors"
    weights.save(path, network.state_dict(), kind="perceptual", config=network.config)
    latents = np.zeros((2, 4, 8), np.float32)
    np.savez(folder / "w.npz", w_plus=latents)
    np.save(folder / "w.npy", latents)
    torch.save(torch.from_numpy(latents), folder / "w.pt")
    np.savez(folder / "statistics.npz", mu=np.zeros(3), sigma=np.eye(3))
    return folder


@pytest.mark.parametrize("name", LOADERS)
def test_mutated(originals, tmp_path, name):
    rng, refused = random.Random(name), 0
    whole = (originals / name).read_bytes()
    path = tmp_path / f"mutated{(originals / name).suffix}"
    LOADERS[name](originals / name)
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(rng.choice([1, 1, 2, 8])):
            at = rng.choice([rng.randrange(len(data)), rng.randrange(min(400, len(data)))])  # the head is interesting
            length, kind = rng.randrange(1, 32), rng.randrange(3)
            if kind == 0:
                data[at] = rng.randrange(256)
            elif kind == 1:
                del data[at : at + length]
            else:
                data[at:at] = data[at : at + length]
            if len(data) < 20:
                break
        path.write_bytes(data)
        try:
            LOADERS[name](path)
        except (weights.WeightsError, ValueError) as error:
            assert type(error) in (weights.WeightsError, ValueError)
            assert str(error).startswith(str(path)) and str(error).isprintable()
            refused += 1
    assert refused > 10
