"""What a user should look at twice: warnings the paper lacks, with limits measured on faces of known truth.

The limits belong to a set of weights: `calibration.json` beside them (scripts/study/calibrate_warnings.py) says what
95 % of well-made results stay below. Weights without that file give only the warnings that need no calibration.
"""

import json

from postprocess.parsing import CLASSES

HALF = 0.5  # of the detail: from here on a picture counts as restored, not redrawn
MUCH_HIDDEN = 0.05  # of the face
WORN = {"eye_g": (0.004, "eyeglasses"), "hat": (0.03, "a hat")}  # share of the crop from where on it is there


def load_calibration(folder):
    """Limits of a weights folder, or {}: {"plain": {"lpips", "identity"}, "tuned": {...}, "restored": {...}, "yaw"},
    for faces redrawn without and with pivotal tuning, and for pictures that keep their detail."""
    try:
        limits = json.loads((folder / "calibration.json").read_text())["limits"]
        kinds = {name: _numbers(value) for name, value in limits.items() if isinstance(value, dict)}
        return _numbers(limits) | kinds
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _numbers(values):
    return {name: value for name, value in values.items() if type(value) in (int, float)}


def face_warnings(measured, limits):
    """Sentences about one face, from its results.Measured. limits: of `load_calibration`."""
    warnings = []
    kind = "restored" if measured.detail >= HALF else "tuned" if measured.tuned else "plain"
    limits = limits | limits.get(kind, {})
    if measured.lpips > limits.get("lpips", float("inf")):
        warnings.append(
            f"poor reconstruction (LPIPS {measured.lpips:.3f}, usual up to {limits['lpips']:.3f}): the result may "
            "not be the same person"
        )
    if measured.identity > limits.get("identity", float("inf")):
        warnings.append(
            f"the result may not be the same person (dlib distance {measured.identity:.2f}, usual up to "
            f"{limits['identity']:.2f})"
        )
    if measured.yaw is not None and abs(measured.yaw) > limits.get("yaw", float("inf")):
        warnings.append(
            f"the face is turned by {abs(measured.yaw):.0f} degrees, further than the generators know "
            f"({limits['yaw']:.0f})"
        )
    if measured.side > 2 * measured.size and measured.detail < HALF:
        warnings.append(
            f"the face is {measured.side:.0f} pixels wide but the generator draws {measured.size}: expect a soft "
            "result"
        )
    if measured.hidden > MUCH_HIDDEN:
        warnings.append(
            f"something lies in front of the face ({100 * measured.hidden:.0f} % of it): look at the mask"
        )
    for name, (share, words) in WORN.items():
        if measured.worn[name] > share:
            warnings.append(f"{words} found: the generators may not know that")
    return warnings


def worn_shares(labels):
    """{class: share of a parsed crop [S, S]} of what WORN names."""
    return {name: float((labels == CLASSES.index(name)).mean()) for name in WORN}
