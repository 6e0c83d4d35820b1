"""Numbers on the command line; click's ranges let NaN pass."""

import math

import click


def finite(context, parameter, value):
    """The callback of an option that takes a number or None."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no number")
    return value
