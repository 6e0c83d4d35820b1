"""The estimate of --dry-run: counts that are known, and how it follows the settings."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from training.config import TrainingConfig, load_config
from training.estimate import _measured, estimate

ROOT = Path(__file__).resolve().parents[2]
SMALL = TrainingConfig(
    data="",
    resolution=32,
    channel_base=1024,
    channel_max=32,
    z_dim=32,
    w_dim=32,
    batch=8,
    num_fp16_res=0,
    kimg=1,
    ada_target=None,
)


def test_operations_and_saved_bytes_of_one_convolution():
    conv = torch.nn.Conv2d(4, 8, 3, padding=1, bias=False, device="meta")
    x = torch.empty(2, 4, 16, 16, device="meta")
    saved, flops = _measured(lambda: conv(x).sum(), (conv,))
    assert saved == 2 * 4 * 16 * 16 * 4  # the input, to compute the weight's gradient
    forward = 2 * 2 * 8 * 16 * 16 * 4 * 9
    assert flops == 2 * forward  # and the weight's gradient


def test_estimate_follows_the_settings():
    whole = estimate(SMALL, 1)
    assert whole["parameters"]["G"] == sum(p.numel() for p in _generator().parameters())
    half = estimate(dataclasses.replace(SMALL, batch_gpu=4), 1)
    assert half["gib"] < whole["gib"]
    assert half["flops_per_image"] == pytest.approx(whole["flops_per_image"], rel=0.02)
    two = estimate(SMALL, 2)
    assert two["minutes"]["V100"] == pytest.approx(whole["minutes"]["V100"] / 2, rel=0.02)
    without = estimate(dataclasses.replace(SMALL, pl_weight=0), 1)
    assert without["flops_per_image"] < whole["flops_per_image"]


def _generator():
    from stylegan2 import Generator

    return Generator(32, 0, 32, 32, 3, {"num_layers": 8}, {"channel_base": 1024, "channel_max": 32})


@pytest.mark.slow
def test_dry_run_of_the_paper_fits_its_gpus(tmp_path):
    """4 processes, 32 GiB each; nothing is written and the data need not be there."""
    command = [
        sys.executable,
        ROOT / "train.py",
        ROOT / "configs/drfhq1024.yaml",
        "--out",
        tmp_path / "run",
        "--dry-run",
    ]
    environment = os.environ | {"WORLD_SIZE": "4", "RANK": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "G         30.37 M" in done.stdout and "D         29.01 M" in done.stdout
    gib = float(done.stdout.split("about ")[1].split(" GiB")[0])
    assert 10 < gib < 32
    assert not (tmp_path / "run").exists()


def test_ablation_configs_differ_in_what_they_ablate():
    full = load_config(ROOT / "configs/drfhq1024.yaml").__dict__
    expected = {
        "drfhq1024_no_sketch": {"sketch_weight": 0},
        "drfhq1024_no_color": {"color_weight": 0},
        "drfhq1024_no_identity": {"sketch_weight": 0, "color_weight": 0},
        "dhf1024": {"data": "data/dhf/dataset.zip"},
    }
    for name, change in expected.items():
        other = load_config(ROOT / f"configs/{name}.yaml").__dict__
        assert {key: value for key, value in other.items() if value != full[key]} == change
