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


def test_number_is_the_mean_of_its_values():
    found = number([1.0, 2.0, 3.0, 4.0])
    assert found.mean == 2.5 and found.count == 4 and 1 <= found.low < 2.5 < found.high <= 4
