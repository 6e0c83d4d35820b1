"""The ablation trains what is missing with the right losses off, measures all, and a rerun trains nothing again."""

import csv
import json

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

import train as train_command
from scripts.paper import ablation_losses
from training.config import TrainingConfig
from training.loop import train

TINY = dict(
    resolution=16,
    z_dim=8,
    w_dim=8,
    mapping_layers=1,
    channel_base=64,
    channel_max=8,
    num_fp16_res=0,
    batch=4,
    kimg=0.008,
    snapshot_kimg=1,
    metrics_pictures=0,
    ada_target=None,
    pl_weight=0,
)


@pytest.fixture
def config(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for i in range(6):
        noise = np.random.default_rng(i).integers(0, 256, (4, 4, 3), np.uint8)
        Image.fromarray(noise).resize((16, 16)).save(data / f"{i}.png")
    g_real = train(TrainingConfig(data=str(data), **TINY), tmp_path / "g_real", progress=False)
    losses = dict(sketch_size=16, sketch_weight=1e-4, color_size=16, color_kernel=3, color_sigma=1, color_weight=1)
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(TINY | losses | {"data": str(data), "g_real": str(g_real)}))
    return path


def test_ablation(config, tmp_path, monkeypatch):
    runs = []

    def in_this_process(command, check):
        arguments = list(map(str, command[2:]))
        runs.append(arguments)
        result = CliRunner().invoke(train_command.main, [*arguments, "--device", "cpu"])
        assert result.exit_code == 0, result.output

    monkeypatch.setattr(ablation_losses.subprocess, "run", in_this_process)
    arguments = [str(config), "--out", str(tmp_path / "out"), "--count", "8", "--device", "cpu"]
    result = CliRunner().invoke(ablation_losses.main, arguments)
    assert result.exit_code == 0, result.output
    off = [sorted(a.split("=")[0] for a in run if a.endswith("_weight=0")) for run in runs]
    assert off == [[], ["sketch_weight"], ["color_weight"], ["color_weight", "sketch_weight"]]
    report = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [len(report["values"]["full"][column]) for column in ablation_losses.COLUMNS] == [8, 8, 8, 201]
    rows = list(csv.reader(open(tmp_path / "out" / "table.csv")))
    assert [row[0] for row in rows] == ["", *ablation_losses.VARIANTS]
    identity = report["rows"]["full"]["identity (dlib)"]
    assert identity["low"] <= identity["mean"] <= identity["high"] and float(rows[1][1]) == identity["mean"]
    assert identity["mean"] == pytest.approx(np.mean(report["values"]["full"]["identity"])) and identity["count"] == 8
    assert set(report["weights"]) == {"g_real", *ablation_losses.VARIANTS} and report["seed"] == 3
    assert (tmp_path / "out" / "sheet.png").exists() and "no_identity" in (tmp_path / "out" / "table.md").read_text()
    assert CliRunner().invoke(ablation_losses.main, arguments).exit_code == 0 and len(runs) == 4
