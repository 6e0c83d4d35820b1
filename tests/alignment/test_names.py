"""Names made from hostile names, and what people get to see of them."""

import os
import random
import unicodedata
from pathlib import Path

import pytest

from alignment.names import DEVICES, LONGEST, folded, is_reserved, output_names, safe_name
from alignment.text import shown

ODD = [
    "", ".", "..", "...", " ", "a/b", "a\\b", "../../x", "C:evil", "a\0b", "a\nb", "a\x1b[31mb", "con", "CON.old",
    "nul ", "com1", "COM¹", "lpt9.x", "report", "Report", "report.json", "REPORT.JSON", "results.html", "sheet",
    "preview", "texture", "x.lock", "trailing.", "trailing ", " leading", "-rf", "~", ".hidden", "x" * 5000, "名" * 300,
    "\udce9t\udce9", "\u202egnp.exe", "zero\u200bwidth", "\ufeffbom", "?*<>|", "\ud800", "e\u0301", "\u1e9e", "ﬁ",
]  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_safe_names_are_safe(name, tmp_path):
    safe = safe_name(name)
    assert 0 < len(safe.encode()) <= LONGEST and safe == unicodedata.normalize("NFC", safe)
    assert not set(safe) & set('<>:"/\\|?*') and safe.isprintable()
    assert safe[0] not in ".-~ " and safe[-1] not in ". "
    assert safe.split(".")[0].strip().lower() not in DEVICES and not is_reserved(safe)
    assert safe_name(safe) == safe and safe_name(name) == safe
    (tmp_path / safe).mkdir()
    assert [p.name for p in tmp_path.iterdir()] == [safe]


@pytest.mark.parametrize(
    "name", ["a", "IMG_0001", "photo (1)", "über.straße", "名前", "frame.0017", "a-b_c", "çà et là", "reports"]
)
def test_usual_names_stay(name):
    assert safe_name(name) == name and shown(name) == name


def test_changed_names_stay_apart():
    names = [safe_name(name) for name in ODD]
    assert len({folded(name) for name in names}) == len(ODD)


def unique(paths):
    names = output_names(paths)
    assert len(names) == len(paths) == len({folded(name) for name in names})
    assert all(safe_name(name.rsplit("-", 1)[0]) for name in names)
    return names


def test_names_of_a_usual_run():
    assert unique(["in/a.png", "in/b.jpg", "c.png"]) == ["a", "b", "c"]
    assert unique(["in/a.png", "in/a.jpg", "b.png"]) == ["a.png", "a.jpg", "b"]
    assert unique(["x/a.png", "y/a.png"]) == ["a.png", "a.png-2"]
    assert unique(["x/a.png", "y/A.png"]) == ["a.png", "A.png-2"]  # one name on macOS and Windows
    assert unique(["x/\u00e9.png", "y/e\u0301.jpg"])[0] == "\u00e9.png"
    assert unique(["x/straße.png", "y/STRASSE.png"])[0] == "straße.png"
    assert unique(["a.png", "a.jpg", "a.png.png"])[1:] == ["a.jpg", "a.png-2"]


def test_an_input_that_comes_along_renames_no_other():
    before = unique(["a.png", "b.png", "report.png"])
    assert unique(["a.png", "b.png", "c.png", "report.png"]) == [*before[:2], "c", before[2]]


def test_bytes_that_are_no_text():
    paths = [Path(os.fsdecode(name)) for name in (b"\xe9.png", b"\xea.png", b"\xff\xfe.png")]
    unique(paths)
    assert shown(paths[0]) == "\\xe9.png"


def test_any_mixture_of_names_stays_unique():
    rng = random.Random(0)
    letters = "aA.-_ é\u0301É/\\\n1:ßs"
    for _ in range(200):
        unique(["d/" + "".join(rng.choices(letters, k=rng.randint(1, 4))) + ".png" for _ in range(12)])


def test_shown_has_no_control_over_a_terminal():
    assert shown("a\x1b]0;owned\x07\r\nb") == "a\\x1b]0;owned\\x07\\r\\nb"
    assert shown("\u202egnp.exe") == "\\u202egnp.exe" and shown("\x9b31m") == "\\x9b31m"
    assert shown("é名 x") == "é名 x" and len(shown("x" * 10**6)) < 310
    for name in ODD:
        shown(name).encode()  # UTF-8 has a form for all of it


def test_errors_that_name_a_hostile_file_are_escaped():
    from alignment import AlignmentError, PictureError, read_picture

    with pytest.raises(PictureError) as caught:
        read_picture("in/\x1b[31m\udce9\n.png")
    assert str(caught.value) == "in/\\x1b[31m\\xe9\\n.png: no such file; check the path"
    assert "\x1b" not in str(AlignmentError("a\x1b: no face"))
