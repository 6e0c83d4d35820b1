"""The plain formulation that benchmarks compare with computes the same thing, and the command writes its table."""

import json
import subprocess
import sys

import pytest
import torch

from scripts.speed import benchmark, plain
from stylegan2 import ops


@pytest.mark.parametrize(
    "options", [dict(up=2, padding=(2, 1, 2, 1), gain=4), dict(down=2, padding=1), dict(padding=2)]
)
def test_plain_upfirdn2d_is_the_same_function(options):
    x, f = torch.randn(2, 3, 8, 8), ops.setup_filter([1, 3, 3, 1])
    assert torch.allclose(plain.plain_upfirdn2d(x, f, **options), ops.upfirdn2d(x, f, **options), atol=1e-6)


def test_plain_bias_act_is_the_same_function():
    x, b = torch.randn(2, 3, 8, 8), torch.randn(3)
    ours = ops.bias_act(x, b, act="lrelu", clamp=1)
    assert torch.allclose(plain.plain_bias_act(x, b, act="lrelu", clamp=1), ours, atol=1e-6)


@pytest.mark.slow
def test_command_writes_table_and_numbers(tmp_path):
    command = [
        sys.executable,
        benchmark.__file__,
        "synthesis",
        "--resolution",
        "8",
        "--repeats",
        "1",
        "--device",
        "cpu",
    ]
    subprocess.run([*command, "--dtype", "float32", "--out", tmp_path], check=True, capture_output=True)
    rows = json.loads((tmp_path / "synthesis-cpu.json").read_text())["rows"]
    assert [row["variant"] for row in rows] == ["plain", "plain+kept memory", "ours"]
    assert rows[2]["ratio"] == pytest.approx(rows[2]["seconds"] / rows[0]["seconds"])
    assert (tmp_path / "synthesis-cpu.md").read_text().count("\n|") == 5
