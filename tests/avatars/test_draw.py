"""One tiny person, drawn by Blender."""

import json
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


def test_one_texture_case(makehuman, tmp_path):
    """The head drawn with its true texture is the photograph, where the photograph shows its skin."""
    from avatars import texture_case as cases
    from avatars.draw import Studio

    studio = Studio(makehuman, makehuman, size=64, samples=2, seed=7788)
    record = cases.texture_case(studio, 0, tmp_path, size=128)
    folder = tmp_path / "case0"
    assert {path.name for path in folder.iterdir()} == set(cases.CASE) and record["spoilt"] == "flat"
    read = {path.stem: np.asarray(Image.open(path)) for path in folder.glob("*.png")}
    assert all(read[name].shape == (128, 128, 3) for name in ("texture_true", "texture_initial"))
    visible, regions = read["visible"] > 0, read["regions"]
    assert set(np.unique(regions)) == {0, 1, 2, 3, 4, 5, 6} and 0.02 < visible.mean() < 0.4  # bald: no scalp
    assert (regions[visible] > 0).all()
    rendered, photo = read["rendered"].astype(float), read["photo"].astype(float)
    face = np.s_[30:44, 24:40]  # around the nose
    assert np.abs(rendered - photo)[face].mean() < 25
    error = np.abs(read["texture_initial"].astype(float) - read["texture_true"]).mean(2)
    assert 3 < error[visible].mean() < 80

    uv = [line.split()[1:] for line in (folder / "head.obj").read_text().splitlines() if line.startswith("vt ")]
    assert np.array(uv, float).min() > 0 and np.array(uv, float).max() < 1
    camera = json.loads((folder / "camera.json").read_text())
    vertices = [line.split()[1:] for line in (folder / "head.obj").read_text().splitlines() if line.startswith("v ")]
    x, y, z = (np.c_[np.array(vertices, float), np.ones(len(vertices))] @ np.array(camera["world_to_camera"]).T).T
    column, row = camera["fx"] * x / z + camera["cx"], camera["fy"] * y / z + camera["cy"]
    drawn = np.argwhere(rendered.any(2))
    assert abs(row.min() - drawn[:, 0].min()) < 2  # the crown
    above, shown = row < 36, drawn[:, 0] < 36  # the neck reaches out of the picture
    assert abs(column[above].min() - drawn[shown, 1].min()) < 2 and abs(column[above].max() - drawn[shown, 1].max()) < 2
