"""The table of datasets: LPIPS and L2 of the right pairs, under the right names."""

import csv
import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import weights
from losses.perceptual import load_perceptual
from scripts.paper import table_datasets
from stylegan2 import checkpoints

COLUMNS = ["LPIPS (embedded)", "L2", "LPIPS (VGG-16)"]


@pytest.fixture
def arguments(tiny_bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("LIFELIKE_CACHE", str(tmp_path / "cache"))
    networks = [
        "--g-real",
        str(tiny_bundle / "g_real.safetensors"),
        "--generator",
        f"A={tiny_bundle / 'g_rendering.safetensors'}",
        "--generator",
        f"same={tiny_bundle / 'g_real.safetensors'}",
    ]
    return [*networks, "--out", str(tmp_path / "out"), "--pairs", "11", "--device", "cpu"]


def run(arguments):
    result = CliRunner().invoke(table_datasets.main, arguments)
    assert result.exit_code == 0, result.output


def test_pairs_of_one_latent(arguments, tiny_bundle, tmp_path):
    """Mean LPIPS and squared difference of the pictures of one latent; none between a generator and itself."""
    run(arguments)
    report = json.loads((tmp_path / "out" / "results.json").read_text())
    real, tuned = (
        checkpoints.load_generator(tiny_bundle / f"{name}.safetensors") for name in ("g_real", "g_rendering")
    )
    with torch.no_grad():
        w_plus = real.mapping(torch.randn([11, 16], generator=torch.Generator().manual_seed(3)))
        x, y = (G.synthesis(w_plus, noise_mode="const").clamp(-1, 1) for G in (real, tuned))
        lpips = load_perceptual()(x, y).tolist()
    found = report["values"]["A"]
    assert found["LPIPS (embedded)"] == pytest.approx(lpips, rel=1e-4)
    assert found["L2"] == pytest.approx((x - y).square().mean([1, 2, 3]).tolist(), rel=1e-4)
    row = report["rows"]["A"]["L2"]
    assert row["mean"] == pytest.approx(np.mean(found["L2"])) and row["count"] == 11 and row["low"] < row["high"]
    assert report["rows"]["same"]["L2"]["mean"] == report["rows"]["same"]["LPIPS (embedded)"]["mean"] == 0
    assert report["seed"] == 3 and report["weights"]["A"]["sha256"] == weights.sha256(
        tiny_bundle / "g_rendering.safetensors"
    )

    table = list(csv.DictReader(open(tmp_path / "out" / "table.csv", newline="")))
    assert [row[""] for row in table] == ["A", "same", "paper: DRFHQ (Ours)", "paper: Diverse Human Faces"]
    assert [table[2][f"{column} mean"] for column in COLUMNS] == ["", "0.048", "0.135"]
    assert [table[3][f"{column} mean"] for column in COLUMNS] == ["", "0.062", "0.176"]
    assert table[0]["LPIPS (VGG-16) mean"] == ""
    sheet = np.asarray(Image.open(tmp_path / "out" / "sheet.png"))
    assert sheet.shape[:2] == (3 * 190 + 8, 8 * 168 + 8)  # g_real and two rows, eight latents


def test_pairs_of_portraits(arguments, tmp_path, monkeypatch):
    """A portrait and what g_real draws of its inversion into the row's generator; inversions are kept."""
    import inversion

    (tmp_path / "portraits").mkdir()
    for i in range(3):
        Image.new("RGB", (64, 64), (80 * i, 100, 120)).save(tmp_path / "portraits" / f"{i}.png")
    into = []

    def invert(generator, target, *others, **schedule):
        into.append((generator, len(target), schedule))
        return latent_optimization(generator, target, *others, **schedule)

    latent_optimization = inversion.latent_optimization
    monkeypatch.setattr(inversion, "latent_optimization", invert)
    arguments = [*arguments, "--portraits", str(tmp_path / "portraits"), "--steps", "2"]
    run(arguments)
    assert [(count, schedule) for _, count, schedule in into] == [(3, dict(steps=2, lr=0.1))] * 2
    assert into[0][0] is not into[1][0]  # each row's own generator
    report = json.loads((tmp_path / "out" / "results.json").read_text())
    assert report["count"] == 3 and report["names"] == ["0.png", "1.png", "2.png"] and report["schedule"]["steps"] == 2
    assert all(value > 0 for row in report["values"].values() for value in row["L2"])
    assert "what the method makes of them (2 steps)" in (tmp_path / "out" / "table.md").read_text()
    run(arguments)
    assert len(into) == 2 and json.loads((tmp_path / "out" / "results.json").read_text()) == report
    (tmp_path / "portraits" / "0.png").rename(tmp_path / "portraits" / "3.png")  # pairs follow their portraits
    run(arguments)
    again = json.loads((tmp_path / "out" / "results.json").read_text())["values"]["A"]["L2"]
    first = report["values"]["A"]["L2"]
    assert again == pytest.approx([*first[1:], first[0]], rel=1e-3) and again != pytest.approx(first, rel=1e-2)


def test_bad_input_is_one_line(arguments, tmp_path):
    for extra, message in {
        ("--generator", f"x={tmp_path / 'none.pt'}"): "none.pt: no such file",
        ("--portraits", str(tmp_path / "nowhere")): "nowhere: no such folder or zip",
    }.items():
        result = CliRunner().invoke(table_datasets.main, [*arguments, *extra])
        assert result.exit_code in (1, 2) and message in result.output
        assert len(result.output.strip().splitlines()) == 1 and not (tmp_path / "out").exists()
