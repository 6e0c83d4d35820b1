"""The paired benchmark and the framework's ablation on a tiny set: every row and file, and nothing made twice."""

import csv
import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import inversion
from compare.paired import authenticity, measures, methods
from inversion import Schedule, Tuning
from pipeline import PRESETS, Finish, Preset
from scripts.paper import ablation_framework, benchmark_paired

LOSSES = dict(
    sketch_weight=10,
    sketch_size=32,
    sketch_reduction="mean",
    color_weight=30,
    color_size=32,
    color_kernel=3,
    color_sigma=1.0,
)
IDS = [f"{i:03d}" for i in range(32)]
EVALUATED = IDS[-3:]


@pytest.fixture
def data(tmp_path):
    """Blurred noise as `rendered`, noise as the photo look: what tells the two looks apart is texture alone."""
    for look in ("rendered", "real", "matched", "parsing"):
        (tmp_path / "data" / look).mkdir(parents=True)
    labels = np.zeros((32, 32), np.uint8)
    labels[4:28, 4:28], labels[8:24, 8:24] = 17, 1  # hair around skin
    for i, name in enumerate(IDS):
        noise = np.random.default_rng(i).integers(0, 256, (32, 32, 3), np.uint8)
        smooth = Image.fromarray(noise).resize((4, 4)).resize((32, 32), Image.Resampling.BICUBIC)
        smooth.save(tmp_path / "data" / "rendered" / f"{name}.png")
        Image.fromarray(noise).save(tmp_path / "data" / "real" / f"{name}.png")
        Image.fromarray(labels).save(tmp_path / "data" / "parsing" / f"{name}.png")
        if name in EVALUATED:
            Image.fromarray(noise // 2).save(tmp_path / "data" / "matched" / f"{name}.png")
    return tmp_path / "data"


@pytest.fixture
def run(tiny_bundle, monkeypatch):
    monkeypatch.setattr(methods, "identity_settings", lambda path: LOSSES)
    monkeypatch.setitem(PRESETS, "fast", Preset(Schedule(1, tuning=Tuning(1, lr=1e-3)), Finish()))
    monkeypatch.setattr("metrics.identity.embedding", lambda pixels, box=None: np.zeros(128))
    monkeypatch.setattr(measures, "embedding", lambda pixels: pixels[:8, :8].ravel() / 255)  # dlib's is slow

    def invoke(command, *arguments, steps=1):
        arguments = [*arguments, "--weights", tiny_bundle, "--steps", steps, "--device", "cpu"]
        return CliRunner().invoke(command.main, [str(a) for a in arguments])

    return invoke


def test_all_rows_and_files(data, run, tiny_bundle, tmp_path, monkeypatch):
    out, ablation = tmp_path / "out", tmp_path / "ablation"
    for name in methods.ABLATIONS:
        (ablation / name).mkdir(parents=True)
        shutil.copy(tiny_bundle / "g_real.safetensors", ablation / name / "snapshot.safetensors")
    arguments = ["--data", data, "--out", out, "--results", f"theirs={data / 'matched'}", "--ablation", ablation]
    result = run(benchmark_paired, *arguments)
    assert result.exit_code == 0, result.output

    made = [
        "restored",
        "composited",
        "redrawn",
        "ours",
        "direct",
        "guided",
        "ours_tuned",
        "direct_tuned",
        "full",
        "no_sketch",
        "no_color",
        "no_identity",
        "input",
    ]
    rows = [*made, "theirs", "truth", "real look"]
    report = json.loads((out / "results.json").read_text())
    differences = [f"{ours} - {name}" for ours in ("restored", "ours") for name in rows[:-2] if name != ours]
    assert list(report["rows"]) == [*rows, *differences]
    assert report["names"] == EVALUATED and list(report["systems"]) == rows[:-2]
    assert report["rows"]["truth"]["LPIPS"]["mean"] == report["rows"]["theirs"]["L2 (face)"]["mean"] == 0
    assert report["rows"]["full"] == report["rows"]["direct"]  # the same generator
    ours, direct = (report["values"][name]["L2"] for name in ("ours", "direct"))
    assert report["rows"]["ours - direct"]["L2"]["mean"] == pytest.approx(np.mean(np.subtract(ours, direct)))
    assert report["rows"]["input"]["no face"] == 3 and report["rows"]["input"]["landmarks"] is None
    assert report["authenticity"]["auc"] == 1 and report["authenticity"]["held_out"] == 7
    look = report["values"]["real look"]["authenticity"], report["values"]["input"]["authenticity"]
    assert min(look[0]) > 0 > max(look[1])
    table = list(csv.reader(open(out / "table.csv", newline="")))
    assert [line[0] for line in table[1:]] == list(report["rows"])
    assert Image.open(out / "sheet.png").width == (len(made) + 2) * (160 + 8) + 8  # and theirs, truth
    assert (out / "intervals.png").is_file() and (out / "differences.png").is_file()

    def never(*args, **kwargs):
        raise AssertionError("made twice")

    monkeypatch.setattr(inversion, "latent_optimization", never)
    monkeypatch.setattr(inversion, "guided", never)
    monkeypatch.setattr(authenticity, "learn", never)
    again = run(benchmark_paired, *arguments)
    assert again.exit_code == 0, again.output
    assert json.loads((out / "results.json").read_text())["values"] == report["values"]
    framework = run(ablation_framework, "--data", data, "--out", out)
    assert framework.exit_code == 0, framework.output
    rows = list(json.loads((out / "framework" / "results.json").read_text())["rows"])
    assert rows[:3] == ["direct", "guided", "ours"] and rows[-1] == "ours - guided"
    other = run(benchmark_paired, *arguments, steps=2)
    assert "made twice" in str(other.exception)


def test_the_framework_on_pictures_without_a_truth(data, run, tmp_path):
    for name in EVALUATED:
        (tmp_path / "pictures").mkdir(exist_ok=True)
        shutil.copy(data / "rendered" / f"{name}.png", tmp_path / "pictures")
    result = run(ablation_framework, "--pictures", tmp_path / "pictures", "--out", tmp_path / "out")
    assert result.exit_code == 0 and "closeness to the input" in result.output, result.output
    report = json.loads((tmp_path / "out" / "framework" / "results.json").read_text())
    assert list(report["rows"]) == ["direct", "guided", "ours", "ours - direct", "ours - guided"]
    assert "authenticity" not in report["rows"]["ours"] and "feature distance" not in report["rows"]["ours"]


def test_bad_input_is_named(data, run, tmp_path):
    (data / "rendered" / f"{EVALUATED[0]}.png").unlink()
    result = run(benchmark_paired, "--data", data, "--out", tmp_path / "out")
    assert result.exit_code == 1 and f"rendered/{EVALUATED[0]}.png: no such picture" in result.output
    result = run(benchmark_paired, "--data", tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 1 and "matched: cannot be read (No such file or directory)" in result.output
    result = run(ablation_framework, "--out", tmp_path / "out")
    assert result.exit_code == 1 and "give either --data or --pictures" in result.output
