"""The rehearsal of the paper's path: every documented command on files in the public layouts, at 64 pixels."""

import json
import os

import pytest
from click.testing import CliRunner

from scripts import rehearse
from scripts.rehearsal.steps import Step, steps_of


@pytest.mark.slow
@pytest.mark.skipif("LIFELIKE_REHEARSAL" not in os.environ, reason="27 commands, minutes: set LIFELIKE_REHEARSAL=1")
def test_every_command_of_the_papers_path_goes_well(tmp_path):
    pytest.importorskip("torch_fidelity", reason="the tables need torch-fidelity: pip install -e .[tables]")
    result = CliRunner().invoke(rehearse.main, ["--resolution", "64", "--keep", str(tmp_path)])
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert list(rows) == [step.name for step in steps_of(64)] and {row["outcome"] for row in rows.values()} == {"ok"}
    assert "resumed" in (tmp_path / "runs/drfhq/log.txt").read_text()  # what was killed went on
    assert "| FID to the rendered set |" in (tmp_path / "runs/style/table.md").read_text()
    assert (tmp_path / "rehearsal.md").read_text().count("| ok |") == len(rows)


@pytest.mark.slow
def test_the_way_from_public_files_to_a_result_goes_well(tmp_path):
    """Of the rehearsal rows that follow from each other: files, conversion, crops, a killed training, a portrait."""
    wanted = ("convert", "prepare_dataset", "train, killed", "train, resumed", "project, paper", "Table 3, portraits")
    words = [word for name in wanted for word in ("--only", name)]
    result = CliRunner().invoke(rehearse.main, ["--resolution", "64", "--keep", str(tmp_path), *words])
    assert result.exit_code == 0, result.output
    assert len(json.loads((tmp_path / "rows.json").read_text())) == 8
    assert "resumed" in (tmp_path / "runs/drfhq/log.txt").read_text()
    assert (tmp_path / "out/paper/avatar/composite.png").is_file()


def run(folder, command, killed=None):
    return rehearse.run(Step("a step", ["python", "-c", command], killed=killed), folder, 0)


def test_a_row_says_how_a_command_ended_and_what_it_held(tmp_path):
    good = run(tmp_path, "held = b'x' * (200 << 20); print('done')")
    assert good["outcome"] == "ok" and good["gib"] > 0.19 and good["said"] == "done"
    bad = run(tmp_path, "import sys; print('first'); sys.exit('what was wrong')")
    assert bad["outcome"] == "failed" and bad["said"] == "what was wrong"


def test_a_command_is_killed_when_its_log_says_so_and_must_not_end_before(tmp_path):
    command = "import time; open('log.txt', 'w').write('one step'); time.sleep({})"
    assert run(tmp_path, command.format(60), ("log.txt", "one step"))["outcome"] == "ok"
    assert run(tmp_path, command.format(0), ("log.txt", "two steps"))["outcome"] == "failed"


def test_files_that_cannot_be_written_end_the_rehearsal(tmp_path):
    (tmp_path / "prepared.json").write_text('{"resolution": 32, "cuda": false}')
    result = CliRunner().invoke(rehearse.main, ["--resolution", "64", "--keep", str(tmp_path), "--only", "list"])
    assert result.exit_code == 1 and "the files could not be written" in result.output
    assert not (tmp_path / "rows.json").exists()
