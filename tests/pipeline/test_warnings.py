"""Warnings appear beyond their limits, and only then."""

import json
from dataclasses import replace

import numpy as np

from pipeline.results import Measured
from pipeline.warnings import face_warnings, load_calibration, worn_shares
from postprocess.parsing import CLASSES

LIMITS = {
    "plain": {"lpips": 0.05, "identity": 0.6},
    "tuned": {"lpips": 0.03, "identity": 0.6},
    "yaw": 40,
    "restored": {"identity": 0.3},
}
FINE = Measured(
    face=0,
    box=None,
    quad=[],
    side=250.0,
    size=128,
    yaw=-39.0,
    seconds=1.0,
    tuned=False,
    detail=0.0,
    lpips=0.04,
    identity=0.5,
    registration={},
    hidden=0.0,
    worn={"eye_g": 0.0, "hat": 0.0},
)


def test_nothing_to_warn_of():
    assert face_warnings(FINE, LIMITS) == []
    assert face_warnings(replace(FINE, lpips=9, identity=9, yaw=90), {}) == []  # not calibrated
    assert face_warnings(replace(FINE, yaw=None), LIMITS) == []  # no landmarks


def test_each_warning():
    for change, words in (
        ({"tuned": True}, "poor reconstruction (LPIPS 0.040, usual up to 0.030)"),  # tuning comes closer
        ({"detail": 1.0, "side": 999.0}, "may not be the same person (dlib distance 0.50, usual up to 0.30"),
        ({"lpips": 0.06}, "poor reconstruction (LPIPS 0.060, usual up to 0.050)"),
        ({"identity": 0.7}, "may not be the same person (dlib distance 0.70"),
        ({"yaw": -41.0}, "turned by 41 degrees"),
        ({"side": 257.0}, "draws 128: expect a soft result"),
        ({"hidden": 0.06}, "in front of the face (6 %"),
        ({"worn": {"eye_g": 0.01, "hat": 0.0}}, "eyeglasses found"),
        ({"worn": {"eye_g": 0.0, "hat": 0.1}}, "a hat found"),
    ):
        (warning,) = face_warnings(replace(FINE, **change), LIMITS)
        assert words in warning


def test_worn_shares_and_calibration_file(tmp_path):
    labels = np.zeros((10, 10), int)
    labels[:2] = CLASSES.index("hat")
    assert worn_shares(labels) == {"eye_g": 0.0, "hat": 0.2}
    assert load_calibration(tmp_path) == {}
    (tmp_path / "calibration.json").write_text(json.dumps({"limits": LIMITS, "how": "by hand"}))
    assert load_calibration(tmp_path) == LIMITS
