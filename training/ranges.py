"""Which values a configuration key may have, written beside its type: `batch: Annotated[int, Within(1, 64)] = 32`."""

import math
import reprlib
import types
import typing
from dataclasses import dataclass


@dataclass(frozen=True)
class Within:
    """Numbers from `low` (`above`: without it) to `high`, and the number `also`."""

    low: float
    high: float = 1e9
    above: bool = False
    also: float | None = None

    def __contains__(self, value):
        return value == self.also or (self.low < value if self.above else self.low <= value) and value <= self.high

    def __str__(self):
        start = f"above {self.low:g}, at most" if self.above else f"from {self.low:.10g} to"
        return ("" if self.also is None else f"{self.also:g} or ") + f"{start} {self.high:.10g}"


@dataclass(frozen=True)
class OneOf:
    values: tuple

    def __contains__(self, value):
        return value in self.values

    def __str__(self):
        return "one of " + ", ".join(map(str, self.values))


def converted(value, annotation):
    """`value`, as YAML gave it, as the type of the annotation: YAML reads 5e-6 as text, and 10 as an int where a float
    is meant. Raises ValueError, saying what is wanted."""
    kind, rules, optional = _parts(annotation)
    if value is None and optional:
        return None
    try:
        result = _number_or_text(value, kind)
        if all(result in rule for rule in rules):
            return result
    except (TypeError, ValueError, OverflowError):
        pass
    name = "text (in quotes where YAML takes it for something else)" if kind is str and not rules else kind.__name__
    wanted = " ".join([name, *map(str, rules)])
    shown = reprlib.repr(value) if isinstance(value, list | dict) else repr(value)  # aliases may stand for billions
    shown = shown if len(shown) < 60 else shown[:57] + "..."
    raise ValueError(f"must be {wanted}{' or null' if optional else ''}, got {shown}")


def is_text(annotation):
    """Whether a key of that annotation takes text."""
    return _parts(annotation)[0] is str


def _number_or_text(value, kind):
    if kind in (str, bool):
        if not isinstance(value, kind) or value == "" or "\0" in str(value):
            raise ValueError
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError
    number = float(value)
    if not math.isfinite(number) or kind is int and number != int(number):
        raise ValueError
    return int(number) if kind is int else number


def _parts(annotation):
    """(type, [rules], whether None is one of its values)."""
    optional = False
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        annotation = next(part for part in typing.get_args(annotation) if part is not type(None))
        optional = True
    if typing.get_origin(annotation) is typing.Annotated:
        kind, *rules = typing.get_args(annotation)
        return kind, rules, optional
    return annotation, [], optional
