"""Eq. 4: the optimisation finds what it should, portrait by portrait."""

import pytest
import torch

from inversion import latent_optimization
from inversion.common import latent_statistics, noise_buffers
from inversion.latent_optimization import learning_rate_ramp
from losses.noise import noise_regularization, normalize_noise
from losses.perceptual import PerceptualNetwork


@pytest.fixture
def perceptual():
    torch.manual_seed(3)
    return PerceptualNetwork([8, 8], [1, 1]).requires_grad_(False)


def portraits(generator, seeds):
    w = torch.cat([generator.mapping(torch.randn(1, 16, generator=torch.Generator().manual_seed(s))) for s in seeds])
    return generator.synthesis(w, noise_mode="const")


def test_reconstructs_the_generators_own_picture(small_generator, perceptual):
    target = portraits(small_generator, [11])
    result = latent_optimization(small_generator, target, perceptual, steps=150)
    first, last = result.history[0]["lpips"][0], result.history[-1]["lpips"][0]
    assert last < 0.1 * first
    assert len(result.history) == 150
    assert result.w_plus.shape == (1, small_generator.num_ws, 16)
    assert (result.image - target).abs().mean() < (target - target.mean()).abs().mean() / 2


def test_portraits_in_a_batch_do_not_influence_each_other(small_generator, perceptual):
    target = portraits(small_generator, [11, 12, 13])
    together = latent_optimization(small_generator, target, perceptual, steps=8)
    for i in range(3):
        alone = latent_optimization(small_generator, target[i : i + 1], perceptual, steps=8)
        torch.testing.assert_close(alone.w_plus, together.w_plus[i : i + 1], rtol=1e-3, atol=1e-4)


def test_same_call_same_result_and_generator_untouched(small_generator, perceptual):
    target = portraits(small_generator, [5])
    before = {k: v.clone() for k, v in small_generator.state_dict().items()}
    a = latent_optimization(small_generator, target, perceptual, steps=5)
    b = latent_optimization(small_generator, target, perceptual, steps=5)
    assert torch.equal(a.w_plus, b.w_plus)
    assert all(torch.equal(v, before[k]) for k, v in small_generator.state_dict().items())


def test_the_papers_disturbance_is_that_of_the_projector_it_cites(small_generator, perceptual, monkeypatch):
    """Karras et al. 2020, appendix D: at first 0.05 of the root mean square of |w - mean|, in every component."""
    from pipeline import PRESETS

    seen = []
    synthesis = type(small_generator.synthesis).forward
    monkeypatch.setattr(
        type(small_generator.synthesis), "forward", lambda net, ws, **k: seen.append(ws) or synthesis(net, ws, **k)
    )
    mean, spread = latent_statistics(small_generator)
    disturbance = PRESETS["paper"].schedule.disturbance
    target = torch.zeros(1, 3, 32, 32)
    latent_optimization(small_generator, target, perceptual, steps=1, lr=0.0, disturbance=disturbance)
    shift = (seen[0] - mean).detach()  # [1, num_ws, w_dim]
    assert shift.std().item() == pytest.approx(0.05 * spread, rel=0.2)
    w = small_generator.mapping(torch.randn(5000, 16))[:, 0]
    assert shift.norm(dim=2).mean().item() == pytest.approx(
        0.05 * 16**0.5 * (w - mean).norm(dim=1).mean().item(), rel=0.2
    )


def test_statistics_are_computed_once_for_the_same_weights(small_generator, monkeypatch):
    calls = []
    forward = type(small_generator.mapping).forward
    monkeypatch.setattr(
        type(small_generator.mapping), "forward", lambda net, *a, **k: calls.append(1) or forward(net, *a, **k)
    )
    first = latent_statistics(small_generator)
    once = len(calls)
    assert latent_statistics(small_generator) is first and len(calls) == once > 0
    with torch.no_grad():
        small_generator.mapping.fc0.weight.mul_(2)
    assert latent_statistics(small_generator)[1] != first[1]


