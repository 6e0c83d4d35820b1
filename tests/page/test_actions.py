"""What the page does, without a browser: faces, the queue, sliders, and what must not happen to others."""

import io
import itertools
import os
import shlex
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def made(actions, path, somebody):
    """Drop a picture and make it real; returns the last update of each part of the page."""
    page = actions.drop([str(path)], False, somebody)
    for update in actions.make_real(somebody):
        page |= update
    return page


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_faces_are_found_and_switched(actions, two_faces, somebody):
    page = actions.drop([str(two_faces)], False, somebody)
    assert page["faces"] == (["Face 1", "Face 2"], ["Face 1", "Face 2"])
    assert "--faces" not in page["line"]
    quad = np.array(actions.session(somebody).item.faces[0]["quad"])
    page = actions.tap(list(quad.mean(0)), somebody)
    assert page["faces"][1] == ["Face 2"] and "--faces 1" in page["line"]
    assert "--faces 0 " in actions.switch(["Face 1"], somebody)["line"]


def test_a_square_by_hand_where_no_face_is(actions, no_face, somebody):
    page = actions.drop([str(no_face)], False, somebody)
    assert page["faces"] == ([], []) and page["hand"][0] and "no face was found" in page["notes"]
    refused = list(actions.make_real(somebody))
    assert "place a square" in refused[0]["status"]
    actions.tap([40, 30], somebody)
    page = actions.tap([180, 160], somebody)
    assert page["hand"] == (True, (40.0, 30.0, 140.0))
    assert "--quad 40 30 40 170 180 170 180 30" in page["line"]
    page |= actions.place(40, 30, 150, somebody)
    for update in actions.make_real(somebody):
        page |= update
    assert page["slider"] and "Face 1" in page["warnings"]


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\x89PNG\r\n\x1a\n" + b"x" * 90, "broken.png"), (b"", "empty"), (b"GIF89a", "broken.png")],
)
def test_a_broken_file_is_named(actions, tmp_path, somebody, content, words):
    (tmp_path / "broken.png").write_bytes(content)
    page = actions.drop([str(tmp_path / "broken.png")], False, somebody)
    assert "problem" in page["status"] and words in page["status"]
    assert str(tmp_path) not in page["status"] and str(actions.sessions.root) not in page["status"]
    assert not actions.session(somebody).items


def test_a_broken_file_among_others(actions, one_face, tmp_path, somebody):
    broken = tmp_path / "avatar one.tif"
    broken.write_bytes(b"II*\0broken")
    page = actions.drop([str(broken), str(one_face)], False, somebody)
    assert "avatar one.tif" in page["status"] and page["titles"][0] == ["1. avatar one.png"]
    page = actions.drop([str(one_face)], False, somebody)
    assert page["titles"] == (["1. avatar one.png", "2. avatar one.png"], "2. avatar one.png")


def test_too_many_pixels(actions, tmp_path, somebody):
    Image.new("1", (8000, 6000)).save(tmp_path / "huge.png")
    page = actions.drop([str(tmp_path / "huge.png")], False, somebody)
    assert "8000 x 6000 pixels, over 40 million" in page["status"]


def test_sliders_act_inside_the_face_and_per_face(actions, two_faces, somebody):
    page = made(actions, two_faces, somebody)
    before, after = (pixels(path) for path in page["slider"])
    quads = [np.array(face["quad"]) for face in actions.session(somebody).item.faces]
    near = [np.zeros(before.shape[:2], bool) for _ in quads]
    for mask, quad in zip(near, quads, strict=True):
        (left, top), (right, bottom) = np.floor(quad.min(0)).astype(int) - 8, np.ceil(quad.max(0)).astype(int) + 8
        mask[max(top, 0) : bottom, max(left, 0) : right] = True  # with the blocks of the JPEG
    assert (after != before)[near[0]].any()
    assert not (after != before)[~(near[0] | near[1])].any()
    for whose, strength, detail, blend in (
        ("All faces", 0.5, 1.0, "harmonized"),
        ("All faces", 0.5, 0.4, "harmonized"),
        ("All faces", 0.5, 0.4, "poisson"),
        ("Face 2", 1.5, 0.4, "poisson"),
    ):
        page = actions.move(whose, strength, detail, blend, somebody)
        changed = (pixels(page["slider"][1]) != after).any(axis=2)
        after = pixels(page["slider"][1])
        assert changed.any() and not changed[~(near[0] | near[1])].any()
    assert not changed[near[0] & ~near[1]].any(), "the other face moved"
    assert page["line"].endswith("--strength 0.5 --detail 0.4 --blend poisson --face 1 strength 1.5")
    assert "Face 2" in actions.judge(somebody)["warnings"]


