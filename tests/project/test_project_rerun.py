"""What a second run of the command does, after a kill, beside another process, from another run's latents."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command import run
from PIL import Image

import pipeline
import project


def files_of(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_rerun_does_only_what_is_missing(face, tiny_bundle, tmp_path, monkeypatch):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a", "b"):
        shutil.copy(face, folder / f"{name}.png")
    options = (folder, "-o", out, "--weights", tiny_bundle, "--steps", 1)
    assert run(*options).exit_code == 0
    before = {k: v for k, v in files_of(out).items() if len(k.parts) > 1}
    done = []
    whole = pipeline.finish_picture
    monkeypatch.setattr(pipeline, "finish_picture", lambda *a: (done.append(a[0]), whole(*a))[1])
    assert run(*options).exit_code == 0 and not done
    (out / "a" / "report.json").unlink()  # as if it had been interrupted there
    assert run(*options).exit_code == 0 and len(done) == 1
    assert {k: v for k, v in files_of(out).items() if k.name != "report.json" and len(k.parts) > 1} == {
        k: v for k, v in before.items() if k.name != "report.json"
    }
    (out / "b" / "composite.png").unlink()
    assert run(*options).exit_code == 0 and len(done) == 2 and (out / "b" / "composite.png").is_file()
    done.pop()
    Image.open(face).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "b.png")
    assert run(*options).exit_code == 0 and len(done) == 2  # another picture under the same name
    assert run(*options, "--blend", "paper").exit_code == 0 and len(done) == 4  # other settings


@pytest.mark.slow
def test_killed_in_the_middle_and_run_again(face, tiny_bundle, tmp_path):
    """Every output once, equal to those of an undisturbed run."""
    import os
    import signal
    import subprocess
    import sys
    import time

    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(12):
        Image.open(face).rotate(i, resample=Image.Resampling.BICUBIC).resize((300, 300)).save(folder / f"{i:02d}.png")
    options = ["--weights", str(tiny_bundle), "--steps", "1", "--device", "cpu"]
    assert run(folder, "-o", tmp_path / "whole", *options).exit_code in (0, 1)
    command = [sys.executable, project.__file__, str(folder), "-o", str(tmp_path / "out"), *options]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.time() + 120
    while len(list((tmp_path / "out").glob("*/report.json"))) < 4 and time.time() < deadline:
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    written = list((tmp_path / "out").glob("*/report.json"))
    assert 4 <= len(written) < 12 and not (tmp_path / "out" / "report.json").exists()
    assert run(folder, "-o", tmp_path / "out", *options).exit_code in (0, 1)
    whole, again = files_of(tmp_path / "whole"), files_of(tmp_path / "out")
    assert whole.keys() == again.keys()
    assert all(again[name] == data for name, data in whole.items() if name.suffix in (".png", ".npz"))


@pytest.mark.slow
def test_two_processes_write_what_one_writes(face, tiny_bundle, tmp_path):
    import subprocess
    import sys

    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(3):
        Image.open(face).rotate(2 * i, resample=Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    (folder / "text.png").write_text("not a picture")
    options = ["--weights", str(tiny_bundle), "--steps", "1", "--device", "cpu"]
    assert run(folder, "-o", tmp_path / "one", *options).exit_code == 1
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command = [*launcher, project.__file__, str(folder), "-o", str(tmp_path / "two"), *options]
    subprocess.run(command, capture_output=True, timeout=200)
    one, two = files_of(tmp_path / "one"), files_of(tmp_path / "two")
    assert one.keys() == two.keys()
    assert all(two[name] == data for name, data in one.items() if name.suffix in (".png", ".npz"))
    names = [[e["output"] for e in json.loads(files[Path("report.json")])["pictures"]] for files in (one, two)]
    assert names[0] == names[1] == ["0", "1", "2", "text"]


def test_init_starts_where_another_run_ended(face, tiny_bundle, tmp_path):
    options = (face, "--weights", tiny_bundle, "--steps", 1)
    assert run(*options, "-o", tmp_path / "a").exit_code == 0
    latent = tmp_path / "a" / "face" / "face0_w_plus.npz"
    assert run(*options, "-o", tmp_path / "b", "--init", latent).exit_code == 0
    a, b = (np.load(tmp_path / name / "face" / "face0_w_plus.npz")["w_plus"] for name in "ab")
    np.testing.assert_allclose(a, b, atol=1e-3)  # one step at a learning rate that starts from 0
    np.savez(tmp_path / "two.npz", w_plus=np.repeat(a, 2, 0))
    for more in ((), ("--sequence",)):
        result = run(*options, *more, "-o", tmp_path / "d", "--init", tmp_path / "two.npz")
        assert result.exit_code == 2 and "--init holds 2 latents, the picture 1 faces" in result.output
    np.savez(tmp_path / "wrong.npz", w_plus=np.zeros((1, 3, 3), np.float32))
    result = run(*options, "-o", tmp_path / "c", "--init", tmp_path / "wrong.npz")
    assert result.exit_code == 2 and "wrong.npz: holds w+ of shape [1, 3, 3]" in result.output


def test_a_picture_called_like_the_runs_own_sheet_is_refused(face, tiny_bundle, tmp_path):
    """It would be overwritten; a sheet that a run left is no input."""
    shutil.copy(face, tmp_path / "sheet.png")
    before = files_of(tmp_path)
    for given in (tmp_path / "sheet.png", tmp_path):
        result = run(given, "-o", tmp_path, "--weights", tiny_bundle, "--steps", 1)
        assert result.exit_code != 0 and "would be overwritten" in result.output and files_of(tmp_path) == before


def test_a_picture_renamed_along_with_its_results(face, tiny_bundle, tmp_path):
    """The entry that lies in the folder names the old output: KeyError, and no report."""
    folder, out = tmp_path / "in", tmp_path / "out"
    options = (folder, "-o", out, "--weights", tiny_bundle, "--steps", 1)
    folder.mkdir()
    shutil.copy(face, folder / "bea.png")
    assert run(*options).exit_code == 0
    (folder / "bea.png").rename(folder / "cleo.png")
    (out / "bea").rename(out / "cleo")
    before = files_of(out / "cleo")
    assert run(*options).exit_code == 0 and files_of(out / "cleo") == before
    (entry,) = json.loads((out / "report.json").read_text())["pictures"]
    assert entry["output"] == "cleo"


def test_what_somebody_made_of_a_composite_stays(face, tiny_bundle, tmp_path):
    """Other formats of it were taken for old ones and removed by the next finish."""
    options = (face, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1)
    assert run(*options).exit_code == 0
    own = tmp_path / "out" / "face" / "composite.jpg"
    own.write_bytes(b"mine")
    assert run(*options, "--strength", 0.5).exit_code == 0 and own.read_bytes() == b"mine"
    Image.open(face).convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "face.webp")
    assert run(tmp_path / "face.webp", *options[1:]).exit_code == 0  # another picture of that name, another format
    left = sorted(path.name for path in own.parent.glob("composite.*"))
    assert left == ["composite.jpg", "composite.webp"] and own.read_bytes() == b"mine"
    record = own.parent / "inversion.json"
    facts = json.loads(record.read_text())
    del facts["composite"]  # as the version before wrote it
    record.write_text(json.dumps(facts))
    assert run(*options).exit_code == 0 and not (own.parent / "composite.webp").exists()
    for odd in (["x"], "../face.png", None):
        record.write_text(json.dumps(facts | {"composite": odd}))
        (own.parent / "report.json").unlink()
        assert run(*options, "--strength", 0.3).exit_code == 0 and face.is_file()


def test_a_picture_whose_suffix_is_spelt_otherwise(face, tiny_bundle, tmp_path):
    """The inversion stays, for the bytes are the same; the composite of the other spelling goes."""
    options = ("-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1)
    Image.open(face).convert("RGB").save(tmp_path / "y.jpg")
    shutil.copy(tmp_path / "y.jpg", tmp_path / "y.jpeg")
    for suffix, strength in ((".jpg", 1), (".jpeg", 0.5), (".jpg", 0.4)):
        assert run(tmp_path / f"y{suffix}", *options, "--strength", strength).exit_code == 0
        assert [path.suffix for path in (tmp_path / "out" / "y").glob("composite.*")] == [suffix]


def test_inputs_that_were_moved_are_found_where_they_are(face, tiny_bundle, tmp_path):
    """The same bytes elsewhere: nothing is made again, and the report and the page know the new place."""
    folder, options = tmp_path / "in", ("-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1)
    folder.mkdir()
    shutil.copy(face, folder / "a.png")
    assert run(folder, *options).exit_code == 0
    folder.rename(tmp_path / "moved")
    assert run(tmp_path / "moved", *options).exit_code == 0
    (entry,) = json.loads((tmp_path / "out" / "report.json").read_text())["pictures"]
    assert entry["input"] == str(tmp_path / "moved" / "a.png")
    assert "no longer there" not in (tmp_path / "out" / "results.html").read_text()
