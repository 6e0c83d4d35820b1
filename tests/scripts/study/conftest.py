import numpy as np
import pytest
from PIL import Image

IDS = [f"{i:03d}" for i in range(30)]
EVALUATED = IDS[-4:]


@pytest.fixture
def data(tmp_path):
    """A folder laid out like shared/avatars, of noise at 32x32: `rendered` is smooth, the photo look is not."""
    folder = tmp_path / "data"
    for look in ("rendered", "real", "matched", "parsing"):
        (folder / look).mkdir(parents=True)
    labels = np.zeros((32, 32), np.uint8)
    labels[4:28, 4:28], labels[8:24, 8:24] = 17, 1  # hair around skin
    for i, name in enumerate(IDS):
        noise = np.random.default_rng(i).integers(0, 256, (32, 32, 3), np.uint8)
        smooth = Image.fromarray(noise).resize((8, 8)).resize((32, 32), Image.Resampling.BICUBIC)
        smooth.save(folder / "rendered" / f"{name}.png")
        Image.fromarray(noise).save(folder / "real" / f"{name}.png")
        Image.fromarray(labels).save(folder / "parsing" / f"{name}.png")
        if name in EVALUATED:
            Image.fromarray(noise // 2 + 64).save(folder / "matched" / f"{name}.png")
    return folder


@pytest.fixture
def short(monkeypatch):
    """Presets of one step each, and an embedding that finds a face in everything."""
    from inversion import Schedule, Tuning
    from pipeline.presets import AS_PUBLISHED, PRESETS, Finish, Preset

    for name in PRESETS:
        monkeypatch.setitem(PRESETS, name, Preset(Schedule(1, tuning=Tuning(1, lr=1e-3)), Finish()))
    monkeypatch.setitem(PRESETS, "paper", Preset(Schedule(1), AS_PUBLISHED))
    monkeypatch.setattr("metrics.identity.embedding", lambda pixels, box=None: pixels[:8, :8].ravel() / 255)