def test_the_line_makes_the_same_bits(actions, two_faces, somebody, tmp_path, monkeypatch):
    page = made(actions, two_faces, somebody)
    actions.move("All faces", 0.8, 0.5, "harmonized", somebody)
    page |= actions.move("Face 1", 0.8, 0.0, "paper", somebody)
    page |= actions.composite(somebody) | actions.everything(somebody)
    (tmp_path / "two.jpg").write_bytes(two_faces.read_bytes())
    words = shlex.split(page["line"])
    assert words[:2] == ["python", "project.py"]
    command = [sys.executable, str(ROOT / "project.py"), *words[2:]]
    subprocess.run(command, cwd=tmp_path, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert Path(page["composite"]).suffix == ".jpg"
    assert Path(page["composite"]).read_bytes() == (tmp_path / "out/two/composite.jpg").read_bytes()
    with zipfile.ZipFile(page["archive"]) as archive:
        theirs = {str(path.relative_to(tmp_path)) for path in (tmp_path / "out").rglob("*")}
        assert {name.rstrip("/") for name in archive.namelist()} == theirs
        for name in archive.namelist():
            if name.endswith((".png", ".jpg")):
                assert archive.read(name) == (tmp_path / name).read_bytes(), name
            elif name.endswith(".npz"):
                arrays = (np.load(file)["w_plus"] for file in (io.BytesIO(archive.read(name)), tmp_path / name))
                assert np.array_equal(*arrays)


def test_cancel_really_stops(actions, one_face, somebody):
    actions.drop([str(one_face)], False, somebody)
    actions.change_preset("paper", somebody)  # 500 steps
    said = []
    for update in actions.make_real(somebody):
        said.append(update.get("status") or "")
        if "step 3" in said[-1] or "step 4" in said[-1] or len(said) > 6:
            actions.cancel(somebody)
    assert any("cancelled" in words for words in said)
    assert not any("step 499" in words for words in said)
    assert actions.session(somebody).item.results is None and not actions.turns.line
    actions.change_preset("fast", somebody)
    assert any(update.get("slider") for update in actions.make_real(somebody)), "and it can be made again"


def test_others_wait_and_know_their_place(actions, one_face):
    first, second = (SimpleNamespace(session_hash=f"waiting {i}") for i in range(2))
    for one in (first, second):
        actions.drop([str(one_face)], False, one)
    actions.change_preset("paper", first)
    running = actions.make_real(first)
    while "step" not in next(running).get("status", ""):
        pass
    updates = actions.make_real(second)
    words = [update.get("status", "") for update in itertools.islice(updates, 3)]
    assert any("waiting, one job is before this one" in w for w in words), words
    actions.cancel(first)
    list(running)
    assert any(update.get("slider") for update in updates)
    shown = [actions.session(one).item.served for one in (first, second)]
    assert shown[0].parent != shown[1].parent, "one browser's pictures lie where the other's do"


def test_a_killed_worker_is_started_again(actions, one_face, somebody):
    actions.drop([str(one_face)], False, somebody)
    actions.change_preset("paper", somebody)
    said = []
    for update in actions.make_real(somebody):
        said.append(update.get("status") or "")
        if "step" in said[-1] and actions.slow.process is not None:
            actions.slow.process.kill()
    assert any("started again" in words for words in said)
    actions.change_preset("fast", somebody)
    assert any(update.get("slider") for update in actions.make_real(somebody))


def test_a_sequence_plays(actions, one_face, somebody, tmp_path):
    face = Image.open(one_face)
    for i in range(3):
        frame = Image.new("RGB", face.size, (90, 90, 90))
        frame.paste(face, (3 * i, 0))
        frame.save(tmp_path / f"frame{i}.png")
    page = actions.drop([str(tmp_path / f"frame{i}.png") for i in range(3)], True, somebody)
    assert "frames -o out" in page["line"] and "--sequence" in page["line"]
    for update in actions.make_real(somebody):
        page |= update
    assert Image.open(page["animation"]).n_frames == 3 and page["slider"]
    assert actions.move("All faces", 0.3, 1.0, "harmonized", somebody)["slider"]
    assert "archive" in actions.everything(somebody)


@pytest.mark.slow
def test_memory_stays_flat_over_twenty_pictures(actions, one_face):
    def resident():
        sizes = []
        for worker in (actions.quick, actions.slow):
            status = Path(f"/proc/{worker.process.pid}/status").read_text()
            sizes.append(int(status.split("VmRSS:")[1].split()[0]) / 1024)
        return sum(sizes)

    if not Path("/proc/self/status").is_file():
        pytest.skip("no /proc here")
    somebody, seen = SimpleNamespace(session_hash="twenty"), []
    for _ in range(20):
        page = made(actions, one_face, somebody)
        assert page["slider"]
        actions.move("All faces", 0.5, 0.5, "harmonized", somebody)
        seen.append(resident())
    print([round(mb) for mb in seen])
    assert seen[-1] - seen[5] < 60, seen  # MB


def test_closed_tabs_and_old_pictures_go(actions, one_face, somebody):
    actions.drop([str(one_face)], False, somebody)
    session = actions.session(somebody)
    actions.sessions.sweep(time.time() + 3000)
    assert session.folder.is_dir()
    actions.sessions.leave(somebody.session_hash)
    assert session.cancelled.is_set()
    actions.sessions.sweep(time.time() + 400)
    assert not session.folder.exists() and not session.served.exists()
    assert not actions.session(somebody).items


def test_turns_are_taken_in_order():
    from page.turns import Turns

    turns = Turns()
    for who in "abc":
        turns.join(who)
    assert [turns.before(who, 0) for who in "abc"] == [0, 1, 2]
    threading.Timer(0.05, turns.leave, ["a"]).start()
    assert turns.before("b", 5) == 0
    turns.leave("c")
    assert turns.before("b", 0) == 0
