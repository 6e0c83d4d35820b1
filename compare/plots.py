"""Measured means with their intervals as pictures; matplotlib is in the optional extra `tables`."""

from contextlib import contextmanager

from alignment.text import shown
from weights.files import written_atomically

from .intervals import Number


@contextmanager
def drawing(path, down=1, across=1, **layout):
    """Yields (figure, axes [down, across]), saved to the PNG `path` when the block ends. No text in them is read as a
    formula. layout: of matplotlib's subplots. Raises ImportError without matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with matplotlib.rc_context({"text.parse_math": False}):
        figure, axes = plt.subplots(down, across, squeeze=False, **layout)
        try:
            yield figure, axes
            figure.tight_layout()
            with written_atomically(path) as unfinished:
                figure.savefig(unfinished, dpi=110)
        finally:
            plt.close(figure)


def plot_intervals(path, title, columns, rows, zero=False):
    """One panel a column, one line a row of {row: {column: Number}}, to the PNG `path`; what is no Number is left out.
    zero: mark 0, for differences. Raises ImportError without matplotlib."""
    across = min(4, len(columns))
    down = -(-len(columns) // across)
    size = (3 * across + 1, down * (0.28 * len(rows) + 0.9) + 0.4)
    with drawing(path, down, across, figsize=size, sharey=True) as (figure, axes):
        for axis in axes.flat[len(columns) :]:
            axis.set_axis_off()
        for axis, column in zip(axes.flat, columns, strict=False):
            for position, values in enumerate(rows.values()):
                value = values.get(column)
                if isinstance(value, Number):
                    axis.plot([value.low, value.high], [position] * 2, color="tab:blue", linewidth=2)
                    axis.plot(value.mean, position, "o", color="tab:blue", markersize=4)
            if zero:
                axis.axvline(0, color="grey", linewidth=0.8)
            axis.set_yticks(range(len(rows)), [shown(name, 60) for name in rows])
            axis.set_ylim(len(rows) - 0.5, -0.5)
            axis.set_title(column, fontsize=9)
            axis.tick_params(labelsize=8)
            axis.locator_params(axis="x", nbins=5)
        figure.suptitle(title, fontsize=10)
