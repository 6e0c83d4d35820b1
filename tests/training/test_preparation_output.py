"""Journal, processes, packed set and review pages."""

import json
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.preparation import PreparationError, pack, review
from training.preparation.filters import Limits
from training.preparation.journal import append, in_processes, is_done, open_journal, read_journal
from training.preparation.measure import crop_path, face_id, thumbnail_path, write_crop
from training.preparation.sources import Item


def square(number):
    if number == 13:
        os._exit(1)  # as a decoder that crashes
    return number * number


def test_a_crashing_process_costs_one_item():
    results = dict(in_processes(square, range(20), workers=2))
    assert results == {n: n * n if n != 13 else None for n in range(20)}


def refuse(number):
    raise PreparationError("disk: full")


def test_errors_of_the_work_stop_the_run():
    with pytest.raises(PreparationError, match="disk: full"):
        list(in_processes(refuse, range(3), workers=1))


def record(name, number=1):
    face = {"id": face_id(name, 0), "side": 200, "yaw": 5.0, "sharpness": 3.5, "hash": "0f" * 32}
    return {"name": name, "stamp": str(number), "searched": 40.0, "error": None, "faces": [face]}


def test_journal_goes_on_after_a_torn_line(tmp_path):
    path = tmp_path / "new" / "journal.jsonl"
    assert read_journal(path) == {}
    with open_journal(path) as file:
        append(file, record("a"))
        append(file, record("b"))
        append(file, record("a", 2))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"name": "c", "n"')  # killed here
    assert read_journal(path) == {"a": record("a", 2), "b": record("b")}
    with open_journal(path) as file:
        append(file, record("d"))
    assert sorted(read_journal(path)) == ["a", "b", "d"] and path.read_bytes().startswith(whole)


def test_damaged_lines_of_a_journal_cost_their_pictures_a_second_look(tmp_path):
    good = record("good")
    bad = [None, 5, [], {}, "x", {"name": "a"}, good | {"faces": 3}, good | {"faces": [{}]}, good | {"searched": "x"}]
    bad += [good | {"name": 7}, good | {"error": []}, good | {"faces": [good["faces"][0] | {"id": "../../x"}]}]
    bad += [good | {"faces": [good["faces"][0] | change]} for change in ({"hash": "zz"}, {"side": None}, {"yaw": "1"})]
    lines = [json.dumps(line).encode() for line in bad] + [b"\xff\xfe\0", b"[" * 99999, b"NaN"]
    (tmp_path / "journal.jsonl").write_bytes(b"\n".join([json.dumps(good).encode(), *lines, b""]))
    told = []
    assert read_journal(tmp_path / "journal.jsonl", told.append) == {"good": good}
    assert len(told) == 1 and f"{len(lines)} damaged lines" in told[0] and "\n" not in told[0]


def test_what_counts_as_done(tmp_path):
    limits = Limits(100, 3, 45, 1, 20)
    item = Item("x.png", Path("x.png"), stamp="1")
    face = {"id": face_id("x.png", 0), "side": 200, "yaw": 50, "sharpness": None, "hash": None}
    record = {"name": "x.png", "stamp": "1", "searched": 40, "error": None, "faces": [face]}
    assert is_done(item, record, 40, limits, tmp_path)
    assert not is_done(item, None, 40, limits, tmp_path)
    assert not is_done(Item("x.png", Path("x.png"), stamp="2"), record, 40, limits, tmp_path)  # another content
    assert not is_done(item, record, 30, limits, tmp_path)  # smaller faces are wanted now
    assert not is_done(item, record, 40, Limits(100, 3, 60, 1, 20), tmp_path)  # it may stay now: cut it
    face |= {"yaw": 0, "sharpness": 9, "hash": "0"}
    assert not is_done(item, record, 40, limits, tmp_path)  # the crop has gone
    write_crop(tmp_path, face["id"], np.zeros([32, 32, 3], np.uint8), whole=True)
    assert is_done(item, record, 40, limits, tmp_path)
    assert is_done(item, record | {"error": "cut short", "faces": []}, 40, limits, tmp_path)


@pytest.fixture
def crops(tmp_path):
    """Five crops as (record, face), and their folder."""
    folder, kept = tmp_path / "crops", []
    for i in range(5):
        name = f'pictures/<b>"{i}".png'
        face = {"id": face_id(name, 0), "side": 100.0 + i, "yaw": float(i), "sharpness": 9.0 - i, "hash": "0"}
        write_crop(folder, face["id"], np.full([32, 32, 3], 40 * i, np.uint8), whole=True)
        kept.append(({"name": name}, face))
    return kept, folder


