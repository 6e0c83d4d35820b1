"""The recipe from a packed set in a few seconds, with tiny networks; packing; parts."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import weights
from inversion.start import load_start
from scripts.demo import pack_data, parts, train_demo
from stylegan2 import checkpoints

TINY = train_demo.SETTINGS | dict(z_dim=8, w_dim=8, mapping_layers=2, channel_base=128, channel_max=8, batch=4)


@pytest.fixture
def data(tmp_path):
    """Eight people at 32x32, four of them at 16x16 as well, and one that is held out."""
    random = np.random.default_rng(0)
    for folder, side, numbers in (("large", 32, [*range(8), 3441]), ("small", 16, range(4, 12))):
        for look in ("real", "rendered"):
            (tmp_path / folder / look).mkdir(parents=True)
            for number in numbers:
                pixels = random.integers(0, 255, [4, 4, 3], dtype=np.uint8)
                image = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
                image.save(tmp_path / folder / look / f"{number:06d}.png")
    return tmp_path


@pytest.fixture
def pack(data):
    folders = [str(data / "large"), str(data / "small")]
    result = CliRunner().invoke(pack_data.main, [*folders, "-o", str(data / "pack")])
    assert result.exit_code == 0, result.output
    assert "4 at 16x16, 8 at 32x32" in result.output
    return data / "pack"


def test_packing(pack, tmp_path):
    large = pack_data.unpack(pack / "real.zip", tmp_path / "of32", 32)
    assert sorted(path.name for path in large.rglob("*.jpg")) == [f"{i:06d}.jpg" for i in range(8)]
    both = pack_data.unpack(pack / "real.zip", tmp_path / "of16", 16)
    assert sorted(path.stem for path in both.rglob("*.jpg")) == [f"{i:06d}" for i in range(12)]
    with pytest.raises(ValueError, match="real.zip: holds no pictures of 64x64"):
        pack_data.unpack(pack / "real.zip", tmp_path / "of64", 64)


def test_parts_give_back_the_same_files(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "SIZE", 1000)
    (tmp_path / "a" / "run").mkdir(parents=True)
    (tmp_path / "a" / "run" / "state").write_bytes(bytes(range(256)) * 20)
    parts.split(tmp_path / "a", tmp_path / "parts", ["run/state", "run/not there"])
    sizes = [file.stat().st_size for file in (tmp_path / "parts").glob("*.part")]
    assert len(sizes) > 5 and max(sizes) <= 1000
    assert parts.join(tmp_path / "parts", tmp_path / "b")
    assert (tmp_path / "b/run/state").read_bytes() == (tmp_path / "a/run/state").read_bytes()
    (tmp_path / "parts" / "state-002.part").unlink()
    with pytest.raises(ValueError, match="parts: parts are missing or damaged"):
        parts.join(tmp_path / "parts", tmp_path / "c")
    assert not parts.join(tmp_path / "nothing", tmp_path / "c")


@pytest.mark.slow
def test_the_whole_recipe_in_two_sessions(pack, tmp_path, monkeypatch):
    monkeypatch.setattr(train_demo, "recipe", short)
    sizes = [16, 32]
    for _ in range(4):  # each session does one run at least, however slow the machine is
        left = train_demo.make(pack, tmp_path / "out", tmp_path / "parts", 5, "cpu", sizes, TINY)
    assert left == []
    card = weights.card(tmp_path / "out/weights/g_real.safetensors")
    assert set(card["runs"]) == {"real16", "real32", "rendering32"} and card["config"]["pairing"]
    real = checkpoints.load(tmp_path / "out/weights/g_real.safetensors")
    rendering = checkpoints.load(tmp_path / "out/weights/g_rendering.safetensors")
    assert set(real) == {"G_ema", "D"} and set(rendering) == {"G_ema"}
    G = real["G_ema"]
    assert G.img_resolution == 32 and not any(block.use_half for block in G.synthesis.blocks())
    assert torch.isfinite(G(torch.randn(2, 8), noise_mode="const")).all()

    encoder = load_start(tmp_path / "out/weights/start.safetensors", rendering["G_ema"])
    assert encoder(torch.zeros(1, 3, 32, 32)).isfinite().all()

    # another machine, with nothing but the parts, has nothing left to do
    again = train_demo.make(pack, tmp_path / "elsewhere", tmp_path / "parts", 1, "cpu", sizes, TINY)
    assert again == []
    for file in (tmp_path / "out/weights").iterdir():
        assert file.read_bytes() == (tmp_path / "elsewhere/weights" / file.name).read_bytes()


def short(sizes):
    return [
        train_demo.Part("real16", "real", 16, 0.3, 0.5),
        train_demo.Part("real32", "real", 32, 0.4, 0.3),
        train_demo.Part("rendering32", "rendered", 32, 0.2),
    ]
