"""Finishes by what they are made of, and the whole study on a tiny set, inverting nothing twice."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from scripts.study import restoration

FACE = np.ones([32, 32], int)  # labels: skin


@pytest.fixture
def crops():
    """A picture, and what both generators draw of it, float32 [32, 32, 3]: smooth, and 20 levels apart."""
    random = np.random.default_rng(0)
    picture = random.uniform(60, 180, (32, 32, 3)).astype(np.float32)
    rendering = restoration.blurred(picture, 2.0)
    return picture, rendering + np.float32(20), rendering


def test_finishes_of_a_known_difference(crops):
    picture, real, rendering = crops
    np.testing.assert_array_equal(restoration.plain(0)(picture, real, rendering, FACE), real)
    np.testing.assert_allclose(restoration.plain(1)(picture, real, rendering, FACE), picture + 20, atol=1e-3)
    np.testing.assert_allclose(restoration.plain(1, 2)(picture, real, rendering, FACE), picture + 20, atol=1e-3)
    everything = restoration.bands(1.0)(picture, real, rendering, FACE)
    np.testing.assert_allclose(everything, picture + 20, atol=1e-3)
    gate = restoration.where_outlines_agree(1)(picture, real, rendering, FACE)
    np.testing.assert_allclose(gate, picture + 20, atol=0.1)  # outlines agree everywhere


@pytest.mark.parametrize("name", restoration.FINISHES)
def test_generators_that_agree_change_nothing(crops, name):
    """But for the finishes that take the portrait, or part of it, in the picture's place."""
    picture, _, rendering = crops
    result = restoration.FINISHES[name](picture, rendering, rendering, FACE)
    if name in ("d = 0 (Eq. 5)", "d = 1/2", "half of the finest band", "chosen, d = 1/2"):
        assert np.abs(result - picture).mean() > 1
    else:
        np.testing.assert_allclose(result, picture, atol=0.5)


def test_the_study(data, tiny_bundle, tmp_path, short, monkeypatch):
    names = (
        "d = 0 (Eq. 5)",
        "d = 1",
        "affine maps from G to R, 1.5 pixels",
        "Oklab, the picture's light (chosen)",
        "chosen, s = 1.2",
    )
    monkeypatch.setattr(restoration, "FINISHES", {name: restoration.FINISHES[name] for name in names})
    monkeypatch.setattr(restoration, "SCHEDULES", {"1": (1, 0, None), restoration.BEFORE: (1, 1, 1e-3)})
    out = tmp_path / "out"
    arguments = ["--data", data, "--out", out, "--weights", tiny_bundle, "--count", 2, "--device", "cpu"]
    result = CliRunner().invoke(restoration.main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    report = json.loads((out / "results.json").read_text())
    rows = report["rows"]
    assert list(rows)[:3] == ["input", "truth", "the default before: Eq. 5"] and len(rows) == 3 + 5 + 3
    assert rows["truth"]["L2 (face)"]["mean"] == 0 < rows["input"]["L2 (face)"]["mean"]
    assert rows["input"]["sharpness"]["mean"] == 1 and rows["d = 1"]["steps"] == 2
    assert report["names"] == ["027", "029"]  # of the held out
    assert Image.open(out / "sheet.png").width == 7 * (192 + 8) + 8
    monkeypatch.setattr("inversion.invert", None)  # they are kept
    again = CliRunner().invoke(restoration.main, [str(argument) for argument in arguments])
    assert again.exit_code == 0, again.output
    assert json.loads((out / "results.json").read_text())["rows"] == rows
