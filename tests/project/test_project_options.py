"""Any text for an option of project.py ends in one line, before a network is loaded, or is a value that makes sense."""

import math

import click
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import project

ODD = [
    "--",
    "",
    " ",
    "nan",
    "-inf",
    "1e999",
    "1e308",
    "-0.0",
    "9" * 5000,
    "²",
    "٣",
    "0x10",
    "1_0",
    "--",
    "\x1b[2J\r",
    "\udc80",
]
TEXT = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(ODD),
    st.floats().map(str),
    st.integers(-(10**30), 10**30).map(str),
)
MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ASKED = "the networks were asked for"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the command on a picture; it ends where networks are loaded."""
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)

    def networks(*arguments):
        raise click.ClickException(ASKED)

    monkeypatch.setattr(project, "networks", networks)

    def run(*arguments):
        result = CliRunner().invoke(project.main, ["a.png", "-o", "out", "--device", "cpu", *arguments])
        assert result.exit_code == 2, (result.output, result.exception)
        lines = result.output.splitlines()
        errors = [line for line in lines if line.startswith("Error: ")]
        assert errors == lines[-1:] and len(lines) in (1, 4), result.output  # click puts three lines of usage above
        assert errors[0].isprintable()
        return None if ASKED in result.output else errors[0]

    return run


def as_number(text, kind):
    try:
        return kind(text)
    except ValueError:
        return math.nan


@MANY
@given(text=TEXT)
def test_faces(run, text):
    taken = run(f"--faces={text}") is None
    assert taken == (text in ("all", "largest") or (text.isdecimal() and len(text) <= 6))


@MANY
@given(text=TEXT, name=st.sampled_from([("detail", 1), ("strength", 1.5)]))
def test_shares(run, text, name):
    option, most = name
    assert (run(f"--{option}={text}") is None) == (0 <= as_number(text, float) <= most)


@MANY
@given(text=TEXT, option=st.sampled_from([("steps", 1), ("rounds", 0)]))
def test_counts(run, text, option):
    name, least = option
    error = run(f"--{name}={text}")
    taken = error is None or "belong together with --mesh" in error
    assert taken == (least <= as_number(text, int) <= 10**6)


def test_what_a_portrait_from_elsewhere_leaves_unused(run):
    for unused in (("--steps", "3"), ("--init", "a.png"), ("--compile",)):
        assert "nothing is inverted" in run("--portrait", "a.png", *unused)


@MANY
@given(texts=st.lists(TEXT, min_size=8, max_size=8))
def test_quads_of_text(run, texts):
    error = run("--quad", *texts)
    assert error is None or "quad" in error


@MANY
@given(numbers=st.lists(st.floats(-1e9, 1e9) | st.sampled_from([0.0, 1.0, 64.0, 1e300]), min_size=8, max_size=8))
def test_quads_of_numbers(run, numbers):
    error = run("--quad", *map(str, numbers))
    assert error is None or "quad" in error


@MANY
@given(text=TEXT, option=st.sampled_from(["init", "landmarks"]))
def test_files_that_are_not_there(run, text, option):
    assert run(f"--{option}=x{text}") is not None


@MANY
@given(text=TEXT, option=st.sampled_from(["preset", "blend"]))
def test_choices(run, text, option):
    assert (run(f"--{option}={text}") is None) == (text in ("paper", {"preset": "fast", "blend": "poisson"}[option]))
