"""The curves on a tiny set: a row a schedule, its length, and the picture."""

import json

import pytest
from click.testing import CliRunner

from scripts.study import inversion_curves


def test_rows_and_picture(data, tiny_bundle, tmp_path, short):
    pytest.importorskip("matplotlib", reason="the extra `tables` is not installed")
    arguments = ["--data", data, "--out", tmp_path / "out", "--weights", tiny_bundle, "--device", "cpu"]
    arguments += ["--steps", 1, "--steps", 3, "--count", 1]
    result = CliRunner().invoke(inversion_curves.main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out" / "results.json").read_text())
    steps = {name: row["steps"] for name, row in report["rows"].items()}
    assert steps == {"Eq. 4, lr 0.1, 1 steps": 1, "Eq. 4, lr 0.1, 3 steps": 3, "preset fast": 2, "preset best": 2}
    paper = report["rows"]["Eq. 4, lr 0.1, 1 steps"]
    assert paper["share of paper's time"] == 1 and paper["LPIPS"]["mean"] > 0  # the paper's preset has one step here
    assert report["names"] == ["027"] and (tmp_path / "out" / "curves.png").stat().st_size > 1000
