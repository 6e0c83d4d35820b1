"""What is drawn: one line an interval, from low to high, nothing where there is none."""

import pytest

from compare.intervals import Number


def test_intervals(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="the extra `tables` is not installed")
    import matplotlib.pyplot as plt

    from compare.plots import plot_intervals

    figures = []
    monkeypatch.setattr(plt, "close", figures.append)
    rows = {"a": {"LPIPS": Number(0.5, 0.4, 0.6, 3), "no face": 2}, "b": {"LPIPS": None}}
    plot_intervals(tmp_path / "plot.png", "title", ["LPIPS", "no face"], rows)
    lpips, counts = figures[0].axes
    interval, mean = lpips.lines
    assert interval.get_xydata().tolist() == [[0.4, 0], [0.6, 0]] and mean.get_xydata().tolist() == [[0.5, 0]]
    assert not counts.lines and [label.get_text() for label in lpips.get_yticklabels()] == ["a", "b"]
    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_names_are_no_formulas(tmp_path):
    pytest.importorskip("matplotlib", reason="the extra `tables` is not installed")
    from compare.plots import plot_intervals

    names = ("$\\frac{1$", "$x^2$", "a\x1b[2J\n", "\udc80")
    rows = {name: {"LPIPS": Number(0.5, 0.4, 0.6, 3)} for name in names}
    plot_intervals(tmp_path / "plot.png", "a $\\title$ {", ["LPIPS", "$\\sum$"], rows)
    assert (tmp_path / "plot.png").stat().st_size > 1000
