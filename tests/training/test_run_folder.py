"""What a run leaves on disk, what it says while it runs, and what happens when the disk refuses."""

import json
import os
import shutil
import subprocess

import pytest
import torch
from click.testing import CliRunner
from filelock import FileLock

import train as command
from training.config import TrainingConfig
from training.dataset import DatasetError, Pictures
from training.loop import train
from training.progress_metrics import ProgressMetrics
from training.run import Run
from training.snapshots import signs_of_collapse

TINY = dict(
    resolution=16,
    z_dim=8,
    w_dim=8,
    mapping_layers=1,
    channel_base=64,
    channel_max=8,
    num_fp16_res=0,
    batch=4,
    kimg=5,
    ema_kimg=0.01,
    snapshot_kimg=1,
    metrics_pictures=0,
    ada_target=None,
    pl_weight=0,
)


@pytest.fixture(scope="module")
def run_folder(pictures, tmp_path_factory):
    """Of a run in which a step only counts, so that it reaches 5 kimg at once."""
    out = tmp_path_factory.mktemp("run")

    def step(run, real):
        run.step, run.seen = run.step + 1, run.seen + 4
        names = ("loss_G", "loss_D", "logits_real", "signs_real", "signs_fake", "spread_real", "spread_fake")
        return dict.fromkeys(names, 0.5)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.loop.train_step", step)
        train(TrainingConfig(data=str(pictures), keep_snapshots=2, **TINY), out, progress=False)
    return out


def test_the_newest_snapshots_stay(run_folder):
    names = sorted(path.name for path in run_folder.glob("snapshot*"))
    assert names == ["snapshot-000004.safetensors", "snapshot-000005.safetensors", "snapshot.safetensors"]
    assert (run_folder / names[1]).read_bytes() == (run_folder / names[2]).read_bytes()
    assert len(list(run_folder.glob("samples-*.png"))) == 6  # every 1 kimg, and before the first step


def test_statistics_and_events_are_logged(run_folder):
    line = json.loads((run_folder / "stats.jsonl").read_text().splitlines()[0])
    assert (
        line["kimg"] == pytest.approx(0.2)
        and line["seconds_per_kimg"] > 0
        and line["peak_gib"] > 0.01
        and line["loss_D"] == 0.5
    )
    text = (run_folder / "log.txt").read_text()
    assert "started on cpu in 1 processes" in text and text.count("snapshot and state written") == 5
    assert any(path.name.startswith("events.out.tfevents") for path in run_folder.iterdir())


def test_collapse_is_noticed():
    fine = {"signs_real": 0.6, "signs_fake": -0.5, "spread_real": 1.0, "spread_fake": 0.8}
    assert signs_of_collapse(fine) == []
    assert "D tells almost every picture apart" in signs_of_collapse(fine | {"signs_real": 1.0, "signs_fake": -1.0})[0]
    assert "collapsed" in signs_of_collapse(fine | {"spread_fake": 1e-4})[0]


def test_metrics_of_a_copy_are_zero_and_grow_with_the_change(pictures, run_folder, tmp_path):
    settings = TINY | {"metrics_pictures": 6, "color_size": 16, "color_kernel": 3, "sketch_weight": 0}
    run = Run(TrainingConfig(data=str(pictures), g_real=str(run_folder / "snapshot.safetensors"), **settings), "cpu")
    metrics = ProgressMetrics(run, Pictures(sorted(pictures.iterdir()), 16))
    same = metrics(run.G_ema)
    assert same["identity_distance"] == same["blurred_lpips"] == 0 and same["feature_distance"] > 0
    with torch.no_grad():
        for parameter in run.G_ema.synthesis.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    changed = metrics(run.G_ema)
    assert changed["identity_distance"] > 0.05 and changed["blurred_lpips"] > 0
    assert changed["feature_distance"] != same["feature_distance"]


def test_a_picture_that_breaks_later_leaves_the_state(pictures, tmp_path, monkeypatch):
    def reading(images, position, *rest):
        if position >= 12:
            raise DatasetError("x.png: cannot be read")
        return torch.zeros(4, 3, 16, 16)

    monkeypatch.setattr("training.dataset.batch_at", reading)
    with pytest.raises(DatasetError, match="x.png"):
        train(TrainingConfig(data=str(pictures), **TINY), tmp_path, progress=False)
    assert torch.load(tmp_path / "state.pt", weights_only=True)["seen"] == 12


