"""What is drawn: one line an interval, nothing where there is none."""

import numpy as np
import pytest
from PIL import Image

from metrics.tables import Number


def test_intervals(tmp_path):
    pytest.importorskip("matplotlib", reason="the extra `tables` is not installed")
    from metrics.plots import plot_intervals

    def blue(rows):
        plot_intervals(tmp_path / "plot.png", "title", ["LPIPS", "no face"], rows, zero=True)
        pixels = np.asarray(Image.open(tmp_path / "plot.png").convert("RGB")).astype(int)
        return int((pixels[..., 2] - pixels[..., 0] > 80).sum())

    row, empty = {"LPIPS": Number(0.5, 0.4, 0.6, 3), "no face": 2}, {"LPIPS": None}
    assert blue({"a": empty, "b": empty}) == 0 < blue({"a": row, "b": empty}) < blue({"a": row, "b": row})
