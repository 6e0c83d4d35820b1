"""Small files beside pictures and weights, damaged or hostile: one line with the file's name, or made again."""

import json
import os
import shutil
from dataclasses import replace

import click
import numpy as np
import pytest
from PIL import Image

from alignment import AlignmentError, Found, as_picture, read_landmarks
from compare.study_answers import AnswersError, read_answers
from compare.systems import read_system
from pipeline import Inverted, Measured
from pipeline.kept import keep, kept
from pipeline.warnings import face_warnings, load_calibration
from training.preparation import PreparationError
from training.preparation.review import read_review
from weights.files import read_json

NO_JSON = {
    "empty": b"",
    "cut": b'{"limits": {"yaw"',
    "nested": b"[" * 100_000,
    "nested objects": b'{"a":' * 100_000,
    "not UTF-8": b'{"a": "\xff"}',
    "NaN": b'{"a": NaN}',
    "infinite": b'{"a": -Infinity}',
    "1e999": b'{"a": [1e999]}',
    "400 digits": b"[1" + b"0" * 400 + b"]",
    "5000 digits": b"[1" + b"0" * 5000 + b"]",
}
OTHERS = {
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "text": b'"\\u001b[2J"',
    "keys of escapes": b'{"\\u001b[2J\\n": [["\\u001b", 1]]}',
    "a list where an object belongs": b'{"limits": [], "faces": [], "system": [], "remove": {}, "format": []}',
    "text where a number belongs": b'{"limits": {"yaw": "x", "plain": 3}, "seconds": "long", "system": 5}',
}


def one_line(error, path):
    assert str(error).isprintable() and str(path) in str(error) and "; " in str(error) and len(str(error)) < 700


