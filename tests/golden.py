"""Where the reference numbers lie, and how a test compares with them."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

SHARED = Path(__file__).resolve().parents[1].parent / "shared"
DATA = Path(__file__).resolve().parent / "data"
device = "cpu"  # where `arrays` puts its tensors


def path(name):
    """A golden file: the small copies in tests/data first, else the shared folder, else the test is skipped."""
    for folder in (DATA / "golden", SHARED / "golden"):
        if (folder / name).is_file():
            return folder / name
    pytest.skip(f"golden file {name} is not here (it comes with the shared folder)", allow_module_level=True)


def arrays(name):
    """name -> float32 tensor of an .npz (other types as they are)."""
    with np.load(path(name)) as file:
        tensors = {k: torch.from_numpy(v.astype(np.float32) if v.dtype == np.float16 else v) for k, v in file.items()}
    return {name: tensor.to(device) for name, tensor in tensors.items()}


def facts(name):
    return json.loads(path(name).read_text())


def n(name, shape):
    """The deterministic value recipe of the golden set: normal numbers seeded with the name's CRC-32."""
    values = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(tuple(shape))
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def assert_close(actual, expected, relative=1e-5, absolute=0.0):
    """Largest difference at most `relative` of the largest expected value (or `absolute` when that is more)."""
    assert actual.shape == expected.shape
    limit = max(relative * expected.abs().max().item(), absolute, 1e-12)
    difference = (actual.detach().to(expected.device) - expected).abs().max().item()
    assert difference <= limit, f"differs by {difference:.3g}, allowed {limit:.3g}"