def test_the_distance_is_an_argument(small_generator, perceptual):
    target = portraits(small_generator, [11])
    options = dict(steps=30, distance=lambda image: (image - target).square().mean([1, 2, 3]), name="pixels")
    result = latent_optimization(small_generator, target, perceptual, **options)
    assert set(result.history[0]) == {"pixels", "noise"}
    assert result.history[-1]["pixels"][0] < 0.5 * result.history[0]["pixels"][0]


def test_w_is_one_latent_for_all_layers(small_generator, perceptual):
    target = portraits(small_generator, [11])
    result = latent_optimization(small_generator, target, perceptual, steps=20, space="w")
    assert result.w_plus.shape == (1, small_generator.num_ws, 16)
    assert (result.w_plus == result.w_plus[:, :1]).all()
    assert result.history[-1]["lpips"][0] < result.history[0]["lpips"][0]
    with pytest.raises(ValueError, match="space"):
        latent_optimization(small_generator, target, perceptual, space="s")


def test_starts_at_the_mean_latent(small_generator, perceptual):
    mean, spread = latent_statistics(small_generator)
    w = small_generator.mapping(torch.randn(5000, 16, generator=torch.Generator().manual_seed(9)))[:, 0]
    torch.testing.assert_close(mean, w.mean(0), atol=0.05, rtol=0)
    assert spread == pytest.approx((w - w.mean(0)).norm(dim=1).square().mean().sqrt().item(), rel=0.05)
    result = latent_optimization(small_generator, portraits(small_generator, [1]), perceptual, steps=1, lr=0.0)
    torch.testing.assert_close(result.w_plus[0, 0], mean)


def test_noise_stays_free_of_the_picture(small_generator, perceptual):
    target = portraits(small_generator, [2])
    target[:, :, ::2] += 0.5  # a pattern that noise maps could imitate
    kept = latent_optimization(small_generator, target, perceptual, steps=60)
    free = latent_optimization(small_generator, target, perceptual, steps=60, noise_weight=0)
    assert kept.history[-1]["noise"][0] < 0.1 * free.history[-1]["noise"][0] or kept.history[-1]["noise"][0] < 1e-4


def test_learning_rate_ramp():
    assert learning_rate_ramp(0) == 0
    assert learning_rate_ramp(0.025) == pytest.approx(0.5)
    assert learning_rate_ramp(0.5) == pytest.approx(1)
    assert learning_rate_ramp(0.875) == pytest.approx(0.5)


def test_noise_regularization_sees_structure():
    """White noise costs almost nothing, a smooth map nearly 2 a level (its neighbours correlate fully)."""
    white = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    ramp = torch.sin(torch.linspace(0, 2 * torch.pi, 65)[:64])[None, None, None].expand(1, 1, 64, 64).clone()
    for maps in ([white], [ramp]):
        normalize_noise(maps)
        assert maps[0].mean().abs() < 1e-5 and maps[0].square().mean() == pytest.approx(1, rel=1e-4)
    assert noise_regularization([white]).item() < 0.1
    assert noise_regularization([ramp]).item() > 1.5
    value = noise_regularization([torch.tensor([[[[1.0, -1.0], [2.0, 0.0]]]])]).item()  # by hand: right, down
    assert value == pytest.approx(((-1 - 1 + 0 + 0) / 4) ** 2 + ((2 + 0 + 2 + 0) / 4) ** 2)


@pytest.mark.parametrize(
    "target", [torch.zeros(1, 3, 16, 16), torch.zeros(3, 32, 32), torch.full((1, 3, 32, 32), float("nan"))]
)
def test_bad_targets_are_refused(small_generator, perceptual, target):
    with pytest.raises(ValueError, match="target"):
        latent_optimization(small_generator, target, perceptual, steps=1)


def test_noise_buffers_are_in_layer_order(small_generator):
    assert [tuple(n.shape) for n in noise_buffers(small_generator)] == small_generator.synthesis.noise_shapes()
