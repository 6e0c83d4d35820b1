"""project.py --sequence, end to end on tiny random networks."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import pipeline
import project


def run(*arguments):
    return CliRunner().invoke(project.main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def frames(samples, tmp_path_factory):
    """Seven frames of a face that moves: the fourth without it, the sixth damaged; 1.png before 10.png by number."""
    folder = tmp_path_factory.mktemp("frames")
    image = Image.open(samples / "avatar05_portrait.png").convert("RGB").resize((360, 360))
    for number, shift in zip((1, 2, 3, 4, 5, 9, 10), range(0, 21, 3), strict=True):
        frame = Image.new("RGB", (400, 380), "grey")
        if number != 4:
            frame.paste(image, (shift, 10))
        frame.save(folder / f"{number}.png")
    (folder / "9.png").write_bytes((folder / "9.png").read_bytes()[:2000])
    return folder


@pytest.fixture(scope="module")
def done(frames, tiny_bundle, tmp_path_factory):
    out = tmp_path_factory.mktemp("sequence")
    return out, run(frames, "-o", out, "--weights", tiny_bundle, "--steps", 5, "--sequence")


def test_frames_in_order_bridged_and_reported(frames, done):
    out, result = done
    assert result.exit_code == 1 and "Traceback" not in result.output  # one frame is damaged
    report = json.loads((out / "report.json").read_text())
    entries = {entry["output"]: entry for entry in report["pictures"]}
    assert list(entries) == ["1", "2", "3", "4", "5", "9", "10"]
    assert f"{frames / '9.png'}: damaged" in entries["9"]["error"]
    assert "face 0 was not found" in entries["4"]["notes"][0]
    assert [gap for gap in report["sequence"]["gaps"] if "4.png" in gap]
    middles = [np.mean(entries[n]["faces"][0]["quad"], axis=0)[0] for n in ("1", "2", "3", "4", "5", "10")]
    np.testing.assert_allclose(np.diff(middles), [3, 3, 3, 3, 6], atol=1.5)
    flicker = report["sequence"]["flicker"]["0"]
    assert len(flicker["input"]) == len(flicker["result"]) == 4  # the damaged frame has no neighbours
    assert min(flicker["input"][2:]) > 5 * max(flicker["input"][:2])  # to the empty frame and back
    assert report["settings"]["sequence"]["steps"] < report["settings"]["steps"] == 5
    preview = Image.open(out / "preview.png")
    assert preview.n_frames == 6
    assert (out / "sheet.png").exists() and 'src="preview.png"' in (out / "results.html").read_text()


def test_rerun_does_what_is_missing_and_what_follows_a_change(frames, done, tiny_bundle, tmp_path, monkeypatch):
    out, _ = done
    shutil.copytree(out, tmp_path / "out")
    shutil.copytree(frames, tmp_path / "in")
    made, whole = [], pipeline.finish_picture
    monkeypatch.setattr(pipeline, "finish_picture", lambda *a: (made.append(a[0]), whole(*a))[1])
    options = (tmp_path / "in", "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 5, "--sequence")
    run(*options)
    assert not made
    (tmp_path / "out" / "3" / "report.json").unlink()  # as if it had been interrupted there
    before = (tmp_path / "out" / "3" / "composite.png").read_bytes()
    run(*options)
    assert len(made) == 1 and (tmp_path / "out" / "3" / "composite.png").read_bytes() == before
    pixels = np.asarray(Image.open(tmp_path / "in" / "3.png")).copy()
    pixels[0, 0] += 1
    Image.fromarray(pixels).save(tmp_path / "in" / "3.png")
    run(*options)
    assert len(made) == 1 + 6  # 3, 4, 5 and 10 start from it, 1 and 2 get the mean of those around them


def test_what_a_sequence_refuses(frames, tiny_bundle, tmp_path, monkeypatch):
    options = ("-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1, "--sequence")
    result = run(frames, *options, "--faces", 3)
    assert result.exit_code == 2 and "no frame holds face 3" in result.output
    result = run(frames / "4.png", *options)
    assert result.exit_code == 2 and "4.png: no face found, nor in any other frame" in result.output
    monkeypatch.setenv("WORLD_SIZE", "2")
    result = run(frames, *options)
    assert result.exit_code == 2 and "without torchrun" in result.output


def test_frames_of_another_size_are_named(frames, tiny_bundle, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("1.png", "2.png"):
        shutil.copy(frames / name, folder)
    Image.open(frames / "3.png").resize((300, 300)).save(folder / "3.png")
    result = run(folder, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1, "--sequence")
    assert result.exit_code == 1 and "3.png: 300 x 300 pixels, the frames before it 400 x 380" in result.output
