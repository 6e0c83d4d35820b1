"""The user's command, end to end on tiny random networks: files, report, exit codes, bad input."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import project


def run(*arguments):
    return CliRunner().invoke(project.main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def face(samples, tmp_path_factory):
    """A small picture with one face."""
    path = tmp_path_factory.mktemp("face") / "face.png"
    Image.open(samples / "avatar05_portrait.png").convert("RGB").resize((400, 400)).save(path)
    return path


def test_one_portrait(face, tiny_bundle, tmp_path):
    result = run(face, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 2)
    assert result.exit_code == 0, result.output
    folder = tmp_path / "out" / "face"
    face_files = {f"face0_{name}" for name in ("crop.png", "inversion.png", "portrait.png", "mask.png", "w_plus.npz")}
    names = {"composite.png", "sheet.png"} | face_files
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


def test_several_faces_and_equal_names(face, tiny_bundle, tmp_path):
    image = np.asarray(Image.open(face))
    smaller = np.asarray(Image.open(face).resize((280, 280)))
    both = np.full((400, 700, 3), 128, np.uint8)
    both[:, :400], both[60:340, 410:690] = image, smaller
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(both).save(folder / "two.png")
    Image.open(face).save(folder / "two.jpg", quality=95)
    result = run(folder, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1)
    assert result.exit_code == 0, result.output
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"two.jpg", "two.png", "report.json", "sheet.png"}
    report = {e["output"]: e for e in json.loads((tmp_path / "out" / "report.json").read_text())["pictures"]}
    faces = report["two.png"]["faces"]
    assert len(faces) == 2 and len(report["two.jpg"]["faces"]) == 1
    widths = [f["box"][2] - f["box"][0] for f in faces]
    assert widths[0] > widths[1]
    assert (tmp_path / "out" / "two.png" / "face1_portrait.png").exists()


def test_help_is_quick():
    """No heavy import before it is needed."""
    import subprocess
    import sys

    code = "import sys, project; sys.exit(any(m in sys.modules for m in ('torch', 'cv2', 'dlib', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=project.Path(project.__file__).parent).returncode == 0
