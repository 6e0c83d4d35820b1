import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

DATA = Path(__file__).resolve().parents[1] / "data" / "alignment"
INPUTS = Path(__file__).resolve().parents[2] / "../shared/inputs"


def load(name):
    return np.asarray(Image.open(DATA / name).convert("RGB"))


@pytest.fixture(scope="session")
def golden():
    """The FFHQ facts: align.json, and every case as (picture, landmarks, quad, size, expected crop)."""
    facts = json.loads((DATA / "align.json").read_text())
    source, landmarks = load("align_source.png"), np.array(facts["landmarks"], np.float64)
    cases = {}
    for output in facts["outputs"]:
        size = output["output_size"]
        cases[f"plain{size}"] = (source, landmarks, np.array(output["quad"]), size, load(f"align_out_{size}.png"))
    for name, size in (("pad", 192), ("shrink", 40)):
        case = facts["extra_cases"][name]
        quad = np.array(case["outputs"][0]["quad"])
        points = np.array(case["landmarks"], np.float64)
        cases[name] = (load(case["source"]), points, quad, size, load(f"align_{name}_out_{size}.png"))
    boxes = {
        "align_source.png": facts["detector_box_ltrb"],
        "align_pad_source.png": facts["extra_cases"]["pad"]["detector_box_ltrb"],
    }
    return {"cases": cases, "boxes": boxes}


@pytest.fixture(scope="session")
def inputs():
    """(name, uint8 [H, W, 3], manifest entry) of the shared avatar pictures; skips where they are absent."""
    manifest = INPUTS / "manifest.json"
    if not manifest.is_file():
        pytest.skip("the shared input pictures are not at hand")
    files = json.loads(manifest.read_text())["files"]
    return [(name, np.asarray(Image.open(INPUTS / name).convert("RGB")), entry) for name, entry in files.items()]
