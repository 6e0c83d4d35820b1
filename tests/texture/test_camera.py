"""Cameras: read, written, turned, and solved from points."""

import dataclasses
import json

import numpy as np
import pytest
from relief import front_camera

from texture import CameraError, read_camera, read_mesh, solve_camera
from texture.camera import fit_camera, write_camera


def test_written_camera_is_read_back(tmp_path):
    camera = front_camera(right=12)
    write_camera(tmp_path / "camera.json", camera)
    again = read_camera(tmp_path / "camera.json")
    assert np.array_equal(again.world_to_camera, camera.world_to_camera)
    assert dataclasses.replace(again, world_to_camera=None) == dataclasses.replace(camera, world_to_camera=None)


@pytest.mark.parametrize(
    "change, complaint",
    [
        (lambda d: d.pop("fx"), "not a camera"),
        (lambda d: d.update(world_to_camera=[[1, 0, 0, 0]]), "3 x 4"),
        (lambda d: d.update(world_to_camera=(np.eye(4)[:3] * 2).tolist()), "rotation"),
        (lambda d: d.update(fy=-1), "positive"),
        (lambda d: d.update(image_size=[0, 10]), "positive"),
        (lambda d: d.update(fx=10**400), "not a camera"),
        (lambda d: d.update(image_size=[float("inf"), 5]), "not a camera"),
        (lambda d: d.update(image_size=[None, None]), "not a camera"),
        (lambda d: d.update(image_size=[float("nan"), 5]), "not a camera"),
        (lambda d: d.update(image_size=[10**6, 10**6]), "200 million"),
        (lambda d: d.update(image_size=[10**30, 5]), "200 million"),
        (lambda d: d.update(image_size={}), "not a camera"),
        (lambda d: d.update(image_size=7), "not a camera"),
        (lambda d: d.update(cx=float("nan")), "finite"),
        (lambda d: d.update(cx=[1, 2]), "not a camera"),
        (lambda d: d.update(cx=1e300), "1e9"),
        (lambda d: d.update(world_to_camera=[[1e200] * 4] * 3), "1e9"),
        (lambda d: d.update(world_to_camera=[[1, 0, 0, 0], [0, 1]]), "not a camera"),
        (lambda d: d.update(world_to_camera=[[10**400, 0, 0, 0]] * 3), "not a camera"),
        (lambda d: d.update(world_to_camera="\x1b[2J"), "not a camera"),
    ],
)
def test_unusable_cameras_are_refused(tmp_path, change, complaint):
    path = tmp_path / "camera.json"
    write_camera(path, front_camera())
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(CameraError, match=complaint) as failure:
        read_camera(path)
    assert str(path) in str(failure.value)


@pytest.mark.parametrize("content", [b"[" * 100_000, b"", b"[]", b"5", b'"x"', b"\xff\xfe\x00", b" " * (2**20 + 1)])
def test_what_is_no_camera_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "camera.json"
    path.write_bytes(content)
    with pytest.raises(CameraError) as failure:
        read_camera(path)
    assert str(failure.value).startswith(str(path)) and str(failure.value).isprintable()


def test_missing_camera_is_named(tmp_path):
    with pytest.raises(CameraError, match="none.json: no such file"):
        read_camera(tmp_path / "none.json")


def test_turning_moves_what_is_near_to_that_side():
    camera, nose = front_camera(), np.array([[0, -0.5, 0.0]])  # before the pivot, in the middle of the picture
    (x, y), pivot = camera.project(nose)[0][0], np.zeros(3)
    assert camera.turned(pivot, right=30).project(nose)[0][0, 0] > x + 3
    assert camera.turned(pivot, up=30).project(nose)[0][0, 1] < y - 3
    for turned in (camera.turned(pivot, right=30), camera.turned(pivot, up=30)):
        assert np.allclose(turned.project(pivot[None])[0], camera.project(pivot[None])[0])


@pytest.mark.parametrize("focal, away", [(1.5, 4), (2.2, 6), (5, 14)])
def test_exact_points_give_the_camera_back(focal, away):
    truth = front_camera(512, right=25, away=away, focal=focal)
    points = np.random.default_rng(0).uniform(-1, 1, [51, 3]) * (0.7, 0.5, 0.8)
    pixels, _ = truth.project(points)
    found, error = fit_camera(points, pixels, 512, 512)
    assert error < 1  # pixels; not 0, as the prior on the focal length has a say
    assert found.fx == pytest.approx(truth.fx, rel=0.12)
    angle = np.arccos((np.trace(found.world_to_camera[:, :3] @ truth.world_to_camera[:, :3].T) - 1) / 2)
    assert np.degrees(angle) < 1


def test_too_few_points_are_refused():
    points = np.full([51, 3], np.nan)
    points[:5] = np.random.default_rng(0).random([5, 3])
    with pytest.raises(CameraError, match="only 5 landmarks"):
        fit_camera(points, np.zeros([51, 2]), 512, 512)


def test_picture_without_a_face_is_refused(relief):
    with pytest.raises(CameraError, match="no face found in the picture"):
        solve_camera(relief, np.zeros([64, 64, 3], np.uint8), np.zeros([128, 128, 3], np.uint8))


@pytest.mark.slow
def test_shared_case_is_solved(case0):
    from PIL import Image

    mesh = read_mesh(case0 / "head.obj")
    texture, picture = (
        np.asarray(Image.open(case0 / name).convert("RGB")) for name in ("texture_initial.png", "photo.png")
    )
    camera, error = solve_camera(mesh, texture, picture)
    truth = read_camera(case0 / "camera.json")
    assert error < 8  # pixels of 512, over 51 landmarks of two pictures in different styles
    front = truth.project(mesh.vertices)[1] < np.quantile(truth.project(mesh.vertices)[1], 0.3)
    away = camera.project(mesh.vertices[front])[0] - truth.project(mesh.vertices[front])[0]
    assert np.sqrt((away**2).sum(1).mean()) < 15
