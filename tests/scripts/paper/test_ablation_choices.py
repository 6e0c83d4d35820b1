"""Both tables are written, and the choices differ."""

import json

import numpy as np
from click.testing import CliRunner
from PIL import Image

from scripts.paper import ablation_choices


def test_both_tables(tiny_bundle, tmp_path, monkeypatch):
    from metrics import identity

    monkeypatch.setattr(identity, "embedding", lambda pixels: pixels[:8, :8].ravel() / 255)  # dlib's is slow
    monkeypatch.setattr(ablation_choices, "LATENTS", 4)
    for i in range(2):
        pixels = np.random.default_rng(i).integers(0, 256, (32, 32, 3), np.uint8)
        for look in ("rendered", "matched", "parsing"):
            (tmp_path / "data" / look).mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(pixels) if look != "parsing" else Image.fromarray(np.ones((32, 32), np.uint8))
            image.save(tmp_path / "data" / look / f"{i}.png")
    arguments = ["--data", tmp_path / "data", "--out", tmp_path / "out", "--weights", tiny_bundle, "--count", 2]
    result = CliRunner().invoke(ablation_choices.main, [str(a) for a in (*arguments, "--steps", 3, "--device", "cpu")])
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out" / "inversion" / "results.json").read_text())["values"]
    assert len(found) == 6
    reached = [found[name]["LPIPS of the inversion"] for name in list(found)[:4]]  # disturbances and learning rates
    assert len(set(map(tuple, reached))) == 4
    sketch = json.loads((tmp_path / "out" / "sketch" / "results.json").read_text())
    rows = sketch["rows"]
    ratio = rows["S sees [0, 1]"]["sum, batch mean"]["mean"] / rows["S sees [0, 1]"]["mean"]["mean"]
    assert abs(ratio / (32 * 32) - round(ratio / (32 * 32))) < 1e-3  # pixels times channels
    assert rows["S sees [-1, 1]"]["agreement"] == 1
    assert (tmp_path / "out" / "sketch" / "sheet.png").is_file()
