"""The table of textures on a tiny case: every method is measured, right ones score 0, a second run measures nothing."""

import json

import numpy as np
import pytest
import trimesh
from click.testing import CliRunner
from PIL import Image
from relief import front_camera, make_relief, smooth_texture

import alignment
from alignment.detect import Face
from scripts.paper import table_texture
from texture import skin
from texture.camera import write_camera
from texture.rasterize import render_picture


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A folder of one case, half of it turned away, and a parser that sees skin everywhere."""
    folder = tmp_path / "data/case0"
    folder.mkdir(parents=True)
    mesh, camera, true = make_relief(8, depth=1.2), front_camera(96, right=40), smooth_texture(64)
    visual = trimesh.visual.TextureVisuals(uv=mesh.uv, material=trimesh.visual.material.SimpleMaterial())
    trimesh.Trimesh(mesh.vertices, mesh.faces, visual=visual, process=False).export(folder / "head.obj")
    write_camera(folder / "camera.json", camera)
    Image.fromarray(render_picture(mesh, camera, true)).save(folder / "photo.png")
    Image.fromarray(true).save(folder / "texture_true.png")
    Image.fromarray((true * 0.6 + 40).astype(np.uint8)).save(folder / "texture_initial.png")
    regions = np.ones([64, 64], np.uint8)
    regions[:8], regions[:, :4] = table_texture.SCALP, 0
    palette = Image.fromarray(regions)
    palette.putpalette(range(24))
    palette.save(folder / "regions.png")
    seen = np.zeros([64, 64], np.uint8)
    seen[:, :32] = 255
    Image.fromarray(seen).save(folder / "visible.png")
    monkeypatch.setattr(skin, "skin_mask", lambda picture, parser: np.ones(picture.shape[:2], bool))
    return folder.parent


def call(data, out, *more):
    options = ["--data", data, "--out", out, "--rounds", 1, "--iterations", 2, "--device", "cpu", *more]
    return CliRunner().invoke(table_texture.main, list(map(str, options)), catch_exceptions=False)


def test_every_method_is_measured_once(data, tmp_path, monkeypatch):
    found = iter([[Face((20.0, 20.0, 76.0, 76.0), None, 1.0)], [], []])  # in one of the three views
    monkeypatch.setattr(alignment, "detect_faces", lambda picture: next(found))
    result = call(data, tmp_path / "out", "--pictures", tmp_path / "pictures")
    assert result.exit_code == 0, result.output
    numbers = json.loads((tmp_path / "out/texture-cpu.json").read_text())
    assert numbers["schedule"] == {"rounds": 1, "iterations": 2}
    scores = numbers["cases"]["case0"]
    assert list(scores) == ["initial", "pasted", "rendering L1 alone", "first guess", "refined", "3 pictures"]
    assert set(scores["refined"]) == set(table_texture.COLUMNS)
    true = smooth_texture(64).astype(float)
    off = np.abs((true * 0.6 + 40).astype(np.uint8) - true).mean(2)
    assert scores["initial"]["visible"] == pytest.approx(off[:, 4:32].mean())
    assert scores["initial"]["unseen"] == pytest.approx(off[:, 32:].mean())
    assert scores["initial"]["unseen_skin"] == pytest.approx(off[8:, 32:].mean())
    assert scores["refined"]["faces"] == 1 and scores["initial"]["identity"] > 0
    assert scores["3 pictures"]["unseen"] < scores["first guess"]["unseen"]
    assert scores["pasted"]["views"] < scores["initial"]["views"]
    assert {p.name for p in (tmp_path / "pictures").iterdir()} == {
        "case0-first-guess.png", "case0-refined.png", "case0-3-pictures.png", "case0-sheet.png"
    }  # fmt: skip
    table = (tmp_path / "out/texture-cpu.md").read_text()
    assert table.count("| case0 |") == 6 and f"{scores['refined']['unseen_skin']:.2f}" in table

    monkeypatch.setattr(table_texture, "measure", None)
    assert call(data, tmp_path / "out").exit_code == 0 and (tmp_path / "out/texture-cpu.md").read_text() == table


def test_another_schedule_is_measured_anew(data, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(table_texture, "measure", lambda folder, *rest: asked.append(folder.name) or {"initial": {}})
    call(data, tmp_path / "out")
    call(data, tmp_path / "out")
    assert asked == ["case0"]
    call(data, tmp_path / "out", "--rounds", 2)
    call(data, tmp_path / "out", "--rounds", 2, "--case", "none")
    assert asked == ["case0", "case0"]


def test_differences_have_intervals_over_cases():
    """Three cases that differ by 1, 2 and 3 levels: 2, and by Student's t with two degrees of freedom 4.303 / 3^0.5."""

    def case(gap):
        scores = {"visible": 10.0, "unseen_skin": 20.0, "lpips": 0.5}
        better = {"visible": 10.0 - gap, "unseen_skin": 20.0, "lpips": 0.5}
        if gap > 1:  # in the first case no face is found
            scores["identity"], better["identity"] = 0.5, 0.5 - gap / 10
        return {method: scores for method in table_texture.OURS["refined"]} | {
            "initial": scores, "first guess": better, "refined": scores, "3 pictures": scores
        }  # fmt: skip

    lines = table_texture.differences({str(gap): case(gap) for gap in (1, 2, 3)})
    assert lines[4] == "| first guess - initial | -2.00 +- 2.48 | +0.00 +- 0.00 | +0.0000 +- 0.0000 | -0.250 +- 0.635 |"
    assert len(lines) == 4 + 7
