"""The command end to end on a small mesh, and its one-line errors."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from click import ClickException
from click.testing import CliRunner
from gltf import make_glb, png
from PIL import Image
from relief import front_camera, make_relief, smooth_texture

from alignment import read_picture
from alignment.originals import encoded
from jobs import texture as job
from jobs.texture_case import check_mesh
from machine.locks import only_run_in
from scripts import refine_texture
from texture import Mesh, read_model
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
    names = ("head.obj", "skin.png", "photo.png", "camera.json", "mask.png")
    return dict(zip(("mesh", "texture", "image", "camera", "mask"), (folder / name for name in names), strict=True))


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


def test_by_default_nothing_is_optimised(files, tmp_path):
    result = call(files, tmp_path)
    assert result.exit_code == 0 and "perceptual network" not in result.output
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["history"] == [] and report["settings"]["rounds"] == 0
    assert (np.asarray(Image.open(tmp_path / "texture.png")) != np.asarray(Image.open(files["texture"]))).mean() > 0.5


def test_state_is_taken_up_only_by_the_same_run(tmp_path, capsys):
    path = tmp_path / "s.safetensors"
    state = {"texture": torch.rand(1, 3, 4, 6), "history": [{"round": 0, "scale": 256}]}
    job.write_state(path, state, {"rounds": 5})
    again = job.read_state(path, {"rounds": 5}, (4, 6))
    assert torch.equal(again["texture"], state["texture"]) and again["history"] == state["history"]
    assert job.read_state(path, {"rounds": 4}, (4, 6)) is None
    assert job.read_state(tmp_path / "none.safetensors", {"rounds": 5}, (4, 6)) is None
    assert capsys.readouterr().out == ""


def test_damaged_state_is_left_and_that_is_said(tmp_path, capsys):
    path = tmp_path / "s.safetensors"
    good = {"texture": torch.rand(1, 3, 4, 6), "history": [{"round": 0, "scale": 256}]}
    job.write_state(path, good, {})
    data = path.read_bytes()
    contents = [b"", b"x" * 100, data[:-5], data[:30], data[:8] + b"[" * 50_000, bytes(8) + data[8:]]
    for change in ({"texture": torch.full([1, 3, 4, 6], torch.nan)}, {"texture": torch.rand(1, 3, 9, 9)},
                   {"texture": torch.rand(1, 3, 4, 6).double()}, {"history": 5}, {"history": ["a"]}):  # fmt: skip
        job.write_state(path, good | change, {})
        contents.append(path.read_bytes())
    for content in contents:
        path.write_bytes(content)
        assert job.read_state(path, {}, (4, 6)) is None
        text = capsys.readouterr().out
        assert str(path) in text and "starts anew" in text and text.count("\n") == 1


def test_a_stopped_run_goes_on_and_a_damaged_one_starts_anew(files, tmp_path, monkeypatch):
    write, stages = job.write_state, []

    def stopping(path, state, settings):
        write(path, state, settings)
        stages.append(len(state["history"]))
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "write_state", stopping)
    short = ("--rounds", "2", "--iterations", "1")
    assert call(files, tmp_path, *short).exit_code != 0 and (tmp_path / "unfinished.safetensors").is_file()
    assert call(files, tmp_path, *short).exit_code != 0 and stages == [1, 2]
    (tmp_path / "unfinished.safetensors").write_bytes(b"damaged")
    (tmp_path / ".texture.0123456789abcdef.part.png").write_bytes(b"of a killed run")
    monkeypatch.setattr(job, "write_state", write)
    result = call(files, tmp_path, *short)
    assert result.exit_code == 0 and "starts anew" in result.output, result.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.json", "sheet.png", "texture.png", "visible.png"]


def test_two_runs_do_not_share_a_folder(files, tmp_path):
    with only_run_in(tmp_path):
        result = call(files, tmp_path, "--rounds", "1", "--iterations", "1")
    assert result.exit_code == 1 and "another run is at work" in result.output and not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_found_out_first(files, tmp_path, monkeypatch):
    (tmp_path / "out").write_text("in the way")
    monkeypatch.setattr(job, "refine_case", None)
    result = call(files, tmp_path / "out" / "below")
    assert result.exit_code == 1 and "nothing can be written there" in result.output


def half_used(tmp_path, files, texture):
    """Options for a mesh that uses the left half of a texture, and no camera of its own needed."""
    from trimesh import Trimesh
    from trimesh.visual import TextureVisuals

    mesh = make_relief(10)
    Trimesh(mesh.vertices, mesh.faces, visual=TextureVisuals(uv=mesh.uv * (0.5, 1)), process=False).export(
        tmp_path / "half.obj"
    )
    return files | {"mesh": tmp_path / "half.obj", "texture": texture}


@pytest.mark.parametrize("suffix, channels", [("png", 4), ("tif", 4), ("tif", 3), ("png", 1)])
def test_depth_alpha_and_the_other_half_stay(files, tmp_path, suffix, channels):
    deep = np.random.default_rng(0).integers(0, 65536, [64, 64, channels]).astype(np.uint16)
    path = tmp_path / f"skin.{suffix}"
    path.write_bytes(encoded(deep, f".{suffix}", {}, {}))
    assert np.array_equal(read_picture(path).original.samples, deep)
    result = call(half_used(tmp_path, files, path), tmp_path / "out", "--rounds", "1", "--iterations", "1")
    assert result.exit_code == 0, result.output
    new = read_picture(tmp_path / f"out/texture.{suffix}").original.samples
    assert new.dtype == np.uint16 and new.shape == (64, 64, max(channels, 3))
    assert np.array_equal(new[:, 34:], np.broadcast_to(deep, new.shape)[:, 34:] if channels == 1 else deep[:, 34:])
    assert channels != 4 or np.array_equal(new[..., 3], deep[..., 3])
    assert (new[4:-4, 4:28, :3] != deep[4:-4, 4:28, :3]).mean() > 0.9


def test_jpeg_becomes_png_so_that_the_rest_stays(files, tmp_path):
    Image.fromarray(smooth_texture(64, 3)).save(tmp_path / "skin.jpg", quality=70)
    old = np.asarray(Image.open(tmp_path / "skin.jpg"))
    options = half_used(tmp_path, files, tmp_path / "skin.jpg")
    result = call(options, tmp_path / "out", "--rounds", "1", "--iterations", "1")
    assert result.exit_code == 0 and not (tmp_path / "out/texture.jpg").exists(), result.output
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out/texture.png"))[:, 34:], old[:, 34:])


def test_a_glb_brings_its_texture_and_goes_out_again(files, tmp_path):
    mesh, texture = make_relief(10), np.asarray(Image.open(files["texture"]))
    small = make_relief(3)
    eyes = Mesh(small.vertices * 0.2 - (0, 1, 0), small.faces, small.uv)
    (tmp_path / "head.glb").write_bytes(make_glb([eyes, mesh], [png(np.full([8, 8, 3], 90, np.uint8)), png(texture)]))
    given = {name: path for name, path in files.items() if name != "texture"} | {"mesh": tmp_path / "head.glb"}
    result = call(given, tmp_path / "out", "--rounds", "1", "--iterations", "1")
    assert result.exit_code == 0 and "2 textures" in result.output, result.output
    new = np.asarray(Image.open(tmp_path / "out/texture.png"))
    assert (new != texture).mean() > 0.5
    model = read_model(tmp_path / "out/mesh.glb")
    assert np.array_equal(model.texture_of(model.parts[1]).pixels, new)
    assert len(model.parts) == 2 and np.allclose(model.mesh.vertices[-len(mesh.vertices) :], mesh.vertices)

    (tmp_path / "bare.glb").write_bytes(make_glb([mesh]))
    check_mesh(tmp_path / "head.glb")  # what project.py asks before its long run
    check_mesh(tmp_path / "bare.glb", files["texture"])
    (tmp_path / "camera.json").write_text("{}")
    for wrong in ({"texture": tmp_path / "none.png"}, {"camera": tmp_path / "camera.json"}):
        with pytest.raises(ClickException, match="none.png: no such file|camera.json: not a camera"):
            check_mesh(tmp_path / "head.glb", **wrong)
    for path, complaint in (("bare.glb", "brings no texture"), ("none.glb", "no such file")):
        with pytest.raises(ClickException, match=complaint):
            check_mesh(tmp_path / path)
    result = call(given | {"mesh": tmp_path / "bare.glb"}, tmp_path / "bare")
    assert result.exit_code == 1 and "brings no texture; give one with --texture" in result.output
    result = call(files | {"mesh": tmp_path / "bare.glb"}, tmp_path / "bare", "--rounds", "1", "--iterations", "1")
    assert result.exit_code == 0, result.output
    model, new = read_model(tmp_path / "bare/mesh.glb"), np.asarray(Image.open(tmp_path / "bare/texture.png"))
    assert np.array_equal(model.texture_of(model.parts[0]).pixels, new)


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


@pytest.fixture(scope="module")
def side(files, tmp_path_factory):
    """Options for a second picture of the same head, from the side and darker."""
    folder = tmp_path_factory.mktemp("side")
    mesh, camera, texture = make_relief(10), front_camera(96, right=30), smooth_texture(64)
    Image.fromarray(render_picture(mesh, camera, texture // 2)).save(folder / "side.png")
    write_camera(folder / "side.json", camera)
    options = {"image": folder / "side.png", "camera": folder / "side.json", "mask": files["mask"]}
    return [word for option, path in options.items() for word in (f"--{option}", str(path))]


def test_several_pictures_and_a_rerun_that_goes_on(files, side, tmp_path, monkeypatch):
    write, stages = job.write_state, []

    def stopping(path, state, settings):
        write(path, state, settings)
        stages.append(len(state["history"]))
        raise KeyboardInterrupt

    more = [*side, "--rounds", "2", "--iterations", "1"]
    monkeypatch.setattr(job, "write_state", stopping)
    assert call(files, tmp_path, *more).exit_code != 0 and call(files, tmp_path, *more).exit_code != 0
    monkeypatch.setattr(job, "write_state", write)
    assert stages == [1, 2]
    result = call(files, tmp_path, *more)
    assert result.exit_code == 0 and "starts anew" not in result.output, result.output
    report = json.loads((tmp_path / "report.json").read_text())
    assert [Path(shown["image"]).name for shown in report["pictures"]] == ["photo.png", "side.png"]
    assert len(report["settings"]["cameras"]) == len(report["settings"]["inputs"]["images"]) == 2
    assert report["visible_share"] >= max(shown["visible_share"] for shown in report["pictures"]) > 0.5
    assert call(files, tmp_path / "one").exit_code == 0
    assert Image.open(tmp_path / "sheet.png").height > Image.open(tmp_path / "one/sheet.png").height


def test_counts_that_differ_are_refused(files, side, tmp_path):
    for option, count in (("camera", 1), ("mask", 1)):
        at = side.index(f"--{option}")
        result = call(files, tmp_path / "out", *side[:at], *side[at + 2 :])
        assert result.exit_code == 1 and f"2 --image, but {count} --{option}; give one for each" in result.output
        assert len(result.output.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_picture_that_is_of_no_use_is_named(files, side, tmp_path):
    camera = front_camera(96)
    write_camera(tmp_path / "away.json", camera.turned(np.zeros(3), right=180))
    words = [str(tmp_path / "away.json") if word.endswith("side.json") else word for word in side]
    result = call(files, tmp_path / "out", *words)
    assert result.exit_code == 1 and len(result.output.strip().splitlines()) == 1
    assert "side.png: no texel is seen through this camera" in result.output and "photo.png" not in result.output
