"""One tiny person, drawn by Blender."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("bpy", reason="Blender as a module is not installed: pip install -e .[render]")
MAKEHUMAN = Path(__file__).resolve().parents[2].parent / "shared" / "makehuman"


@pytest.fixture(scope="module")
def makehuman(tmp_path_factory):
    archives = sorted(MAKEHUMAN.glob("*.tar.xz"))
    if not archives:
        pytest.skip("MakeHuman's files are not here")
    folder = tmp_path_factory.mktemp("makehuman")
    for archive in archives:
        with tarfile.open(archive) as file:
            file.extractall(folder, filter="data")
    return folder


def test_one_person(makehuman, tmp_path):
    from avatars.draw import Studio, matched, pair

    studio = Studio(makehuman, makehuman, size=48, samples=2, seed=2026, glasses=1, hats=1)
    record = pair(studio, 3, tmp_path / "a")
    assert record["id"] == "000003" and record["glasses"] and record["hat"]
    labels = np.asarray(Image.open(tmp_path / "a/parsing/000003.png"))
    assert {0, 1, 6, 10, 12, 13, 16, 17, 18} <= set(np.unique(labels))  # glasses and hat among them
    assert labels[24, 24] in (1, 6, 10)
    pictures = [np.asarray(Image.open(tmp_path / f"a/{look}/000003.jpg")) for look in ("rendered", "real")]
    assert all(picture.shape == (48, 48, 3) and picture.std() > 20 for picture in pictures)
    assert np.abs(pictures[0].astype(int) - pictures[1]).mean() > 5

    assert pair(studio, 3, tmp_path / "b") == record  # byte by byte
    for file in (tmp_path / "a").rglob("*.*"):
        assert file.read_bytes() == (tmp_path / "b" / file.relative_to(tmp_path / "a")).read_bytes()

    matched(studio, 3, tmp_path / "a")
    true = np.asarray(Image.open(tmp_path / "a/matched/000003.jpg")).astype(int)
    border = labels == 0
    border[4:] = False  # the top rows: backdrop only, the same as in the rendered picture
    if border.any():
        assert np.abs(true - pictures[0])[border].mean() < 6
