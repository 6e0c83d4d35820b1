"""What of a results folder is still good: other settings and inputs, damage, stale pictures, and foreign files."""

import json

import click
import numpy as np
import pytest
from PIL import Image

from compare.made import Made
from compare.systems import System

PRINTS = {"a": "1", "b": "2"}


@pytest.fixture
def made(tmp_path):
    """A folder with two results in two parts, recorded."""
    made = Made(tmp_path / "out", System("m", "s", {"g": "0"}), {"steps": 3}, ("", "reconstructions"))
    for name in PRINTS:
        for file in made.files(name):
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((32, 32, 3), 90, np.uint8)).save(file)
    made.record({name: {"output": name, "fingerprint": print_, "seconds": 2.0} for name, print_ in PRINTS.items()})
    return made


def changed(made, change):
    report = made.folder / "report.json"
    content = json.loads(report.read_text())
    change(content)
    report.write_text(json.dumps(content))


def test_all_is_good_until_something_changes(made):
    assert list(made.still_good(PRINTS)) == ["a", "b"]
    assert list(made.still_good({"a": "1"})) == ["a", "b"]  # fewer asked for
    assert list(made.still_good({"a": "1", "b": "other"})) == ["a"] and not made.files("b")[0].exists()


@pytest.mark.parametrize("part", [0, 1])
def test_a_damaged_picture_is_made_again(made, part):
    file = made.files("a")[part]
    file.write_bytes(file.read_bytes()[:60])
    assert list(made.still_good(PRINTS)) == ["b"] and not any(file.exists() for file in made.files("a"))


@pytest.mark.parametrize("change", [{"seconds": None}, {"seconds": "2"}, {"fingerprint": None}, {"error": "full"}])
def test_an_entry_that_vouches_for_nothing_is_not_believed(made, change):
    changed(made, lambda report: report["pictures"][0].update(change))
    assert list(made.still_good(PRINTS)) == ["b"] and not made.files("a")[0].exists()


def test_a_name_that_leads_elsewhere_removes_nothing(made, tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "mine.png")
    changed(made, lambda report: (report["pictures"][0].update(output="../mine"), report.update(settings={})))
    made.still_good({})
    assert (tmp_path / "mine.png").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"pictures": 3}'])
def test_under_a_damaged_report_nothing_stale_stays(made, content):
    (made.folder / "report.json").write_text(content)
    assert made.still_good({"a": "1"}) == {} and not list(made.folder.rglob("*.png"))


def test_pictures_of_others_are_not_overwritten(made):
    (made.folder / "report.json").unlink()
    with pytest.raises(click.ClickException, match="a.png: not made here"):
        made.still_good(PRINTS)
    assert made.files("a")[0].exists() and made.still_good({"c": "3"}) == {}
