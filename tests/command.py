"""project.py as a user calls it."""

from click.testing import CliRunner

import project


def run(*arguments):
    return CliRunner().invoke(project.main, [str(a) for a in arguments])
