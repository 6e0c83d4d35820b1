"""One table, three files: Markdown to read, CSV to plot, JSON with every number behind it."""

import csv
import json
import math
from dataclasses import asdict, is_dataclass

from alignment.text import cell, markdown
from weights.files import written_atomically

from .intervals import Number


def write_table(out, caption, columns, rows, facts, published=None):
    """Write `table.md`, `table.csv` and `results.json` into the folder `out`; returns the Markdown.

    caption: Markdown; what comes from elsewhere in it has been through alignment.text.markdown. columns: headings.
    rows: {row name: {heading: Number, plain value or None}}; what was not measured is left empty. published: {row name:
    {heading: value}}, the paper's own numbers: they follow ours as rows "paper: NAME". facts: the rest of the JSON
    (seed, steps, {network: SHA-256}, versions, the values of single pictures).

    Names and headings may hold anything: in the Markdown they are text, in the CSV never a formula. The JSON says null
    where a number is not finite.
    """
    published = {f"paper: {name}": values for name, values in (published or {}).items()}
    lines = [_line([None, *columns]), "| --- " * (len(columns) + 1) + "|"]
    for name, values in (rows | published).items():
        lines.append(_line([name, *(values.get(column) for column in columns)]))
    text = f"{caption}\n\n" + "\n".join(lines) + "\n"
    report = {"caption": caption, "rows": rows, "published": published, **facts}
    with written_atomically(out / "table.md") as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    with written_atomically(out / "table.csv") as unfinished:
        with open(unfinished, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            parts = ("mean", "low", "high")
            writer.writerow(["", *(cell(f"{column} {part}") for column in columns for part in parts)])
            for name, values in (rows | published).items():
                writer.writerow([cell(name), *(part for column in columns for part in _three(values.get(column)))])
    with written_atomically(out / "results.json") as unfinished:
        unfinished.write_text(json.dumps(as_json(report), indent=1, allow_nan=False))
    return text


def as_json(value):
    """`value` of dictionaries, lists, dataclasses and numbers as JSON has it: null for what is not finite."""
    if is_dataclass(value):
        value = asdict(value)
    if isinstance(value, dict):
        return {key: as_json(inside) for key, inside in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(inside) for inside in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _line(cells):
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(value):
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return markdown(value) if isinstance(value, str) else str(value)


def _three(value):
    if isinstance(value, Number):
        return value.mean, value.low, value.high
    return (cell(value) if isinstance(value, str) else value), None, None
