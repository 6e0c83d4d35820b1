"""The command end to end on a small mesh, and its one-line errors."""

import json

import numpy as np
import pytest
import torch
import trimesh
from click.testing import CliRunner
from PIL import Image
from relief import front_camera, make_relief, smooth_texture

from jobs import texture_refinement
from scripts import refine_texture
from texture.camera import write_camera
from texture.rasterize import render_picture


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Command-line options that name a mesh, texture, picture, camera and mask which belong together."""
    folder = tmp_path_factory.mktemp("head")
    mesh, camera, texture = make_relief(10), front_camera(96), smooth_texture(64)
    visual = trimesh.visual.TextureVisuals(uv=mesh.uv, material=trimesh.visual.material.SimpleMaterial())
    trimesh.Trimesh(mesh.vertices, mesh.faces, visual=visual, process=False).export(folder / "head.obj")
    Image.fromarray(texture // 2 + 50).save(folder / "skin.png")
    Image.fromarray(render_picture(mesh, camera, texture)).save(folder / "photo.png")
    Image.fromarray(np.full([96, 96], 255, np.uint8)).save(folder / "mask.png")
    write_camera(folder / "camera.json", camera)
    names = {"mesh": "head.obj", "texture": "skin.png", "image": "photo.png", "camera": "camera.json",
             "mask": "mask.png"}  # fmt: skip
    return {option: folder / name for option, name in names.items()}


def call(files, out, *more):
    options = [word for option, path in files.items() for word in (f"--{option}", str(path))]
    return CliRunner().invoke(refine_texture.main, [*options, "-o", str(out), "--device", "cpu", *more])


def test_everything_is_written(files, tmp_path):
    result = call(files, tmp_path, "--rounds", "1", "--iterations", "2")
    assert result.exit_code == 0, result.output
    assert "embedded perceptual network" in result.output
    texture = np.asarray(Image.open(tmp_path / "texture.png"))
    assert texture.shape == (64, 64, 3)
    assert (texture != np.asarray(Image.open(files["texture"]))).mean() > 0.5
    assert np.asarray(Image.open(tmp_path / "visible.png")).mean() > 100
    assert Image.open(tmp_path / "sheet.png").width > 1500
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["history"][-1]["scale"] == 64 and report["settings"]["rounds"] == 1
    assert not list(tmp_path.glob("*unfinished*"))


def test_state_is_taken_up_only_by_the_same_run(tmp_path):
    state = {"texture": torch.rand(1, 3, 4, 4), "history": [{"round": 0, "scale": 256}]}
    texture_refinement.write_state(tmp_path / "state.safetensors", state, {"rounds": 5})
    again = texture_refinement.read_state(tmp_path / "state.safetensors", {"rounds": 5})
    assert torch.equal(again["texture"], state["texture"]) and again["history"] == state["history"]
    assert texture_refinement.read_state(tmp_path / "state.safetensors", {"rounds": 4}) is None
    assert texture_refinement.read_state(tmp_path / "none.safetensors", {"rounds": 5}) is None


@pytest.mark.parametrize("option", ["mesh", "texture", "image", "camera", "mask"])
def test_missing_files_are_named_in_one_line(files, tmp_path, option):
    result = call(files | {option: tmp_path / "none.xyz"}, tmp_path / "out")
    assert result.exit_code == 1 and len(result.output.strip().splitlines()) == 1
    assert "none.xyz: no such file" in result.output
    assert not (tmp_path / "out").exists()


def test_camera_of_another_picture_is_refused(files, tmp_path):
    write_camera(tmp_path / "camera.json", front_camera(100))
    result = call(files | {"camera": tmp_path / "camera.json"}, tmp_path / "out")
    assert result.exit_code == 1 and "100 x 100 pixels, but" in result.output


def test_no_face_is_said_with_the_picture(files, tmp_path):
    result = call({k: v for k, v in files.items() if k != "mask"}, tmp_path / "out")
    assert result.exit_code == 1 and "photo.png: no face found" in result.output
