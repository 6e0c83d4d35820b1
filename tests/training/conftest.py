import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder of ten smooth 32x32 pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for i in range(10):
        base = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(base).resize((32, 32), Image.Resampling.BICUBIC).save(folder / f"{i:03d}.png")
    return folder


@pytest.fixture(scope="session")
def weights_of():
    """Function: path of a snapshot -> {"network.name": tensor}."""
    import stylegan2.checkpoints

    def read(path):
        networks = stylegan2.checkpoints.load(path)
        return {f"{n}.{k}": v for n, network in networks.items() for k, v in network.state_dict().items()}

    return read
