"""The files of a paired comparison: table.md, table.csv, results.json, intervals.png, differences.png, sheet.png."""

from dataclasses import asdict

import numpy as np

from alignment import write_png
from alignment.evenly import evenly
from alignment.sheet import contact_sheet
from compare.tables import write_table

from .measures import COLUMNS, FAILURES, SET_COLUMN

SHEET_ROWS = 8
TILE = 160  # pixels


def write_report(out, caption, tables, measured, systems, sheet, names, facts):
    """Write all files into `out`; returns (the table in Markdown, notes on what was left out).

    tables: rows and differences of table_rows. measured: {name: Measured}. systems: {name: System}. sheet: {name: the
    pictures of sheet_rows(names)}, its columns from left to right. facts: more for the JSON.
    """
    rows, differences = tables
    used = [column for column in (*COLUMNS, SET_COLUMN, FAILURES) if any(column in row for row in rows.values())]
    values = {
        name: {column: [None if np.isnan(v) else v for v in numbers.tolist()] for column, numbers in m.values.items()}
        for name, m in measured.items()
    }
    facts = facts | {
        "names": names,
        "systems": {name: asdict(system) for name, system in systems.items()},
        "values": values,
    }
    markdown = write_table(out, caption, used, rows | differences, facts)
    rows_shown = [list(zip(sheet, pictures, strict=True)) for pictures in zip(*sheet.values(), strict=True)]
    write_png(out / "sheet.png", contact_sheet(rows_shown, tile=TILE))
    return markdown, draw(out, rows, differences, [column for column in used if column != FAILURES], names)


def sheet_rows(names):
    """Which of the portraits the sheet shows: indices, evenly spread."""
    return evenly(range(len(names)), SHEET_ROWS)


def draw(out, rows, differences, columns, names):
    """intervals.png and differences.png; returns a list of notes."""
    from compare.plots import plot_intervals

    title = f"{len(names)} portraits, mean and 95 % bootstrap interval"
    try:
        plot_intervals(out / "intervals.png", title, columns, rows)
        if differences:
            plot_intervals(out / "differences.png", f"paired differences; {title}", columns, differences, zero=True)
    except ImportError:
        return ["no plots: matplotlib is missing (pip install -e .[tables])"]
    return []
