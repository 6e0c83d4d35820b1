"""A study's page: which pictures get into it, and what a participant's keys and taps make of it in a real browser."""

import html.parser
import json
import time

import numpy as np
import pytest
from browser import CHROMIUM, opened
from PIL import Image

from alignment import write_png
from compare.study_page import StudyError, matched, pictures_in, read_case, write_study
from compare.systems import System, write_card

COLORS = {"ours": (0, 200, 0), "input": (200, 0, 0), "other": (0, 0, 200)}
browser = pytest.mark.skipif(not CHROMIUM, reason="no headless Chromium here")


def plain(color, size=(60, 40)):
    return np.full((size[1], size[0], 3), color, np.uint8)


def folder_of(tmp_path, method, names, size=(60, 40)):
    for name in names:
        write_png(tmp_path / method / f"{name}.png", plain(COLORS[method], size))
    return tmp_path / method


def study_of(tmp_path, methods=("ours", "input"), names=("a", "b", "c", "d")):
    """Writes a page on which every method has its own colour; returns (page's address, the study)."""
    folders = {method: folder_of(tmp_path, method, names) for method in methods}
    study = write_study(tmp_path / "out", folders, ((case, read_case(paths)) for case, paths in matched(folders)))
    return (tmp_path / "out" / "study.html").as_uri(), study


def test_pictures_of_a_run_and_of_a_folder(tmp_path):
    write_png(tmp_path / "run" / "a" / "composite.png", plain(0))
    write_png(tmp_path / "run" / "sheet.png", plain(0))
    assert pictures_in(tmp_path / "run") == {"a": tmp_path / "run" / "a" / "composite.png"}
    assert list(pictures_in(folder_of(tmp_path, "ours", ["c", "b"]))) == ["b", "c"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: None, "input: no such folder"),
        (lambda path: (path / "input").mkdir(), "input: holds no pictures"),
        (lambda path: folder_of(path, "input", ["a", "c"]), "input: no picture b and 1 more that .*ours has"),
        (lambda path: [Image.new("RGB", (60, 40)).save(folder_of(path, "input", "abcd") / "a.jpg")], "same name"),
    ],
)
def test_folders_that_do_not_fit_are_named(tmp_path, spoil, message):
    folders = {"ours": folder_of(tmp_path, "ours", "abd"), "input": tmp_path / "input"}
    spoil(tmp_path)
    with pytest.raises(StudyError, match=message):
        matched(folders)


def test_number_of_methods_and_of_cases(tmp_path):
    folder = folder_of(tmp_path, "ours", "abcdefg")
    with pytest.raises(StudyError, match="1 methods given"):
        matched({"ours": folder})
    with pytest.raises(StudyError, match="10 methods given"):
        matched({str(i): folder for i in range(10)})
    assert [case for case, _ in matched({"x": folder, "y": folder}, 3)] == ["a", "d", "g"]


def test_pictures_of_a_case_have_one_size(tmp_path):
    small, large = folder_of(tmp_path, "ours", "a", (60, 40)), folder_of(tmp_path, "input", "a", (1800, 1200))
    assert {p.shape for p in read_case({"ours": small / "a.png", "input": large / "a.png"})} == {(600, 900, 3)}
    other = folder_of(tmp_path, "other", "a", (60, 44))
    with pytest.raises(StudyError, match=r"other.a.png: another shape .*\(60 x 44, others 1800 x 1200\)"):
        read_case({"input": large / "a.png", "other": other / "a.png"})


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.scripts, self.sources = 0, []

    def handle_starttag(self, tag, attributes):
        self.scripts += tag == "script"
        self.sources += [value for name, value in attributes if name in ("src", "href")]


