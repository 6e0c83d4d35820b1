"""Both ways through the same frames, measured alike."""

import json

import pytest
from click.testing import CliRunner
from PIL import Image

from scripts.study import measure_flicker


@pytest.mark.slow
def test_both_runs_and_the_table(samples, tiny_bundle, tmp_path):
    face = Image.open(samples / "avatar05_portrait.png").convert("RGB").resize((300, 300))
    (tmp_path / "frames").mkdir()
    for number in (1, 2):
        face.save(tmp_path / "frames" / f"{number}.png")
    arguments = [tmp_path / "frames", "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1, "--device", "cpu"]
    result = CliRunner().invoke(measure_flicker.main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["rows"]
    assert list(rows) == ["separate", "sequence"]
    for row in rows.values():
        assert row["change of the input"]["mean"] == 0  # it is the same picture twice
        assert row["excess"]["mean"] == row["change of the result"]["mean"]
    assert rows["separate"]["change of the result"]["mean"] == 0  # one by one, the same in is the same out
