"""Blended generators: the ends are the generators themselves, and each block follows the share of its resolution."""

import pytest
import torch
from click.testing import CliRunner

from scripts import blend_generators
from stylegan2 import Generator, checkpoints
from stylegan2.blending import blend, swap_at


@pytest.fixture(scope="module")
def pair():
    made = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        widths = dict(channel_base=128, channel_max=8, num_fp16_res=0)
        made.append(Generator(8, 0, 8, 16, 3, {"num_layers": 1}, widths).eval().requires_grad_(False))
    made[1].mapping.load_state_dict(made[0].mapping.state_dict())
    return made


def test_ends_are_the_generators(pair):
    w_plus = torch.randn(2, pair[0].num_ws, 8)
    for share, G in ((0, pair[0]), (1, pair[1])):
        y = blend(*pair, share).synthesis(w_plus, noise_mode="const")
        torch.testing.assert_close(y, G.synthesis(w_plus, noise_mode="const"))


def test_swapping_takes_each_block_whole(pair):
    result, states = blend(*pair, swap_at(8)), [G.state_dict() for G in pair]
    for name, tensor in result.state_dict().items():
        wanted = states[int(name.startswith(("synthesis.b8", "synthesis.b16")))][name]
        assert torch.equal(tensor, wanted), name


def test_a_ramp_is_halfway_between_the_blocks():
    share = swap_at(32, sharpness=2)
    assert share(16) + share(32) == pytest.approx(1) and share(4) < share(8) < share(16) < 0.5 < share(32) < share(64)
    assert swap_at(32, sharpness=100)(16) == pytest.approx(swap_at(32)(16), abs=1e-9)


def test_different_architectures_are_refused(pair):
    other = Generator(8, 0, 8, 32, 3, {"num_layers": 1}, dict(channel_base=128, channel_max=8, num_fp16_res=0))
    with pytest.raises(ValueError, match="differ in architecture"):
        blend(pair[0], other, 0.5)


def test_command(pair, tmp_path):
    for name, G in zip("ab", pair, strict=True):
        checkpoints.save(tmp_path / f"{name}.safetensors", {"G_ema": G})
    arguments = [str(tmp_path / f"{name}.safetensors") for name in ("a", "b", "out")]
    result = CliRunner().invoke(blend_generators.main, [*arguments, "--strength", "0.25"])
    assert result.exit_code == 0, result.output
    made = checkpoints.load_generator(tmp_path / "out.safetensors").state_dict()
    a, b = (G.state_dict()["synthesis.b8.conv0.weight"] for G in pair)
    torch.testing.assert_close(made["synthesis.b8.conv0.weight"], 0.75 * a + 0.25 * b)
    assert (tmp_path / "out_sheet.png").exists()
    assert CliRunner().invoke(blend_generators.main, [*arguments, "--strength", "1", "--swap-at", "8"]).exit_code == 2
    before = (tmp_path / "out.safetensors").read_bytes()
    for wrong in (
        ["--strength", "nan"],
        ["--swap-at", "7"],
        ["--swap-at", "-8"],
        ["--swap-at", "8", "--sharpness", "inf"],
    ):
        result = CliRunner().invoke(blend_generators.main, [*arguments, *wrong])
        assert result.exit_code and wrong[-2] in result.output and "Traceback" not in result.output
    assert (tmp_path / "out.safetensors").read_bytes() == before
