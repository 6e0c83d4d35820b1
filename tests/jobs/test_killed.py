"""A run that is killed, wherever it is, and run again ends with what an undisturbed one leaves."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

import project

KILLED = """
import os, signal, sys
from pathlib import Path
moment, target = sys.argv[1:3]
really = os.replace

def replace(source, path):
    found = "/".join(Path(path).parts[-2:]) == target
    if moment == "after" or not found:
        really(source, path)
    if found:
        os.kill(os.getpid(), signal.SIGKILL)

os.replace = replace
import project
project.main(sys.argv[3:])
"""
WHILE_INVERTED = [  # what the second picture's folder gets, in this order
    ("before", "b/face0_inversion.png"),
    ("after", "b/face0_w_plus.npz"),
    ("before", "b/inversion.json"),
    ("after", "b/inversion.json"),
    ("before", "b/composite.png"),
    ("before", "b/report.json"),
]
WHILE_FINISHED = [("after", "b/face0_mask.png"), ("after", "b/composite.png"), ("before", "b/report.json")]


def killed(moment, target, *arguments):
    words = [sys.executable, "-c", KILLED, moment, target, *map(str, arguments)]
    done = subprocess.run(words, cwd=Path(project.__file__).parent, capture_output=True, timeout=200)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def inverted(out):
    """What the records of the inversions say, seconds and all."""
    return {name: (out / name / "inversion.json").read_text() for name in "ab"}


@pytest.mark.slow
def test_killed_while_inversions_are_kept_and_while_they_are_finished(samples, tiny_bundle, tmp_path):
    (tmp_path / "in").mkdir()
    face = Image.open(samples / "avatar05_portrait.png").convert("RGB")
    for name, side in (("a", 240), ("b", 260)):
        face.resize((side, side)).save(tmp_path / "in" / f"{name}.png")
    options = ["--weights", tiny_bundle, "--steps", 1, "--device", "cpu"]

    def run(out, *more):
        arguments = [tmp_path / "in", "-o", tmp_path / out, *options, *more]
        result = CliRunner().invoke(project.main, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.output

    def same(*more):
        run("whole", *more)
        run("out", *more)
        whole, again = files_of(tmp_path / "whole"), files_of(tmp_path / "out")
        assert whole.keys() == again.keys()  # nothing unfinished is left, either
        assert all(again[name] == data for name, data in whole.items() if name.suffix in (".png", ".npz"))
        for name in "ab":
            entries = [json.loads(files[Path(name, "report.json")]) for files in (whole, again)]
            assert entries[0]["fingerprint"] == entries[1]["fingerprint"]

    for moment, target in WHILE_INVERTED:
        killed(moment, target, tmp_path / "in", "-o", tmp_path / "out", *options)
        assert (tmp_path / "out/a/report.json").is_file() and not (tmp_path / "out/b/report.json").is_file()
    same()
    records, first = inverted(tmp_path / "out"), (tmp_path / "out/b/composite.png").read_bytes()
    finish = ("--strength", "0.5")
    for moment, target in WHILE_FINISHED:
        killed(moment, target, tmp_path / "in", "-o", tmp_path / "out", *options, *finish)
        assert not (tmp_path / "out/b/report.json").is_file()
    same(*finish)
    assert inverted(tmp_path / "out") == records  # nothing was inverted anew
    assert (tmp_path / "out/b/composite.png").read_bytes() != first
