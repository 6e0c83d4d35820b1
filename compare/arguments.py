"""Arguments and options of the form NAME=PATH, in all commands that compare things alike."""

from pathlib import Path

import click

from alignment.text import shown


def named_paths(context, parameter, values):
    """The callback of such a parameter: ("NAME=PATH", ...) -> {NAME: Path}, in order. Raises ClickException when one is
    written differently or a name comes twice; the parameter's metavar says what the path is of."""
    found = {}
    for value in values:
        name, _, path = value.partition("=")
        where = shown(f"{parameter.opts[0]} {value}" if isinstance(parameter, click.Option) else value)
        if not (name and path):
            raise refusal(f"{where}: write it as {parameter.metavar.rstrip('.')}")
        if name in found:
            raise refusal(f"{where}: the name {shown(name)} is that of {shown(found[name])}; choose another")
        found[name] = Path(path)
    return found


def refusal(message):
    """A ClickException whose exit code says that nothing was done."""
    error = click.ClickException(message)
    error.exit_code = 2
    return error
