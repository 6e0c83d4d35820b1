"""Contact sheets of many large pictures."""

import json

import numpy as np

from alignment import read_picture, write_png
from alignment.sheet import TILE, contact_sheet, reduced
from jobs import results


def test_what_was_reduced_before_looks_the_same():
    rng = np.random.default_rng(0)
    for shape in ((900, 700, 3), (400, 500), (TILE, 20, 3), (31, 40, 3)):
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        small = reduced(pixels)
        assert max(small.shape[:2]) <= TILE and (small is pixels) == (max(shape[:2]) <= TILE)
        assert np.array_equal(contact_sheet([[("a", pixels)]]), contact_sheet([[("a", small)]]))


def test_the_sheet_of_a_run_has_an_end(tmp_path, monkeypatch):
    """Of a folder of hundreds the sheet and the memory for it would grow without one; page and report have them all."""
    monkeypatch.setattr(results, "MOST_ROWS", 3)
    entries = []
    for number in range(5):
        folder = tmp_path / f"p{number}"
        folder.mkdir()
        for name in ("composite.png", "face0_crop.png", "face0_result.png"):
            write_png(folder / name, np.full([40, 40, 3], 50 * number, np.uint8))
        face = {"face": 0, "warnings": []}
        entries.append({"input": str(folder / "composite.png"), "output": folder.name, "composite": "composite.png",
                        "faces": [face], "notes": []})  # fmt: skip
    monkeypatch.setattr("jobs.results_page.results_page", lambda *arguments: "")
    results.write_run(tmp_path, {"pictures": entries})
    sheet = read_picture(tmp_path / "sheet.png").pixels
    four = contact_sheet([results.overview_row(tmp_path, entries[number]) for number in (0, 2, 4)])
    assert np.array_equal(sheet, four)
    assert len(json.loads((tmp_path / "report.json").read_text())["pictures"]) == 5
