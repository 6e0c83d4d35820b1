"""Which faces of a picture: several, the largest, the one that is pointed out."""

import json
import shutil

import numpy as np
from command import run
from PIL import Image


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
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "two.jpg",
        "two.png",
        "report.json",
        "sheet.png",
        "results.html",
    }
    report = {e["output"]: e for e in json.loads((tmp_path / "out" / "report.json").read_text())["pictures"]}
    faces = report["two.png"]["faces"]
    assert len(faces) == 2 and len(report["two.jpg"]["faces"]) == 1
    widths = [f["box"][2] - f["box"][0] for f in faces]
    assert widths[0] > widths[1]
    assert (tmp_path / "out" / "two.png" / "face1_portrait.png").exists()


def test_which_faces(face, tiny_bundle, tmp_path):
    image = Image.open(face)
    both = Image.new("RGB", (700, 400), "grey")
    both.paste(image, (0, 0))
    both.paste(image.resize((280, 280)), (410, 60))
    both.save(tmp_path / "two.png")
    for which, written in (("largest", "0"), ("1", "1")):
        out = tmp_path / which
        result = run(tmp_path / "two.png", "-o", out, "--weights", tiny_bundle, "--steps", 1, "--faces", which)
        assert result.exit_code == 0, result.output
        assert [p.name for p in (out / "two").glob("*_portrait.png")] == [f"face{written}_portrait.png"]
        before, after = (np.asarray(Image.open(p)) for p in (tmp_path / "two.png", out / "two" / "composite.png"))
        changed = (before != after).any(axis=2)
        assert changed[:, :400].any() == (written == "0") and changed[:, 400:].any() == (written == "1")
    result = run(tmp_path / "two.png", "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1, "--faces", 2)
    assert result.exit_code == 2 and "two.png: holds no face 2" in result.output
    result = run(tmp_path / "two.png", "-o", tmp_path / "out", "--weights", tiny_bundle, "--faces", "second")
    assert result.exit_code == 2 and "largest, all, or the index" in result.output


def test_a_face_that_the_user_points_out(face, blank, tiny_bundle, tmp_path):
    options = ("-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1)
    result = run(blank, *options)
    assert result.exit_code == 2 and "--landmarks" in result.output
    result = run(blank, *options, "--quad", 40, 50, 40, 190, 180, 190, 180, 50, "--face", 1, "strength", 0.5)
    assert result.exit_code == 0, result.output
    assert "blank.png: there is no face 1, so the settings given for it are not used" in result.output
    (entry,) = json.loads((tmp_path / "out" / "report.json").read_text())["pictures"]
    assert (
        entry["faces"][0]["quad"] == [[40, 50], [40, 190], [180, 190], [180, 50]] and entry["faces"][0]["box"] is None
    )

    from alignment import detect_faces

    points = detect_faces(np.asarray(Image.open(face)))[0].landmarks
    (tmp_path / "faces.json").write_text(
        json.dumps({"blank.png": (0.5 * points).tolist(), "typo.png": points.tolist()})
    )
    both = tmp_path / "both"
    both.mkdir()
    shutil.copy(face, both)
    shutil.copy(blank, both)
    result = run(both, *options, "--landmarks", tmp_path / "faces.json")
    assert result.exit_code == 0, result.output  # the other picture is searched
    assert "--landmarks: no picture here is called typo.png" in result.output


def test_wrong_places_of_faces_are_named(face, blank, tiny_bundle, tmp_path):
    (tmp_path / "wrong.json").write_text("[[1, 2]]")
    (tmp_path / "one.json").write_text(json.dumps(np.random.default_rng(0).random((68, 2)).tolist()))
    far = (900, 900, 900, 990, 990, 990, 990, 900)
    crooked = (0, 0, 0, 50, 50, 50, 99, 0)
    for arguments, words in (
        ([blank, "--landmarks", tmp_path / "missing.json"], "missing.json"),
        ([blank, "--landmarks", tmp_path / "wrong.json"], "wrong.json"),
        ([blank, face, "--landmarks", tmp_path / "one.json"], "--landmarks says where the face of one picture is"),
        ([blank, face, "--quad", *far], "--quad says where the face of one picture is, but there are 2 pictures"),
        ([blank, "--landmarks", tmp_path / "one.json", "--quad", *far], "give one of them"),
        ([blank, "--quad", *crooked], "--quad: the quad is not a parallelogram"),
        ([blank, "--quad", *far], "blank.png: the quad lies outside the picture"),
        ([blank, "--quad", 40, 50, 180, 50, 180, 190, 40, 190], "its order is top-left, bottom-left"),
        ([blank, "--quad", "nan", *far[1:]], "corners must be finite numbers"),
    ):
        result = run(*arguments, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1)
        assert result.exit_code == 2 and words in result.output and "Traceback" not in result.output, result.output
