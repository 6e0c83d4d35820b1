"""Both commands end to end: a study made of folders, and its report on answers, good and bad."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from alignment import write_png
from scripts.paper import user_study


def run(*arguments):
    return CliRunner().invoke(user_study.main, [str(argument) for argument in arguments])


@pytest.fixture
def study(tmp_path):
    """The study.json of three pictures by two methods."""
    for method, level in (("ours", 90), ("input", 170)):
        for name in "abc":
            write_png(tmp_path / method / f"{name}.png", np.full((40, 60, 3), level, np.uint8))
    result = run("make", f"ours={tmp_path / 'ours'}", f"input={tmp_path / 'input'}", "-o", tmp_path / "study")
    assert result.exit_code == 0 and "3 pictures by 2 methods, 8 sets in all" in result.output
    assert Image.open(tmp_path / "study" / "sheet.png").width == 2 * (256 + 8) + 8
    return json.loads((tmp_path / "study" / "study.json").read_text())


def write_answers(path, study, participant, choose, attentive=True):
    """A file as the page saves it, of a participant who answers choose(case)."""
    methods = study["methods"]
    sets = [{"kind": "case", "case": case, "chosen": choose(case)} for case in study["cases"]]
    for check in study["checks"]:
        wrong = next(method for method in methods if method != check["intact"])
        sets.append({"kind": "check", **check, "chosen": check["intact"] if attentive else wrong})
    sets += [answer | {"kind": "repeat"} for answer in sets[: study["repeats"]]]
    answers = [answer | {"shown": methods, "seconds": 1.5} for answer in sets]
    path.write_text(
        json.dumps(
            {
                "format": "lifelike user study 1",
                "study": study["id"],
                "question": "?",
                "methods": methods,
                "cases": study["cases"],
                "participant": participant,
                "sets": len(answers),
                "answers": answers,
            }
        )
    )
    return path


def test_report_counts_excludes_and_skips(study, tmp_path):
    files = [
        write_answers(tmp_path / "1.json", study, "P1", lambda case: "ours"),
        write_answers(tmp_path / "2.json", study, "P2", lambda case: "ours" if case != "c" else "input"),
        write_answers(tmp_path / "3.json", study, "P3", lambda case: "input", attentive=False),
    ]
    result = run("report", *files, "-o", tmp_path / "good")
    assert result.exit_code == 0, result.output
    (tmp_path / "4.json").write_text(files[0].read_text()[:200])
    result = run("report", *files, tmp_path / "4.json", "-o", tmp_path / "report")
    assert result.exit_code == 1 and f"skipped: {tmp_path / '4.json'}: not JSON or cut short" in result.output
    for out in ("good", "report"):
        markdown = (tmp_path / out / "table.md").read_text()
        assert "2 participants, 3 sets each" in markdown and "1 left out, who chose a spoilt picture: P3." in markdown
        assert "| ours | 0.8333 [0.4365, 0.9699] |" in markdown  # 5 of 6, Wilson
        numbers = json.loads((tmp_path / out / "results.json").read_text())
        assert [bar["participants"] for bar in numbers["histogram"]] == [0, 0, 1, 1] and numbers["excluded"] == ["P3"]
        assert (tmp_path / out / "table.csv").read_text().count("\n") == 3
    assert len(numbers["skipped"]) == 1


def test_plots(study, tmp_path):
    pytest.importorskip("matplotlib", reason="plots need the extra `tables`")
    answers = write_answers(tmp_path / "1.json", study, "P1", lambda case: "ours")
    assert "look at" in run("report", answers, "-o", tmp_path / "report").output
    for name in ("histogram.png", "shares.png"):
        assert np.asarray(Image.open(tmp_path / "report" / name).convert("L")).std() > 10  # not blank


def test_one_clear_line_when_nothing_can_be_done(study, tmp_path):
    spoilt = write_answers(tmp_path / "1.json", study, "P1", lambda case: "ours", attentive=False)
    for arguments, message in [
        (("make", "ours", "-o", tmp_path), "ours: write it as NAME=FOLDER"),
        (("make", "a=x", "a=y", "-o", tmp_path), "a=y: the name a is that of x; choose another"),
        (("make", "a=x", "b=y", "-o", tmp_path), "x: no such folder"),
        (("report", tmp_path / "gone.json", "-o", tmp_path), "gone.json: cannot be read"),
        (("report", spoilt, "-o", tmp_path), "all 1 participants chose a spoilt picture"),
    ]:
        result = run(*arguments)
        assert result.exit_code == 2 and message in result.output and result.output.count("\n") == 1


def test_a_broken_picture_is_named_and_no_page_written(study, tmp_path):
    (tmp_path / "input" / "b.png").write_bytes(b"no picture")
    result = run("make", f"a={tmp_path / 'ours'}", f"b={tmp_path / 'input'}", "-o", tmp_path / "other")
    assert result.exit_code == 2 and "b.png" in result.output and not (tmp_path / "other").exists()