@pytest.mark.parametrize("content", NO_JSON.values(), ids=NO_JSON)
def test_what_is_no_json(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        read_json(path)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300


def test_what_is_json(tmp_path):
    content = {"a": [1, -2.5, 10**299, 1e300, None, True], "é": {}}
    (tmp_path / "a.json").write_text("\ufeff" + json.dumps(content), encoding="utf-8")
    assert read_json(tmp_path / "a.json") == content


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_folders_and_missing_files_are_no_json(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, said in ((tmp_path / "pipe", "no regular file"), (tmp_path, "no regular file"),
                       (tmp_path / "gone", "No such file")):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            read_json(path)


@pytest.mark.parametrize("content", (NO_JSON | OTHERS).values(), ids=NO_JSON | OTHERS)
def test_readers_of_what_users_give(tmp_path, content):
    path = tmp_path / "system.json"  # the name that a card must have
    path.write_bytes(content)
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    for read, wrong in (
        (lambda: read_landmarks(path), AlignmentError),
        (lambda: read_review(path), PreparationError),
        (lambda: read_answers(path), AnswersError),
    ):
        with pytest.raises(wrong) as caught:
            read()
        one_line(caught.value, path)
    try:
        read_system(tmp_path, ["a.png"])
    except click.ClickException as error:
        one_line(error, path)
    else:
        assert content in OTHERS.values() and json.loads(content) == {}, "no card was taken for one"


FACE = Measured(0, None, [], 10.0, 32, 3.0, 1.0, True, 0.0, 0.1, 0.1, {}, 0.0, {"eye_g": 0.0, "hat": 0.0})


@pytest.mark.parametrize("content", (NO_JSON | OTHERS).values(), ids=NO_JSON | OTHERS)
def test_a_damaged_calibration_warns_of_nothing(tmp_path, content):
    (tmp_path / "calibration.json").write_bytes(content)
    for kind in ({}, {"tuned": False}, {"detail": 1.0}):
        assert face_warnings(replace(FACE, **kind), load_calibration(tmp_path)) == []


def test_sound_limits_beside_damaged_ones_count(tmp_path):
    limits = {"yaw": 2, "plain": [1], "tuned": {"lpips": "x", "identity": 0.05}, "other": {"lpips": 1}}
    (tmp_path / "calibration.json").write_text(json.dumps({"limits": limits}))
    assert load_calibration(tmp_path) == {"yaw": 2, "tuned": {"identity": 0.05}}
    assert len(face_warnings(FACE, load_calibration(tmp_path))) == 2


@pytest.fixture(scope="module")
def inversion(tmp_path_factory):
    """(folder of a kept Inverted of one face, its picture)."""
    picture = as_picture(np.zeros((40, 40, 3), np.uint8))
    quad = np.array([[5.0, 5], [5, 30], [30, 30], [30, 5]])
    drawn = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    w_plus = np.ones((1, 8, 16), np.float32)
    folder = tmp_path_factory.mktemp("kept")
    faces = [Found(0, None, quad)]
    keep(folder, Inverted(picture, faces, drawn, drawn, drawn, w_plus, [0.1], 1.0, False), "print")
    return folder, picture


def test_a_kept_inversion_is_that_of_its_fingerprint(inversion):
    folder, picture = inversion
    found = kept(folder, picture, "print")
    assert found.lpips == [0.1] and found.found[0].quad.tolist()[2] == [30, 30] and found.w_plus.shape == (1, 8, 16)
    assert kept(folder, picture, "another") is None is kept(folder, picture, None)


def mutated(data, random):
    """`data` cut, or with some bytes changed."""
    data = bytearray(data)
    if random.random() < 0.3:
        return bytes(data[: random.integers(0, len(data))])
    for _ in range(random.integers(1, 8)):
        data[random.integers(0, len(data))] = random.integers(0, 256)
    return bytes(data)


@pytest.mark.parametrize("name", ["inversion.json", "face0_w_plus.npz", "face0_crop.png", "face0_portrait.png"])
def test_a_damaged_kept_inversion_is_none(inversion, tmp_path, name):
    """Whatever the damage: what still reads as an inversion has the form of one."""
    folder, picture = inversion
    shutil.copytree(folder, tmp_path / "kept")
    path, random, refused = tmp_path / "kept" / name, np.random.default_rng(1), 0
    damages = [mutated((folder / name).read_bytes(), random) for _ in range(60)]
    for content in damages + list((NO_JSON | OTHERS).values()):
        path.write_bytes(content)
        found = kept(tmp_path / "kept", picture, "print")
        if found is None:
            refused += 1
            continue
        assert isinstance(found.found[0].index, int) and found.found[0].quad.shape == (4, 2)
        assert found.w_plus.shape == (1, 8, 16) and np.isfinite(found.w_plus).all()
        assert found.crops.shape == found.portraits.shape == found.reconstructions.shape == (1, 32, 32, 3)
        assert all(isinstance(value, float) for value in found.lpips) and len(found.lpips) == 1
    assert refused > len(NO_JSON | OTHERS)


@pytest.mark.parametrize("key, value", [("lpips", ["poor"]), ("lpips", []), ("lpips", 0.1), ("seconds", "long")])
def test_a_kept_inversion_with_other_facts_is_none(inversion, tmp_path, key, value):
    """Written by hand: the numbers of faces and of values must agree, and be numbers."""
    folder, picture = inversion
    shutil.copytree(folder, tmp_path / "kept")
    record = json.loads((folder / "inversion.json").read_text())
    (tmp_path / "kept" / "inversion.json").write_text(json.dumps(record | {key: value}))
    assert kept(tmp_path / "kept", picture, "print") is None


def test_a_kept_face_cannot_lead_out_of_its_folder(inversion, tmp_path):
    folder, picture = inversion
    shutil.copytree(folder, tmp_path / "kept")
    record = json.loads((folder / "inversion.json").read_text())
    record["faces"][0]["index"] = "/../../elsewhere"
    (tmp_path / "kept" / "inversion.json").write_text(json.dumps(record))
    assert kept(tmp_path / "kept", picture, "print") is None