def invoke(tmp_path, pictures, out, kimg=0.2):
    config = tmp_path / "run.yaml"
    config.write_text(f"data: {pictures}\n" + "".join(f"{k}: {json.dumps(v)}\n" for k, v in TINY.items()))
    arguments = [str(config), "--out", str(out), "--set", f"kimg={kimg}", "--device", "cpu"]
    return CliRunner().invoke(command.main, arguments)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(pictures, tmp_path):
    out = tmp_path / "out"
    out.mkdir(mode=0o500)
    result = invoke(tmp_path, pictures, out)
    assert result.exit_code == 1 and str(out) in result.output and "Permission denied" in result.output


def test_a_second_training_in_the_same_folder_is_refused(pictures, tmp_path):
    config = TrainingConfig(data=str(pictures), **(TINY | {"kimg": 0.008}))
    with FileLock(tmp_path / ".lock"), pytest.raises(ValueError, match="another training is running.*--out"):
        train(config, tmp_path, progress=False)
    assert not (tmp_path / "config.yaml").exists()
    assert train(config, tmp_path, progress=False).is_file()  # free again


def test_one_training_picture(pictures, tmp_path):
    """Trains; what needs more than one picture is left out of the metrics."""
    (tmp_path / "data").mkdir()
    shutil.copy(pictures / "000.png", tmp_path / "data")
    settings = TINY | {"kimg": 0.004, "snapshot_kimg": 0.004, "metrics_pictures": 2}
    assert train(TrainingConfig(data=str(tmp_path / "data"), **settings), tmp_path / "out", progress=False).is_file()
    assert set(json.loads((tmp_path / "out/metrics.jsonl").read_text())) == {"kimg", "time"}


def test_a_data_set_that_is_not_there_is_named_by_its_key(pictures, tmp_path):
    for key, value in (("data", "@photos"), ("exclude", "/nowhere")):
        config = TrainingConfig(**(TINY | {"data": str(pictures), key: value}))
        with pytest.raises(DatasetError, match=f"{key} = {value}: no such folder"):
            train(config, tmp_path, progress=False)


def test_out_is_a_file(pictures, tmp_path):
    (tmp_path / "file").touch()
    result = invoke(tmp_path, pictures, tmp_path / "file" / "run")
    assert result.exit_code == 1 and "file" in result.output and "choose another --out" in result.output


