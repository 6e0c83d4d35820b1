"""The three files of a table hold the same numbers."""

import csv
import json

from compare.intervals import Number, number
from compare.tables import write_table


def test_three_files_agree(tmp_path):
    rows = {"ours": {"LPIPS": Number(0.5, 0.4, 0.6, 3), "seconds": 2.0}, "other": {"LPIPS": None}}
    markdown = write_table(tmp_path, "A caption.", ["LPIPS", "seconds"], rows, {"seed": 7}, {"ours": {"LPIPS": 0.135}})
    assert "| ours | 0.5 [0.4, 0.6] | 2 |" in markdown and "| other |  |  |" in markdown
    assert "| paper: ours | 0.135 |  |" in markdown
    assert (tmp_path / "table.md").read_text() == markdown
    table = list(csv.reader(open(tmp_path / "table.csv", newline="")))
    assert table[0] == ["", "LPIPS mean", "LPIPS low", "LPIPS high", "seconds mean", "seconds low", "seconds high"]
    assert table[1] == ["ours", "0.5", "0.4", "0.6", "2.0", "", ""]
    report = json.loads((tmp_path / "results.json").read_text())
    assert report["rows"]["ours"]["LPIPS"] == {"mean": 0.5, "low": 0.4, "high": 0.6, "count": 3}
    assert report["seed"] == 7 and report["published"] == {"paper: ours": {"LPIPS": 0.135}}


HOSTILE = {
    "=cmd|' /C calc'!A0": ("| =cmd\\|' /C calc'!A0 |", "'=cmd|' /C calc'!A0"),
    "a|b\nc": ("| a\\|b\\\\nc |", "a|b\\nc"),
    "<script>alert(1)</script>": ("| &lt;script&gt;alert(1)&lt;/script&gt; |", "<script>alert(1)</script>"),
    "![x](http://y)": ("| !\\[x\\](http://y) |", "![x](http://y)"),
    "`*a*`": ("| \\`\\*a\\*\\` |", "`*a*`"),
    " @SUM(1)": ("|  @SUM(1) |", "' @SUM(1)"),
    "\u202egnp.exe\x1b[2J\udc80": ("| \\\\u202egnp.exe\\\\x1b\\[2J\\\\x80 |", "\\u202egnp.exe\\x1b[2J\\x80"),
}


def test_names_from_elsewhere_are_text(tmp_path):
    rows = {name: {name: name, "number": Number(0.5, 0.4, 0.6, 3)} for name in HOSTILE}
    markdown = write_table(tmp_path, "A caption.", [*HOSTILE, "number"], rows, {})
    lines = markdown.splitlines()[2:]
    assert len(lines) == 2 + len(HOSTILE)
    table = list(csv.reader(open(tmp_path / "table.csv", newline="", encoding="utf-8")))
    for i, (shown, cell) in enumerate(HOSTILE.values()):
        assert lines[2 + i].startswith(shown) and lines[2 + i].endswith("| 0.5 [0.4, 0.6] |")
        assert table[1 + i][0] == cell and cell in table[1 + i][1:]
        assert table[0][1 + 3 * i] == f"{cell} mean"
    assert list(json.loads((tmp_path / "results.json").read_text())["rows"])[1] == "a|b\nc"


def test_no_number_is_null(tmp_path):
    rows = {"a": {"x": Number(float("nan"), 0.0, float("inf"), 3), "y": float("nan")}}
    write_table(tmp_path, "A caption.", ["x", "y"], rows, {"values": [[1.0, float("-inf")], (float("nan"),)]})

    def refused(name):
        raise AssertionError(name)

    report = json.loads((tmp_path / "results.json").read_text(), parse_constant=refused)
    assert report["rows"]["a"] == {"x": {"mean": None, "low": 0.0, "high": None, "count": 3}, "y": None}
    assert report["values"] == [[1.0, None], [None]]


def test_number_is_the_mean_of_its_values():
    found = number([1.0, 2.0, 3.0, 4.0])
    assert found.mean == 2.5 and found.count == 4 and 1 <= found.low < 2.5 < found.high <= 4
