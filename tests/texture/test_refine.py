"""The optimisation: it nears the picture, leaves alone what it must, and goes on where it was stopped."""

import numpy as np
import pytest
import torch
from relief import front_camera, make_relief, smooth_texture

from losses.perceptual import PerceptualNetwork
from texture import Scene, Shot, TextureSchedule, refine
from texture.optimise import descend
from texture.pyramid import collapse, laplacian, scales, stages
from texture.rasterize import render_picture
from texture.refine import keep_hidden, keep_seen


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return PerceptualNetwork([4, 8], [1, 1]).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def problem():
    """(mesh, initial texture, picture, camera, true texture): half of the patch is turned away."""
    mesh, camera, true = make_relief(12, depth=1.2), front_camera(96, right=40), smooth_texture(48)
    true = true // 2 + true[:, ::-1] // 2  # as symmetric as a face
    initial = (true * 0.6 + 40).round().astype(np.uint8)
    return mesh, initial, render_picture(mesh, camera, true), camera, true


def run(problem, network, rounds=2, iterations=6, **options):
    mesh, initial, picture, camera, _ = problem
    torch.manual_seed(0)
    scene = Scene(mesh, initial, [Shot(picture, camera)])
    return refine(scene, network, TextureSchedule(rounds, iterations), **options)


def test_result_is_nearer_to_the_truth(problem, network):
    result, (_, initial, _, _, true) = run(problem, network), problem
    error = np.abs(result.texture.astype(float) - true).mean(2)
    before = np.abs(initial.astype(float) - true).mean(2)
    assert 0.2 < result.visible.mean() < 0.9
    assert error[result.visible].mean() < 0.4 * before[result.visible].mean()
    assert error[~result.visible].mean() < before[~result.visible].mean()


