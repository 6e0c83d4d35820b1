import json

import pytest
import torch

import weights
from stylegan2 import Discriminator, Generator, checkpoints


def test_round_trip_keeps_everything(tmp_path):
    tensors = {"a": torch.randn(3, 4), "count": torch.tensor(7)}
    weights.save(tmp_path / "x.safetensors", tensors, kind="thing", config={"n": [1, 2]}, card={"data": "none"})
    loaded, config = weights.load(tmp_path / "x.safetensors", "thing")
    assert torch.equal(loaded["a"], tensors["a"]) and loaded["count"] == 7
    assert config == {"n": [1, 2]} and weights.card(tmp_path / "x.safetensors") == {"data": "none"}
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


def test_the_same_content_is_the_same_file(tmp_path):
    """Metadata in one order, whatever the library does; with characters that are longer as bytes or need escapes."""
    card = {"data": 'Zürich "quoted" \n \x01 \u2028', "steps": 3}
    written = set()
    for _ in range(8):
        weights.save(
            tmp_path / "a.safetensors", {"b": torch.ones(2), "a": torch.ones(3)}, kind="k", config={}, card=card
        )
        written.add((tmp_path / "a.safetensors").read_bytes())
    assert len(written) == 1 and weights.card(tmp_path / "a.safetensors") == card


def test_networks_round_trip(tmp_path):
    torch.manual_seed(0)
    widths = {"channel_base": 128, "channel_max": 8}
    g = Generator(8, 0, 8, 16, 3, {"num_layers": 2}, widths).eval().requires_grad_(False)  # as it is loaded
    d = Discriminator(0, 16, 3, **widths, epilogue_kwargs={"mbstd_group_size": 2}).eval()
    checkpoints.save(tmp_path / "n.safetensors", {"G_ema": g, "D": d})
    loaded = checkpoints.load(tmp_path / "n.safetensors")
    z = torch.randn(2, 8)
    image = g(z, noise_mode="const")
    assert torch.equal(loaded["G_ema"](z, noise_mode="const"), image) and torch.equal(loaded["D"](image), d(image))
    assert checkpoints.load_generator(tmp_path / "n.safetensors").config == g.config
    checkpoints.save(tmp_path / "half.safetensors", {"G": g}, half=True)
    half = checkpoints.load_generator(tmp_path / "half.safetensors")
    assert half(z, noise_mode="const").sub(image).norm() < 1e-2 * image.norm()
    assert (tmp_path / "half.safetensors").stat().st_size < (tmp_path / "n.safetensors").stat().st_size
    checkpoints.save(tmp_path / "d.safetensors", {"D": d})
    with pytest.raises(weights.WeightsError, match="holds no generator"):
        checkpoints.load_generator(tmp_path / "d.safetensors")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ", bytes(200)])
def test_damaged_files_are_named(tmp_path, content):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(weights.WeightsError, match="w.safetensors"):
        weights.load(path, "stylegan2")


def test_missing_and_wrong_kind(tmp_path):
    with pytest.raises(weights.WeightsError, match="no such weight file"):
        weights.load(tmp_path / "none.safetensors", "x")
    weights.save(tmp_path / "p.safetensors", {"a": torch.zeros(1)}, kind="parser", config={})
    with pytest.raises(weights.WeightsError, match="holds parser, but stylegan2"):
        checkpoints.load(tmp_path / "p.safetensors")
    weights.save(tmp_path / "g.safetensors", {"a": torch.zeros(1)}, kind="stylegan2", config={"G": {"z_dim": 1}})
    with pytest.raises(weights.WeightsError, match="does not fit its own description"):
        checkpoints.load(tmp_path / "g.safetensors")


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    weights.save(path, {"a": torch.ones(1)}, kind="x", config={})
    monkeypatch.setattr("os.replace", lambda *a: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        weights.save(path, {"a": torch.zeros(1)}, kind="x", config={})
    monkeypatch.undo()
    assert weights.load(path, "x")[0]["a"] == 1 and len(list(tmp_path.iterdir())) == 1


def test_demo_bundle_is_complete_and_described():
    """What project.py needs is embedded, at most 30 MB in all, and every file says where it came from."""
    files = sorted(weights.DEMO.glob("*.safetensors"))
    names = {"g_real", "g_rendering", "parser", "perceptual", "sketch", "start"}
    assert {f.stem for f in files} == names
    assert sum(f.stat().st_size for f in files) < 30e6
    readme = (weights.DEMO.parent / "README.md").read_text()
    for file in files:
        assert file.name in readme
        assert json.dumps(weights.card(file)) != "{}"


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    from weights.files import written_atomically

    path = tmp_path / "new" / "report.json"
    with written_atomically(path) as unfinished:
        unfinished.write_text("first")
        assert not path.exists()
    with pytest.raises(KeyboardInterrupt), written_atomically(path) as unfinished:
        unfinished.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]
