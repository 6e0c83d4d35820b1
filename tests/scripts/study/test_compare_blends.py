"""The command writes its table, numbers and sheet, and composites again from the portraits it kept."""

import json

from click.testing import CliRunner
from PIL import Image

import inversion
from inversion import Schedule
from pipeline import PRESETS, Finish, Preset
from scripts.study import compare_blends


def test_table_sheet_and_kept_portraits(samples, tiny_bundle, tmp_path, monkeypatch):
    monkeypatch.setitem(PRESETS, "fast", Preset(Schedule(1), Finish()))
    Image.open(samples / "avatar05_portrait.png").convert("RGB").resize((400, 400)).save(tmp_path / "face.png")
    arguments = [tmp_path / "face.png", "-o", tmp_path / "out", "--weights", tiny_bundle]
    result = CliRunner().invoke(compare_blends.main, [str(a) for a in (*arguments, "--device", "cpu")])
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "out" / "blending-cpu.json").read_text())["rows"]
    assert [row["blend"] for row in rows] == ["harmonized", "paper", "poisson"]
    assert all(row["gradient"] > 0 and row["step"] >= 0 for row in rows)
    assert (tmp_path / "out" / "blending-cpu.md").read_text().count("\n|") == 4
    assert Image.open(tmp_path / "out" / "sheet.png").width == 4 * (384 + 8) + 8
    monkeypatch.setattr(inversion, "invert", None)  # the second run finds the inversion there
    result = CliRunner().invoke(compare_blends.main, [str(a) for a in (*arguments, "--device", "cpu")])
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "out" / "blending-cpu.json").read_text())["rows"] == rows


def test_mean_line():
    rows = [
        {"picture": name, "blend": "paper", "gradient": g, "gradient_before": 2.0, "step": s}
        for name, g, s in (("a", 1.0, 4.0), ("b", 3.0, 6.0))
    ]
    lines = list(compare_blends.table_lines(rows, ["paper"]))
    assert lines[-1] == "| mean | 2.00, 1.00 | 5.00 |" and lines[2] == "| a | 1.00, 0.50 | 4.00 |"
