"""Limits from results whose measures are known."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline import Measured
from pipeline.warnings import face_warnings, load_calibration
from scripts.study import calibrate_warnings


def run(*arguments):
    return CliRunner().invoke(calibrate_warnings.main, [str(argument) for argument in arguments])


@pytest.fixture
def manifest(data):
    """Yaws of -30 to 29 degrees; those of the evaluated, which must not count, are far larger."""
    ids = [path.stem for path in sorted((data / "rendered").iterdir())]
    held_out = {path.stem for path in (data / "matched").iterdir()}
    people = [{"id": name, "yaw": 90 if name in held_out else i - len(ids)} for i, name in enumerate(ids)]
    (data / "manifest.jsonl").write_text("".join(json.dumps(person) + "\n" for person in people))
    return data


def test_each_kind_of_result_has_its_limits(manifest, tiny_bundle, tmp_path, short):
    out = tmp_path / "limits" / "calibration.json"
    options = ("--data", manifest, "--out", out, "--weights", tiny_bundle, "--count", 2, "--device", "cpu")
    result = run(*options)
    assert result.exit_code == 0, result.output
    limits = load_calibration(out.parent)
    assert set(limits) == {"plain", "tuned", "restored", "yaw"}
    assert limits["plain"]["lpips"] == limits["tuned"]["lpips"] > 0 and "lpips" not in limits["restored"]
    assert (
        limits["plain"]["identity"] != limits["tuned"]["identity"]
        and min(v["identity"] for v in limits.values() if isinstance(v, dict)) > 0
    )
    assert 28 <= limits["yaw"] <= 30
    assert "2 evaluation identities" in json.loads(out.read_text())["how"]


def test_limits_are_percentiles(manifest, tiny_bundle, tmp_path, monkeypatch):
    numbers = iter(np.linspace(0.1, 0.4, 4))

    def measures(pixels, bundle, paper, default, on_step):
        value = next(numbers)
        face = Measured(0, None, [], 32.0, 32, None, 1.0, False, 0.0, value, 2 * value, {}, 0.0, {"eye_g": 0, "hat": 0})
        return {"plain": face, "tuned": face}

    monkeypatch.setattr(calibrate_warnings, "measures", measures)
    out = tmp_path / "calibration.json"
    assert run("--data", manifest, "--out", out, "--weights", tiny_bundle, "--count", 4).exit_code == 0
    limits = load_calibration(tmp_path)
    assert limits["plain"] == {"lpips": 0.385, "identity": 0.77} and list(limits["restored"]) == ["identity"]
    below = Measured(0, None, [], 32.0, 32, None, 1.0, False, 0.0, 0.38, 0.76, {}, 0.0, {"eye_g": 0, "hat": 0})
    assert face_warnings(below, limits) == [] and len(face_warnings(replace(below, identity=0.78), limits)) == 1