def test_zip_layout(crops, tmp_path):
    kept, folder = crops
    files = [crop_path(folder, face["id"]) for _, face in kept]
    pack.pack_zip(tmp_path / "dataset.zip", files, [0, 1, 0, 1, 2])
    with zipfile.ZipFile(tmp_path / "dataset.zip") as file:
        names = [f"00000/img{i:08d}.png" for i in range(5)]
        assert file.namelist() == [*names, "dataset.json"]
        assert {info.compress_type for info in file.infolist()} == {zipfile.ZIP_STORED}
        assert json.loads(file.read("dataset.json")) == {"labels": [[n, v] for n, v in zip(names, [0, 1, 0, 1, 2])]}  # noqa: B905
        assert np.asarray(Image.open(file.open(names[3])))[0, 0].tolist() == [120] * 3
    first = (tmp_path / "dataset.zip").read_bytes()
    pack.pack_zip(tmp_path / "dataset.zip", files, [0, 1, 0, 1, 2])
    assert (tmp_path / "dataset.zip").read_bytes() == first


def test_folder_layout_replaces_the_old_one(crops, tmp_path):
    kept, folder = crops
    files = [crop_path(folder, face["id"]) for _, face in kept]
    pack.pack_folder(tmp_path / "dataset", files, None)
    pack.pack_folder(tmp_path / "dataset", files[:2], None)
    assert sorted(p.relative_to(tmp_path / "dataset").as_posix() for p in (tmp_path / "dataset").rglob("*.*")) == [
        "00000/img00000000.png", "00000/img00000001.png", "dataset.json"]  # fmt: skip
    assert json.loads((tmp_path / "dataset" / "dataset.json").read_text()) == {"labels": None}
    files[1].unlink()
    with pytest.raises(FileNotFoundError):
        pack.pack_folder(tmp_path / "dataset", files, None)
    assert (tmp_path / "dataset" / "00000/img00000001.png").is_file()  # the old set is untouched
    assert sorted(p.name for p in tmp_path.iterdir()) == ["crops", "dataset"]


def test_numbers_go_on_in_new_folders():
    names = pack.numbered(2001)
    assert names[999:1001] == ["00000/img00000999.png", "00001/img00001000.png"] and names[2000][:6] == "00002/"


def test_review_pages(crops, tmp_path, monkeypatch):
    kept, folder = crops
    monkeypatch.setattr(review, "PER_PAGE", 2)
    pages = review.write_review(tmp_path, kept, folder)
    assert [page.name for page in pages] == ["review.html", "review-2.html", "review-3.html"]
    text = pages[0].read_text()
    assert re.findall('value="(.*?-0)"', text) == [face["id"] for _, face in kept[:2]]
    assert text.count("data:image/jpeg;base64,") == 2 and not re.search(r"(src|href)=.https?:", text)  # works offline
    assert "<b>&quot;" not in text and "&lt;b&gt;&quot;0&quot;.png" in text  # names are text, not markup
    review.write_review(tmp_path, kept[:2], folder)
    assert [page.name for page in sorted(tmp_path.glob("review*.html"))] == ["review.html"]


def test_the_page_saves_what_is_read_back(crops, tmp_path):
    """Runs the page's own script in node with two pictures ticked."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    kept, folder = crops
    (page,) = review.write_review(tmp_path, kept, folder)
    script = re.search("<script>(.*)</script>", page.read_text(), re.S)[1]
    ids = [face["id"] for _, face in kept]
    harness = f"""
      const ticks = {json.dumps(ids)}.map(value => ({{value, checked: false}}))
      const elements = {{count: {{}}, save: {{}}, order: {{}}}}
      let saved = null
      globalThis.localStorage = {{getItem: () => null, setItem: () => {{}}}}
      globalThis.document = {{
        querySelector: () => ({{querySelectorAll: () => ticks, children: []}}),
        getElementById: id => elements[id],
        createElement: () => ({{click() {{}}}}),
      }}
      globalThis.Blob = class {{ constructor(parts) {{ saved = parts.join("") }} }}
      globalThis.URL = {{createObjectURL: () => ""}}
      {script}
      ticks[1].checked = ticks[4].checked = true
      elements.save.onclick()
      console.log(saved)
    """
    done = subprocess.run([node, "-e", harness], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (tmp_path / "review-1.json").write_text(done.stdout)
    assert review.read_review(tmp_path / "review-1.json") == {ids[1], ids[4]}


@pytest.mark.parametrize("content", ["", "[]", '{"remove": 3}', '{"remove": [3]}', "{}", "\x00\xff"])
def test_wrong_review_files_are_refused(tmp_path, content):
    (tmp_path / "review.json").write_text(content)
    with pytest.raises(PreparationError, match=r"review.json: not a file saved by review.html"):
        review.read_review(tmp_path / "review.json")


def test_thumbnail_beside_the_crop(tmp_path):
    write_crop(tmp_path, "ab-0", np.zeros([256, 256, 3], np.uint8), whole=False)
    assert Image.open(thumbnail_path(tmp_path, "ab-0")).size == (160, 160)
    assert not crop_path(tmp_path, "ab-0").exists()