def test_a_second_darker_picture_shows_the_other_side(problem, network):
    """And the optimisation, too, compares with it in the first one's light."""
    mesh, initial, picture, camera, true = problem
    other = front_camera(96, right=-20)
    shots = [Shot(picture, camera), Shot(render_picture(mesh, other, true // 2), other)]
    one, seen = run(problem, network, rounds=1), []
    both = refine(Scene(mesh, initial, shots), network, TextureSchedule(1, 6), on_step=seen.append)
    more = both.visible & ~one.visible
    off = [np.abs(result.texture.astype(float) - true)[more].mean() for result in (one, both)]
    assert more.sum() > 200 and off[1] < 0.5 * off[0]
    assert seen[0]["rendering"] < 0.1  # in its own light it would be 0.29
    assert len(both.turns) == len(both.shares) == 2


def test_without_rounds_the_first_guess_is_the_result(problem, network):
    result = run(problem, network, rounds=0)
    assert np.array_equal(result.texture, result.start) and result.history == []
    assert TextureSchedule().rounds == 0


def test_rendering_loss_falls(problem, network):
    seen = []
    run(problem, network, rounds=1, iterations=30, on_step=seen.append)
    assert len(seen) == 30 and seen[-1]["rendering"] < seen[0]["rendering"]


@pytest.fixture
def one_thread():
    """Sums over texels come out the same only when they are added in the same order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_stopped_run_goes_on_to_the_same_result(problem, network, one_thread):
    states = []
    whole = run(problem, network, on_stage=states.append)
    assert len(states) == len(stages((48, 48), 2)) == 2
    resumed = run(problem, network, state=states[0])
    assert np.array_equal(resumed.texture, whole.texture) and len(resumed.history) == 2
    again = run(problem, network)
    assert np.array_equal(again.texture, whole.texture)


def test_texels_of_no_triangle_stay(network):
    mesh, camera = make_relief(12), front_camera(96)
    small = type(mesh)(mesh.vertices, mesh.faces, mesh.uv * 0.5 + 0.25)
    initial = smooth_texture(96)
    darker = render_picture(small, camera, initial) // 2
    result = refine(Scene(small, initial, [Shot(darker, camera)]), network, TextureSchedule(1, 2))
    assert np.array_equal(result.texture[:20], initial[:20])
    assert np.array_equal(result.texture[:, -20:], initial[:, -20:])
    assert (result.texture[40:56, 40:56] != initial[40:56, 40:56]).mean() > 0.9


def test_sixteen_bits_stay_so(problem, network):
    mesh, initial, picture, camera, _ = problem
    deep = initial.astype(np.uint16) * 257 + 5
    deep[:, :4] = 12345
    halved = type(mesh)(mesh.vertices, mesh.faces, mesh.uv * (0.5, 1) + (0.5, 0))
    result = run((halved, deep, picture, camera, None), network, 1, 2).texture
    assert result.dtype == np.uint16 and np.array_equal(result[:, :20], deep[:, :20])
    levels = run((halved, initial, picture, camera, None), network, 1, 2).texture
    assert np.abs(result[:, 30:] / 257 - levels[:, 30:]).mean() < 1
    assert len(np.unique(result[:, 30:] % 257)) > 100  # not eight bits made wide


def test_hidden_by_another_part_is_not_painted(network):
    """The left half of the patch shows another texture: its triangles hide, and take part in nothing else."""
    mesh, camera = make_relief(12), front_camera(96)
    painted = mesh.vertices[mesh.faces].mean(1)[:, 0] > 0
    folded = type(mesh)(mesh.vertices, mesh.faces, np.abs(mesh.uv * (2, 1) - (1, 0)), painted)
    picture = np.full([96, 96, 3], (20, 40, 220), np.uint8)
    picture[:, 48:] = (200, 150, 120)
    initial = np.full([48, 48, 3], 128, np.uint8)
    result = refine(Scene(folded, initial, [Shot(picture, camera)]), network, TextureSchedule(1, 2))
    error = np.abs(result.texture.astype(int) - (200, 150, 120))[2:-2, 2:-2]
    assert error.max() < 12


def test_pyramid_is_complete():
    texture = torch.rand(1, 3, 45, 70, generator=torch.Generator().manual_seed(0))
    bands = laplacian(texture)
    assert [band.shape[2] for band in bands] == [45, 23, 12, 6, 3]
    assert torch.allclose(collapse(bands), texture, atol=1e-6)


def test_descent_reaches_a_wanted_texture_in_all_bands():
    wanted = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.4
    found = descend(torch.zeros(1, 3, 64, 64), lambda t: (t - wanted).abs().mean(), 150)
    assert (found - wanted).abs().mean() < 0.01  # about one 8-bit level


def test_a_loss_that_is_not_finite_stops_it():
    with pytest.raises(ValueError, match="diverged"):
        descend(torch.zeros(1, 3, 32, 32), lambda t: t.sum() * float("nan"), 3)


def test_scales_reach_the_texture():
    assert scales((1024, 1024)) == [256, 512, 1024] and scales((300, 700)) == [256, 512, 700]
    assert scales((4096, 4096)) == [256, 512, 1024, 2048] and scales((100, 64)) == [100]


def test_hidden_materials_keep_the_start():
    content = np.full([64, 128, 3], 180, np.float32)
    content[:, 80:] = 40  # hair
    visible = np.zeros([64, 128], bool)
    visible[:, :40] = True
    start, result = torch.zeros(1, 3, 64, 128), torch.ones(1, 3, 64, 128)
    kept = keep_hidden(result, start, content, visible)
    assert torch.equal(kept[..., :70], result[..., :70]) and torch.equal(kept[..., 90:], start[..., 90:])


def test_seen_texels_stay_the_pictures():
    start, result = torch.zeros(1, 3, 200, 200), torch.ones(1, 3, 200, 200)
    visible = np.zeros([200, 200], bool)
    visible[50:150, 50:150] = True
    kept = keep_seen(result, start, visible)
    assert kept[:, :, 60:140, 60:140].max() == 0 and kept[:, :, :50].min() == 1
    edge = kept[0, 0, 100, 48:56]
    assert (edge.diff() <= 0).all() and ((edge > 0) & (edge < 1)).sum() >= 1  # soft
