"""One table, three files: Markdown to read, CSV to plot, JSON with every number behind it."""

import csv
import json
from dataclasses import asdict

from weights.files import written_atomically

from .intervals import Number


def write_table(out, caption, columns, rows, facts, published=None):
    """Write `table.md`, `table.csv` and `results.json` into the folder `out`; returns the Markdown.

    columns: headings. rows: {row name: {heading: Number, plain value or None}}; what was not measured is left empty.
    published: {row name: {heading: value}}, the paper's own numbers: they follow ours as rows "paper: NAME". facts: the
    rest of the JSON (seed, steps, {network: SHA-256}, versions, the values of single pictures).
    """
    published = {f"paper: {name}": values for name, values in (published or {}).items()}
    lines = [f"| | {' | '.join(columns)} |", "| --- " * (len(columns) + 1) + "|"]
    for name, values in (rows | published).items():
        lines.append(f"| {name} | {' | '.join(_cell(values.get(column)) for column in columns)} |")
    markdown = f"{caption}\n\n" + "\n".join(lines) + "\n"

    def plain(value):
        return asdict(value) if isinstance(value, Number) else value

    report = {
        "caption": caption,
        "rows": {name: {column: plain(value) for column, value in values.items()} for name, values in rows.items()},
        "published": published,
        **facts,
    }
    with written_atomically(out / "table.md") as unfinished:
        unfinished.write_text(markdown)
    with written_atomically(out / "table.csv") as unfinished, open(unfinished, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["", *(f"{column} {part}".strip() for column in columns for part in ("mean", "low", "high"))])
        for name, values in (rows | published).items():
            writer.writerow([name, *(part for column in columns for part in _three(values.get(column)))])
    with written_atomically(out / "results.json") as unfinished:
        unfinished.write_text(json.dumps(report, indent=1))
    return markdown


def _cell(value):
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _three(value):
    return (value.mean, value.low, value.high) if isinstance(value, Number) else (value, None, None)
