"""The line that the page shows, and what project.py makes of it."""

import shlex
from pathlib import Path

import click
import pytest

import project
from page.command import Job, command_line, options_of


def parsed(words):
    return project.main.make_context("project.py", words).params


def test_the_line_says_what_the_page_does():
    job = Job("/x", ("a b.png",), ("a b.png",), ("a b",), faces=(0, 2), preset="best",
              finish=(("detail", 0.35), ("blend", "poisson")),
              per_face=((0, "strength", 1.5), (2, "blend", "paper")))  # fmt: skip
    words = shlex.split(command_line(job))
    assert words[:5] == ["python", "project.py", "a b.png", "-o", "out"]
    said, options = parsed(words[2:]), options_of(job)
    assert said["faces"] == options.faces == (0, 2)
    finish = options.preset.finish
    assert said["face"] == finish.per_face == {0: {"strength": 1.5}, 2: {"blend": "paper"}}
    assert (said["detail"], said["blend"], said["strength"]) == (finish.detail, finish.blend, None)
    assert said["preset"] == options.name == "best"


def test_a_square_by_hand_and_frames():
    quad = (40.1, 30, 40.1, 170.7, 180.8, 170.7, 180.8, 30)
    job = Job("/x", ("a.png",), ("a.png",), ("a",), quad=quad)
    assert parsed(shlex.split(command_line(job))[2:])["quad"] == quad
    assert options_of(job).given(Path("a.png"))["quad"].ravel().tolist() == list(quad)
    names = ("frames/1.png", "frames/2.png")
    frames = Job("/x", ("frames",), names, ("1", "2"), sequence=True, weights="w", device="cpu", g_rendering="s")
    said = parsed(shlex.split(command_line(frames))[2:])
    assert said["sequence"] and said["folder"] == "w" and said["device"] == "cpu" and said["g_rendering"] == Path("s")


@pytest.mark.parametrize(
    "words",
    [
        ["--face", "0", "colour", "1"],
        ["--face", "0", "strength", "9"],
        ["--face", "0", "strength", "nan"],
        ["--face", "-1", "strength", "1"],
        ["--face", "0", "blend", "oil"],
        ["--faces", "0,x"],
    ],
)
def test_settings_of_a_face_that_are_none(words):
    with pytest.raises(click.UsageError):
        parsed(["a.png", "-o", "out", *words])
