from pathlib import Path

import pytest
from relief import front_camera, make_relief

CASES = Path(__file__).resolve().parents[2] / "../shared/texture"


@pytest.fixture(scope="session")
def case0():
    """The folder of the first shared case; skips where it is absent."""
    if not (CASES / "case0/head.obj").is_file():
        pytest.skip("../shared/texture is not here")
    return CASES / "case0"


@pytest.fixture
def relief():
    return make_relief()


@pytest.fixture
def camera():
    return front_camera()
