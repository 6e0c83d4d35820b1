"""From values of single pictures to rows: what is missing is left out and counted, differences are paired."""

import numpy as np
import pytest
import torch

from compare.paired.measures import COLUMNS, FAILURES, SET_COLUMN, Measured, table_rows

NAN = float("nan")


def measured(landmarks, shift=0.0):
    hard = np.random.default_rng(0).exponential(size=len(landmarks))
    values = {column: hard + shift for column in COLUMNS} | {"landmarks": np.array(landmarks)}
    values[FAILURES] = np.isnan(landmarks).astype(float)
    random = torch.Generator().manual_seed(0)
    features = torch.randn([len(landmarks), 6], generator=random, dtype=torch.float64) + shift
    return Measured(values, features)


def test_rows_and_paired_differences():
    ours, other = measured([0.1, 0.2, NAN, 0.4], 0.5), measured([0.1, NAN, 0.3, 0.1])
    real = torch.randn([50, 6], generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rows, differences = table_rows({"ours": ours, "other": other, "truth": other}, real)
    assert rows["ours"]["landmarks"].count == 3 and rows["ours"]["landmarks"].mean == pytest.approx(0.7 / 3)
    assert rows["ours"][FAILURES] == rows["other"][FAILURES] == 1
    assert list(differences) == ["ours - other"]
    row = differences["ours - other"]
    assert row["landmarks"].count == 2 and row["landmarks"].mean == pytest.approx(
        0.15
    )  # the first and the last picture
    assert row["LPIPS"].mean == pytest.approx(0.5) and row["LPIPS"].high - row["LPIPS"].low < 1e-9
    assert rows["ours"]["LPIPS"].high - rows["ours"]["LPIPS"].low > 0.3
    width = row[SET_COLUMN].high - row[SET_COLUMN].low
    assert width < rows["ours"][SET_COLUMN].high - rows["ours"][SET_COLUMN].low
    assert row[SET_COLUMN].mean == pytest.approx(rows["ours"][SET_COLUMN].mean - rows["other"][SET_COLUMN].mean)


def test_a_measure_that_no_picture_has():
    rows, differences = table_rows({"ours": measured([NAN, NAN]), "other": measured([0.1, 0.2])})
    assert rows["ours"]["landmarks"] is None and differences["ours - other"]["landmarks"] is None
    assert rows["ours"][FAILURES] == 2 and SET_COLUMN not in rows["ours"]
