"""NAME=PATH, as an option and as arguments."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from compare.arguments import named_paths


@click.command()
@click.argument("rows", nargs=-1, metavar="NAME=FOLDER...", callback=named_paths)
@click.option("--file", "files", multiple=True, metavar="NAME=FILE", callback=named_paths)
def command(rows, files):
    for name, path in [*rows.items(), *files.items()]:
        assert isinstance(path, Path)
        click.echo(f"{name}: {path}")


def test_names_and_paths_in_order():
    result = CliRunner().invoke(command, ["b=x", "a c=d=e.pt", "--file", "b=y.pkl"])
    assert result.output.splitlines() == ["b: x", "a c: d=e.pt", "b: y.pkl"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x"], "x: write it as NAME=FOLDER"),
        (["=x"], "=x: write it as NAME=FOLDER"),
        (["--file", "a="], "--file a=: write it as NAME=FILE"),
        (["--file", "a=x", "--file", "a=y"], "--file a=y: the name a is that of x; choose another"),
        (["a\x1b[2J\n"], "a\\x1b[2J\\n: write it"),
    ],
)
def test_other_forms_are_refused_in_one_line(arguments, said):
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2 and said in result.output and result.output.count("\n") == 1
