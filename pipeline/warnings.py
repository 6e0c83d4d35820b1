"""What a user should look at twice: warnings the paper lacks, with limits measured on faces of known truth.

The limits belong to a set of weights: `calibration.json` beside them (scripts/study/calibrate_warnings.py) says what
95 % of well-made results stay below. Weights without that file give only the warnings that need no calibration.
"""

import math

from postprocess.parsing import CLASSES
from weights.files import read_json

KINDS = ("plain", "tuned", "restored")

HALF = 0.5  # of the detail: from here on a picture counts as restored, not redrawn
MUCH_HIDDEN = 0.05  # of the face
ALIKE = 0.7  # correlation of an edited face with the picture's from where on it lies where it should
WORN = {"eye_g": (0.004, "eyeglasses"), "hat": (0.03, "a hat")}  # share of the crop from where on it is there


def load_calibration(folder):
    """Limits of a weights folder, or {}: {"plain": {"lpips", "identity"}, "tuned": {...}, "restored": {...}, "yaw"},
    for faces redrawn without and with pivotal tuning, and for pictures that keep their detail. What is no finite number
    in a damaged file is left out: there is no warning by it."""
    try:
        limits = dict(read_json(folder / "calibration.json")["limits"])
    except (ValueError, KeyError, TypeError):
        return {}
    kinds = {kind: _numbers(limits[kind]) for kind in KINDS if isinstance(limits.get(kind), dict)}
    return {name: value for name, value in _numbers(limits).items() if name not in KINDS} | kinds


def _numbers(limits):
    return {name: value for name, value in limits.items() if type(value) in (int, float) and math.isfinite(value)}


def face_warnings(measured, limits):
    """Sentences about one face, from its results.Measured. limits: of `load_calibration`."""
    if measured.edited is not None:
        return edited_warnings(measured, limits)
    warnings = []
    kind = "restored" if measured.detail >= HALF else "tuned" if measured.tuned else "plain"
    limits = limits | limits.get(kind, {})  # of a restored face none of LPIPS: its identity is the picture's own
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
            f"the face is {measured.side:.0f} pixels wide but the generator draws {measured.size}: expect a soft result"
        )
    if measured.hidden > MUCH_HIDDEN:
        warnings.append(f"something lies in front of the face ({100 * measured.hidden:.0f} % of it): look at the mask")
    for name, (share, words) in WORN.items():
        if measured.worn[name] > share:
            warnings.append(f"{words} found: the generators may not know that")
    return warnings


def edited_warnings(measured, limits):
    """Sentences about a face whose portrait was made elsewhere."""
    from metrics.identity import SAME_PERSON

    warnings = []
    limit = limits.get("restored", {}).get("identity", SAME_PERSON)
    if measured.identity > limit:
        warnings.append(
            f"the result may not be the same person (dlib distance {measured.identity:.2f}, usual up to {limit:.2f})"
        )
    agreement = measured.registration["agreement"]
    if agreement < ALIKE:
        warnings.append(
            f"the edited face hardly resembles the picture's (correlation {agreement:.2f}): look whether it lies right"
        )
    if measured.hidden > MUCH_HIDDEN:
        warnings.append(f"something lies in front of the face ({100 * measured.hidden:.0f} % of it): look at the mask")
    return warnings


def worn_shares(labels):
    """{class: share of a parsed crop [S, S]} of what WORN names."""
    return {name: float((labels == CLASSES.index(name)).mean()) for name in WORN}