def test_a_full_disk(pictures, tmp_path):
    """The state written before the disk was full is whole, and the run goes on from it once there is room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        assert invoke(tmp_path, pictures, disk / "run").exit_code == 0
        before = (disk / "run" / "state.pt").read_bytes()
        with open(disk / "filler", "wb", buffering=0) as filler, pytest.raises(OSError):
            while True:
                filler.write(bytes(4096))
        result = invoke(tmp_path, pictures, disk / "run", kimg=0.4)
        assert result.exit_code == 1 and "No space left on device; make room" in result.output
        assert (disk / "run" / "state.pt").read_bytes() == before
        (disk / "filler").unlink()
        assert invoke(tmp_path, pictures, disk / "run", kimg=0.4).exit_code == 0
        assert torch.load(disk / "run" / "state.pt", weights_only=True)["seen"] == 400
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize("key", ["g_real", "init"])
@pytest.mark.parametrize(
    "other", [{"z_dim": 16}, {"mapping_layers": 3}, {"z_dim": 4, "w_dim": 4}, {"resolution": 8}], ids=str
)
def test_a_checkpoint_of_other_sizes_is_refused(key, other, run_folder, pictures, tmp_path):
    path = run_folder / "snapshot.safetensors"
    with pytest.raises(ValueError, match=f"snapshot.*{next(iter(other))} = .*use --set {next(iter(other))}="):
        train(TrainingConfig(data=str(pictures), **{key: str(path)}, **(TINY | other)), tmp_path, progress=False)


def test_a_refused_run_leaves_the_configuration_of_the_one_that_is_there(run_folder, pictures):
    before = (run_folder / "config.yaml").read_bytes()
    with pytest.raises(ValueError, match="that run has resolution = 16"):
        train(TrainingConfig(data=str(pictures), **TINY | {"resolution": 32}), run_folder, progress=False)
    assert (run_folder / "config.yaml").read_bytes() == before


def test_a_plain_run_does_not_go_on_as_a_fine_tuning(pictures, tmp_path):
    """Other weights are trained, so the moments of Adam belong to others: a traceback out of the optimiser."""
    short = TINY | {"kimg": 0.008}
    snapshot = train(TrainingConfig(data=str(pictures), **short), tmp_path / "run", progress=False)
    tuning = TrainingConfig(data=str(pictures), g_real=str(snapshot), sketch_weight=0, color_weight=0, **short)
    with pytest.raises(ValueError, match="state.pt: that run has no g_real, the configuration names one"):
        train(tuning, tmp_path / "run", progress=False)
    state = torch.load(tmp_path / "run/state.pt", weights_only=True)
    torch.save({k: v for k, v in state.items() if k != "fine_tuned"}, tmp_path / "run/state.pt")  # an older one
    with pytest.raises(ValueError, match="state.pt: does not fit this configuration .other weights were trained there"):
        train(tuning, tmp_path / "run", progress=False)


def test_a_run_that_was_killed_repeats_no_statistics(pictures, tmp_path):
    """What was written after the last state comes again; a last line may be torn, even at its very end."""
    config = TrainingConfig(data=str(pictures), **TINY | {"kimg": 0.008})
    train(config, tmp_path, progress=False)
    lines = [json.dumps({"kimg": kimg, "loss_G": 1.0}) + "\n" for kimg in (0.004, 0.008, 0.012)]
    for name in ("stats.jsonl", "metrics.jsonl"):
        (tmp_path / name).write_text("".join(lines) + '{"kimg": 0.008}')
    train(config, tmp_path, progress=False)
    for name in ("stats.jsonl", "metrics.jsonl"):
        assert (tmp_path / name).read_text() == "".join(lines[:2])


def test_machines_that_do_not_share_the_run_folder_are_refused(pictures, tmp_path, monkeypatch):
    """One process finds the state, another does not: they would train on from different weights."""
    config = TrainingConfig(data=str(pictures), **(TINY | {"kimg": 0.004}))
    train(config, tmp_path, progress=False)
    monkeypatch.setattr("machine.processes.gathered", lambda items: [*items, not items[0]])
    with pytest.raises(ValueError, match="state.pt: not there for processes .1.; --out must be one folder"):
        train(config, tmp_path, progress=False)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" + bytes(500), b"garbage" * 100])
def test_a_damaged_state_is_one_line_with_the_remedy(pictures, tmp_path, content):
    (tmp_path / "run.yaml").write_text(f"data: {pictures}\n" + "".join(f"{k}: {v}\n" for k, v in TINY.items() if v))
    (tmp_path / "state.pt").write_bytes(content)
    sets = [part for key in ("ada_target=null", "metrics_pictures=0", "num_fp16_res=0") for part in ("--set", key)]
    result = CliRunner().invoke(command.main, [str(tmp_path / "run.yaml"), "--out", str(tmp_path), *sets])
    assert result.exit_code == 1 and len(result.output.strip().splitlines()) == 1
    assert "state.pt: is damaged" in result.output and "delete it to start the run again" in result.output


@pytest.mark.parametrize("state", [[1, 2], {"config": 3}, {"config": {}, "G": "text"}])
def test_a_state_of_something_else_is_refused(pictures, tmp_path, state):
    torch.save(state, tmp_path / "state.pt")
    with pytest.raises(ValueError, match="state.pt: "):
        train(TrainingConfig(data=str(pictures), **TINY), tmp_path, progress=False)


def test_files_that_are_no_training_pictures_are_named(run_folder, pictures, tmp_path):
    folder, told = tmp_path / "set", []
    shutil.copytree(pictures, folder)
    (folder / "000.psd").write_bytes(b"8BPS")
    with pytest.raises(ValueError, match="state.pt"):  # ends before the first step
        (tmp_path / "state.pt").write_bytes(b"")
        train(TrainingConfig(data=str(folder), **TINY), tmp_path, progress=False, tell=told.append)
    assert len(told) == 1 and "000.psd" in told[0]
