"""The rows of a table: any format, one latent space, the same latents for all."""

import golden
import pytest
import torch

import weights
from compare.generators import drawn, latents, load_row, load_rows
from stylegan2 import Generator, checkpoints
from weights import WeightsError


@pytest.fixture
def g_real(tmp_path, small_generator):
    checkpoints.save(tmp_path / "g_real.safetensors", {"G_ema": small_generator})
    return tmp_path / "g_real.safetensors"


def test_rows_of_the_embedded_bundle():
    rows = load_rows()
    assert list(rows) == ["g_real", "g_rendering"]
    assert rows["g_rendering"].sha256 == weights.sha256(weights.DEMO / "g_rendering.safetensors")
    with pytest.raises(ValueError, match="is --g-real's"):
        load_rows(None, {"g_real": "x.pkl"})


def test_latents_are_those_of_the_mapping_network(g_real, small_generator):
    row = load_row(g_real)
    w_plus = latents(row, 5, seed=4)
    z = torch.randn([5, 16], generator=torch.Generator().manual_seed(4))
    assert torch.allclose(w_plus, small_generator.mapping(z), atol=1e-6) and w_plus.shape == (
        5,
        row.generator.num_ws,
        16,
    )
    assert torch.equal(latents(row, 3, seed=4), w_plus[:3])  # a smaller table uses the first ones
    assert not torch.equal(latents(row, 5, seed=5), w_plus)
    images = drawn(row, w_plus)(1, 3)
    assert torch.allclose(images, small_generator.synthesis(w_plus[1:3], noise_mode="const"), atol=1e-5)


@pytest.mark.parametrize("name", ["official_layout_64.pkl", "rosinality_64.pt"])
def test_every_format_is_a_row(name, tmp_path):
    """An official pickle and a rosinality file beside a native copy of the same: the same pictures."""
    path = golden.path(name)
    generator = checkpoints.load_generator(path)
    checkpoints.save(tmp_path / "native.safetensors", {"G_ema": generator})
    native = load_row(tmp_path / "native.safetensors")
    foreign = load_row(path, beside=native)
    w_plus = latents(native, 2, seed=0)
    assert torch.allclose(drawn(native, w_plus)(0, 2), drawn(foreign, w_plus)(0, 2), atol=1e-5)


def test_what_cannot_be_a_row(tmp_path, g_real):
    row = load_row(g_real)
    with pytest.raises(WeightsError, match="none.pt: no such file"):
        load_row(tmp_path / "none.pt")
    for name, arguments in {"larger": (16, 0, 16, 64, 3), "wider": (16, 0, 8, 32, 3)}.items():
        widths = {"channel_base": 256, "channel_max": 16}
        other = Generator(*arguments, {"num_layers": 2}, widths)
        checkpoints.save(tmp_path / f"{name}.safetensors", {"G_ema": other})
        with pytest.raises(WeightsError, match=f"{name}.safetensors: its .* that of g_real"):
            load_row(tmp_path / f"{name}.safetensors", beside=row)
    labelled = Generator(16, 3, 16, 32, 3, {"num_layers": 2}, {"channel_base": 256, "channel_max": 16})
    checkpoints.save(tmp_path / "labelled.safetensors", {"G_ema": labelled})
    with pytest.raises(WeightsError, match="labelled.safetensors: a conditional generator"):
        load_row(tmp_path / "labelled.safetensors")
    (tmp_path / "text.pkl").write_text("no pickle")
    with pytest.raises(WeightsError, match="text.pkl"):
        load_row(tmp_path / "text.pkl")
