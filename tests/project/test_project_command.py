"""The user's command, end to end on tiny random networks: files, report, exit codes, bad input."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command import run
from PIL import Image

import pipeline
import project
from jobs.results import FACE_FILES


def test_one_portrait(face, tiny_bundle, tmp_path):
    result = run(face, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 2)
    assert result.exit_code == 0, result.output
    folder = tmp_path / "out" / "face"
    face_files = {f"face0_{name}" for name in FACE_FILES}
    names = {"composite.png", "sheet.png", "report.json", "inversion.json"} | face_files
    assert {p.name for p in folder.iterdir()} == names
    assert np.load(folder / "face0_w_plus.npz")["w_plus"].shape == (1, 8, 16)
    before, after = (np.asarray(Image.open(p)) for p in (face, folder / "composite.png"))
    mask = np.asarray(Image.open(folder / "face0_mask.png"))
    assert before.shape == after.shape
    assert np.array_equal(before[mask == 0], after[mask == 0])
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    (entry,) = report["pictures"]
    assert entry["faces"][0]["lpips"] > 0 and entry["faces"][0]["seconds"] > 0
    assert set(report["weights"]) == {"g_real", "g_rendering", "perceptual", "parser"}
    assert all(len(w["sha256"]) == 64 for w in report["weights"].values())
    assert report["settings"]["steps"] == 2


def test_same_input_same_output(face, tiny_bundle, tmp_path):
    for name in "ab":
        assert run(face, "-o", tmp_path / name, "--weights", tiny_bundle, "--steps", 2).exit_code == 0
    a, b = ((tmp_path / name / "face" / "composite.png").read_bytes() for name in "ab")
    assert a == b


def test_bad_pictures_in_a_folder_stop_nothing(face, tiny_bundle, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    image = Image.open(face)
    image.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    rgba = image.convert("RGBA")
    rgba.putalpha(255)
    rgba.save(folder / "rgba.png")
    grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
    Image.fromarray(grey).save(folder / "deep.png")
    (folder / "text.png").write_text("this is not a picture")
    data = (folder / "cmyk.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(data[: len(data) // 2])
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)).save(folder / "noise.png")
    (folder / "empty.png").touch()
    result = run(folder, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1)
    assert result.exit_code == 1
    report = {e["output"]: e for e in json.loads((tmp_path / "out" / "report.json").read_text())["pictures"]}
    done = {name for name, entry in report.items() if "faces" in entry}
    assert done == {"cmyk", "rgba", "deep"}
    for name in done:
        assert (tmp_path / "out" / name / "composite.png").exists()
    for name in ("text", "cut", "dot", "noise", "empty"):
        message = report[name]["error"]
        assert f"{folder / name}" in message and "\n" not in message
        assert message in result.output
    assert report["cmyk"]["notes"] and report["deep"]["notes"]


@pytest.mark.parametrize("make", ["missing", "empty folder", "text"])
def test_nothing_done_is_exit_2(make, tiny_bundle, tmp_path):
    path = tmp_path / "input"
    if make == "empty folder":
        path.mkdir()
    elif make == "text":
        path = tmp_path / "input.png"
        path.write_text("hello")
    result = run(path, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1)
    assert result.exit_code == 2
    assert str(path) in result.output
    assert "Traceback" not in result.output


def test_missing_or_foreign_weights_are_named(face, tiny_bundle, tmp_path):
    result = run(face, "-o", tmp_path / "out", "--weights", tmp_path)
    assert result.exit_code == 2 and "g_real.safetensors" in result.output
    broken = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, broken)
    shutil.copy(broken / "parser.safetensors", broken / "g_real.safetensors")
    result = run(face, "-o", tmp_path / "out", "--weights", broken)
    assert result.exit_code == 2 and "holds parser" in result.output


def test_help_is_quick():
    """No heavy import before it is needed."""
    import subprocess
    import sys

    code = "import sys, project; sys.exit(any(m in sys.modules for m in ('torch', 'cv2', 'dlib', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(project.__file__).parent).returncode == 0


def test_compile_without_a_compiler_says_so_and_goes_on(face, tiny_bundle, tmp_path, monkeypatch):
    import torch

    def missing(function):
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(torch, "compile", missing)
    result = run(face, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1, "--compile")
    assert result.exit_code == 0 and "not compiled (RuntimeError: no C++ compiler)" in result.output


def test_python_interface(face, tiny_bundle, tmp_path):
    result = pipeline.Projector(tiny_bundle, steps=1)(face)
    result.save(tmp_path / "face")
    assert run(face, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1).exit_code == 0
    composite = tmp_path / "out" / "face" / "composite.png"
    assert (tmp_path / "face" / "composite.png").read_bytes() == composite.read_bytes()
    assert result.faces[0].portrait.shape == (32, 32, 3)
    from alignment import AlignmentError

    Image.new("RGB", (240, 240)).save(tmp_path / "blank.png")
    with pytest.raises(AlignmentError, match="blank.png: no face found"):
        pipeline.Projector(tiny_bundle, steps=1)(tmp_path / "blank.png")


def test_arrays_and_pil_pictures(face, tiny_bundle):
    from alignment import PictureError

    projector = pipeline.Projector(tiny_bundle, steps=1, device="cpu")
    image = Image.open(face).convert("RGB")
    inverted = projector.invert(image, projector.find(image))
    array = np.asarray(image)
    results = [projector.finish(inverted), projector(array), projector(face)]
    assert all(np.array_equal(result.composite, results[0].composite) for result in results)
    deep = array.astype(np.uint16) * 257
    assert projector(deep).composite.dtype == np.uint16
    assert np.array_equal(projector.finish(inverted, strength=0.0).composite, array)
    for wrong in (array.astype(float), array[..., :2].T, 3, Image.new("RGB", (8, 8))):
        with pytest.raises(PictureError):
            projector(wrong)
