"""Foreign checkpoints: the golden numbers come out, and nothing in a file is ever executed."""

import os
import pickle
import random
import sys

import golden
import pytest
import torch

from stylegan2 import checkpoints
from stylegan2.checkpoints.safe_pickle import CheckpointError, load_pickle


@pytest.mark.parametrize("name", ["official_layout_64", "official_layout_t17style_32"])
def test_official_pickle(name):
    networks = checkpoints.load(golden.path(name + ".pkl"))
    facts, io = golden.facts(name + "_facts.json"), golden.arrays(name + "_io.npz")
    for key, expected in facts["state_dict_shape_and_sum"].items():
        if key in networks:
            state = networks[key].state_dict()
            assert set(state) == set(expected)
            for tensor, (shape, total) in expected.items():
                assert list(state[tensor].shape) == shape
                assert state[tensor].double().sum().item() == pytest.approx(total, abs=1e-6)
    generator = networks["G_ema"]
    ws = generator.mapping(io["z"])
    golden.assert_close(ws, io["ws"])
    golden.assert_close(generator.mapping(io["z"], truncation_psi=0.7), io["ws_psi07"])
    image = generator.synthesis(ws, noise_mode="const")
    golden.assert_close(image, io["img_const"])
    golden.assert_close(networks["D"](io["img_const"]), io["logits_of_img"])
    golden.assert_close(networks["G"].mapping(io["z"]), io["ws_from_G_not_ema"])
    assert checkpoints.load_generator(golden.path(name + ".pkl")).mapping(io["z"]).equal(ws)


def test_rosinality():
    generator = checkpoints.load_generator(golden.path("rosinality_64.pt"))
    io = golden.arrays("rosinality_64_io.npz")
    w = generator.mapping(io["z"])
    golden.assert_close(w[:, 0], io["w"])
    golden.assert_close(generator.synthesis(w, noise_mode="const"), io["img_w"])
    golden.assert_close(generator.synthesis(io["w_plus"], noise_mode="const"), io["img_wplus"])
    golden.assert_close(generator.mapping(io["z"], truncation_psi=0.7)[:, 0], io["w_trunc0.7"])


def test_rosinality_without_mean_latent_computes_it(tmp_path):
    content = torch.load(golden.path("rosinality_64.pt"), weights_only=True)
    del content["latent_avg"]
    torch.save(content, tmp_path / "x.pt")
    generator = checkpoints.load_generator(tmp_path / "x.pt")
    w = generator.mapping(torch.randn(4000, 32, generator=torch.Generator().manual_seed(5)))[:, 0]
    assert (generator.mapping.w_avg - w.mean(0)).norm() < 0.05 * w.norm(dim=1).mean()


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("suffix", [".pkl", ".pt", ".safetensors"])
def test_hostile_pickle_executes_nothing(tmp_path, suffix):
    trap = tmp_path / "trap"
    path = tmp_path / f"evil{suffix}"
    path.write_bytes(pickle.dumps({"G_ema": Evil(trap)}))
    with pytest.raises(checkpoints.CheckpointError.__mro__[1], match="evil"):
        checkpoints.load(path)
    assert not trap.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"\x80", b"hello", pickle.dumps([1]), pickle.dumps({"G": 1}), b"(" * 10_000, b"\x80\x04\x96" + b"\xff" * 8],
)
def test_wrong_pickles_are_named(tmp_path, content):
    path = tmp_path / "x.pkl"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="x.pkl"):
        checkpoints.load(path)


def test_250_mutated_files(tmp_path):
    """Bytes changed, cut out, doubled: a network or a CheckpointError, nothing else, and no file is created."""
    original = golden.path("official_layout_t17style_32.pkl").read_bytes()
    rng = random.Random(0)
    path = tmp_path / "mutated.pkl"
    refused = 0
    for i in range(250):
        data = bytearray(original)
        for _ in range(rng.choice([1, 2, 8])):
            # opcodes, not weights, are the interesting part: half the hits go to the first tenth
            at = rng.randrange(len(data) if i % 2 else len(data) // 10)
            kind = rng.randrange(4)
            if kind == 0:
                data[at] = rng.randrange(256)
            elif kind == 1:
                del data[at : at + rng.randrange(1, 64)]
            elif kind == 2:
                data[at:at] = data[at : at + rng.randrange(1, 64)]
            else:
                del data[at:]
            if len(data) < 20:
                break
        path.write_bytes(data)
        try:
            checkpoints.load(path)
        except CheckpointError as error:
            refused += 1
            assert "mutated.pkl" in str(error) and "\n" not in str(error)
    assert refused > 100
    assert [p.name for p in tmp_path.iterdir()] == ["mutated.pkl"]


def test_embedded_source_and_unknown_names_are_not_imported(tmp_path):
    path = tmp_path / "x.pkl"
    path.write_bytes(b"\x80\x04\x8c\x0cantigravity_\x8c\x01f\x93.".replace(b"antigravity_", b"xdrlib_nope_"))
    with pytest.raises(CheckpointError, match="not on the list"):
        load_pickle(path)
    assert "xdrlib_nope_" not in sys.modules


def test_rosinality_round_trip_is_the_original_file(tmp_path):
    from stylegan2.checkpoints.rosinality import save_rosinality

    original = torch.load(golden.path("rosinality_64.pt"), weights_only=True)
    save_rosinality(tmp_path / "again.pt", checkpoints.load_generator(golden.path("rosinality_64.pt")))
    again = torch.load(tmp_path / "again.pt", weights_only=True)
    assert list(again["g_ema"]) == list(original["g_ema"])
    for name, tensor in original["g_ema"].items():
        assert again["g_ema"][name].shape == tensor.shape
        torch.testing.assert_close(again["g_ema"][name], tensor, msg=name)
    torch.testing.assert_close(again["latent_avg"], original["latent_avg"])


def test_convert_script(tmp_path):
    from click.testing import CliRunner

    from scripts.convert_checkpoint import main

    source = golden.path("official_layout_t17style_32.pkl")
    result = CliRunner().invoke(main, [str(source), str(tmp_path / "x.safetensors")])
    assert result.exit_code == 0, result.output
    assert "32x32" in result.output and "SHA-256" in result.output
    io = golden.arrays("official_layout_t17style_32_io.npz")
    golden.assert_close(checkpoints.load_generator(tmp_path / "x.safetensors").mapping(io["z"]), io["ws"])
    result = CliRunner().invoke(main, [str(tmp_path / "none.pkl"), str(tmp_path / "y.safetensors")])
    assert result.exit_code == 1 and "none.pkl" in result.output
