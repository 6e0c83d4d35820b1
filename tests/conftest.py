import os
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))  # so that tests can `import golden`
torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else min(2, torch.get_num_threads()))

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def samples():
    return ROOT / "samples"


@pytest.fixture
def small_generator():
    """A random 32x32 generator, the same in every test."""
    from stylegan2 import Generator

    torch.manual_seed(0)
    generator = Generator(16, 0, 16, 32, 3, {"num_layers": 2}, {"channel_base": 256, "channel_max": 16})
    return generator.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory):
    """A folder with the four weight files project.py needs: random networks at 32x32 that run in milliseconds."""
    import weights
    from losses.perceptual import PerceptualNetwork
    from postprocess.parsing import BiSeNet
    from stylegan2 import Generator, checkpoints

    folder = tmp_path_factory.mktemp("bundle")
    torch.manual_seed(1)
    widths = {"channel_base": 256, "channel_max": 16}
    for name in ("g_real", "g_rendering"):
        generator = Generator(16, 0, 16, 32, 3, {"num_layers": 2}, widths)
        checkpoints.save(folder / f"{name}.safetensors", {"G_ema": generator})
    perceptual = PerceptualNetwork([4, 8], [1, 1])
    weights.save(
        folder / "perceptual.safetensors", perceptual.state_dict(), kind="perceptual", config=perceptual.config
    )
    parser = BiSeNet(width=4, resolution=64)
    config = {"n_classes": 19, "width": 4, "resolution": 64}
    weights.save(folder / "parser.safetensors", parser.state_dict(), kind="parser", config=config)
    return folder