def test_page_is_complete_and_safe(tmp_path):
    folder = folder_of(tmp_path, "ours", "a")
    write_card(folder, System("Ours", seconds=2.0))
    folders = {"ours</script><script>alert(1)": folder, "$'": folder}
    study = write_study(tmp_path, folders, [("a", [plain(9), plain(200)])])
    page = (tmp_path / "study.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert tags.scripts == 1 and not tags.sources and "http" not in page and "@import" not in page
    record = json.loads((tmp_path / "study.json").read_text())
    assert record["systems"]["$'"]["seconds"] == 2.0 and record["id"] == study["id"] and "pictures" not in record
    assert study["id"] == write_study(tmp_path, folders, [("a", [plain(9), plain(200)])])["id"]
    assert study["id"] != write_study(tmp_path, folders, [("a", [plain(9), plain(201)])])["id"]


def begin(page, participant):
    page.value("document.getElementById('participant').select()")
    page.write(participant)
    page.key("Enter")


def wait_for(page, number):
    page.until(f"answers.length === {number} && performance.now() - shownAt >= PAUSE")


def color_at(shot, fraction):
    """The method whose colour a screenshot has at a fraction (x, y) of its size; None for a spoilt picture's."""
    pixels = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    pixel = pixels[int(fraction[1] * len(pixels)), int(fraction[0] * pixels.shape[1])]
    return next((method for method, color in COLORS.items() if abs(pixel - color).max() < 30), None)


def saved(folder):
    deadline = time.monotonic() + 20
    while not (files := list(folder.glob("answers-*.json"))):
        assert time.monotonic() < deadline, "nothing was saved"
        time.sleep(0.05)
    return json.loads(files[0].read_text())


@browser
def test_arrow_keys_choose_the_side_that_is_seen(tmp_path):
    """The loop knows only the colours on the screen and its keys; the file must then say the same."""
    address, study = study_of(tmp_path)
    keys, seen = ["ArrowLeft", "ArrowRight", "1", "2", "ArrowRight", "ArrowUp"], []
    with opened(address, tmp_path, 1000, 500) as page:
        begin(page, "P 07/ä")
        for number in range(4 + 3 + 2):
            wait_for(page, number)
            page.picture(tmp_path / "shot.png")
            key = keys[number % len(keys)]
            sides = [color_at(tmp_path / "shot.png", (x, 0.55)) for x in (0.03, 0.97)]  # the pair fills the width
            seen.append((sides, key in ("ArrowRight", "2")))
            page.key(key)
        page.until("!document.getElementById('end').hidden")
        page.tap("#save")
        answers = saved(tmp_path)
        assert json.loads(page.value("document.getElementById('answers').value")) == answers
        assert page.value("performance.getEntriesByType('resource').every(entry => entry.name.startsWith('data:'))")
    assert answers["participant"] == "P 07/ä" and answers["study"] == study["id"] and answers["sets"] == 9
    for (sides, right), answer in zip(seen, answers["answers"], strict=True):
        if answer["kind"] == "check":
            assert sides == [method if method == answer["intact"] else None for method in answer["shown"]]
        else:
            assert sides == answer["shown"]
        assert answer["chosen"] == answer["shown"][right]
    kinds = [answer["kind"] for answer in answers["answers"]]
    assert [kinds.count(kind) for kind in ("case", "check", "repeat")] == [4, 3, 2]


@browser
def test_goes_on_after_closing_and_takes_back(tmp_path):
    address, _ = study_of(tmp_path)
    address += "?participant=P1"
    with opened(address, tmp_path) as page:
        page.value("document.getElementById('begin').focus()")
        page.key("Enter")
        for number in range(3):
            wait_for(page, number)
            page.key("ArrowLeft")
        wait_for(page, 3)
        at_once = "shownAt = performance.now(), document.querySelector('#pictures button').click(), answers.length"
        assert page.value(at_once) == 3  # the second half of a double click is no answer to the next set
        wait_for(page, 3)
        page.key("3")  # no such picture
        page.key("Backspace")
        wait_for(page, 2)
        sets, answers = page.value("sets"), page.value("answers")
    with opened(address, tmp_path) as page:
        assert page.value("document.getElementById('begin').textContent") == "Go on (2 of 9 done)"
        page.tap("#begin")
        wait_for(page, 2)
        assert page.value("sets") == sets and page.value("answers") == answers
        assert page.value("document.getElementById('position').textContent") == "3 / 9"
    with opened(address.replace("P1", "P2"), tmp_path) as page:  # somebody else in the same browser
        assert page.value("document.getElementById('begin').textContent") == "Begin"


@browser
@pytest.mark.parametrize("methods", [("ours", "input"), ("ours", "input", "other")])
def test_taps_on_a_phone(tmp_path, methods):
    address, _ = study_of(tmp_path, methods, "ab")
    with opened(address, tmp_path, 390, 844, phone=True) as page:
        begin(page, "P1")
        for number in range(2 + 3 + 2):
            wait_for(page, number)
            boxes = page.value(
                "[...document.querySelectorAll('button')].filter(b => b.offsetParent)"
                ".map(b => b.getBoundingClientRect()).map(r => [r.left, r.top, r.right, r.bottom])"
            )
            for left, top, right, bottom in boxes:
                assert left >= 0 and top >= 0 and right <= 390 and bottom <= 844  # nothing to scroll for
                assert right - left >= 44 and bottom - top >= 44  # a finger's width
            assert len(boxes) == 1 + len(methods)
            page.tap(f"#pictures button:nth-child({number % len(methods) + 1})")
        page.until("!document.getElementById('end').hidden")
        page.tap("#save")
        answers = saved(tmp_path)["answers"]
    assert [a["shown"].index(a["chosen"]) for a in answers] == [number % len(methods) for number in range(7)]


@browser
def test_orders_are_random_but_a_participant_s_own(tmp_path):
    address, study = study_of(tmp_path, ("ours", "input", "other"), "abcdef")
    with opened(address, tmp_path) as page:
        orders = page.value("Array.from({length: 400}, (_, i) => setsFor(`P${i}`))")
        assert page.value("setsFor('P3')") == orders[3] != orders[4]
    for sets in orders:
        asked = [s["case"] for s in sets if s["kind"] == "case"]
        assert sorted(asked) == study["cases"] and sum(s["kind"] == "check" for s in sets) == 3
        again = [s for s in sets if s["kind"] == "repeat"]
        assert sorted(s["case"] for s in again) == sorted(asked[:2])
        for repeat in again:
            first = next(s for s in sets if s["kind"] == "case" and s["case"] == repeat["case"])
            assert sets.index(repeat) > sets.index(first) + 1 and repeat["shown"] == first["shown"][::-1]
    cases = [s for sets in orders for s in sets if s["kind"] == "case"]
    for method in study["methods"]:
        for place in range(3):  # 2400 draws at 1/3: standard deviation 0.0096
            assert abs(np.mean([s["shown"][place] == method for s in cases]) - 1 / 3) < 0.04
    firsts = [next(s["case"] for s in sets if s["kind"] == "case") for sets in orders]
    for case in study["cases"]:  # 400 draws at 1/6: 0.0186
        assert abs(firsts.count(case) / 400 - 1 / 6) < 0.075
