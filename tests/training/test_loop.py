"""The training loop on a tiny data set: what learns, what stays frozen, and that a stopped run goes on unchanged."""

import dataclasses
import json

import numpy as np
import pytest
import torch

import stylegan2.checkpoints
from losses import adversarial
from training import snapshots
from training.config import TrainingConfig, load_config
from training.dataset import batch_at, load_images, training_names
from training.growth import fit_first_block, grow
from training.loop import train
from training.run import Run
from training.step import adapt_augmentation, train_step
from training.warm_start import warm_start

TINY = dict(
    resolution=16,
    z_dim=8,
    w_dim=8,
    mapping_layers=2,
    channel_base=128,
    channel_max=8,
    num_fp16_res=0,
    batch=4,
    kimg=0.032,
    ema_kimg=0.01,
    snapshot_kimg=100,
    r1_interval=2,
    pl_interval=2,
    ada_kimg=0.1,
    metrics_pictures=0,
)


@pytest.fixture(scope="module")
def g_real(pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("real")
    return train(TrainingConfig(data=str(pictures), **TINY), out, progress=False)


def test_training_leaves_a_usable_snapshot(g_real):
    networks = stylegan2.checkpoints.load(g_real)
    assert set(networks) == {"G_ema", "D"}
    assert networks["G_ema"](torch.randn(2, 8)).shape == (2, 3, 16, 16)
    assert (g_real.parent / "samples-000000.png").exists()
    written = load_config(g_real.parent / "config.yaml")
    assert written == TrainingConfig(data=written.data, **TINY)
    assert any(p.name.startswith("events.out.tfevents") for p in g_real.parent.iterdir())


def test_stopped_and_resumed_equals_undisturbed(weights_of, pictures, tmp_path):
    config = TrainingConfig(data=str(pictures), **TINY)
    whole = weights_of(train(config, tmp_path / "whole", progress=False))
    train(dataclasses.replace(config, kimg=0.016), tmp_path / "parts", progress=False)
    parts = weights_of(train(config, tmp_path / "parts", progress=False))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_warm_start_and_reconstruction_learn_the_pictures(weights_of, pictures, tmp_path, monkeypatch):
    """The autoencoder lowers its error; the encoder of the GAN phase learns to reconstruct, also after a resume."""
    from losses.perceptual import PerceptualNetwork

    torch.manual_seed(0)
    perceptual = PerceptualNetwork([4, 4], [1, 1]).requires_grad_(False)
    monkeypatch.setattr("training.reconstruction.load_perceptual", lambda path: perceptual)
    config = TrainingConfig(
        data=str(pictures), warm_start_kimg=0.24, reconstruction_weight=30, **(TINY | {"kimg": 0.4, "pl_weight": 0})
    )
    images = load_images(training_names(pictures), 16)
    short = warm_start(Run(dataclasses.replace(config, warm_start_kimg=0.02), "cpu"), images, tmp_path, (), False)
    long = warm_start(Run(config, "cpu"), images, tmp_path, (), False)
    assert long["error"] < 0.8 * short["error"]
    whole = weights_of(train(config, tmp_path / "whole", progress=False))
    lines = [json.loads(line) for line in (tmp_path / "whole" / "stats.jsonl").read_text().splitlines()]
    assert lines[-1]["loss_reconstruction"] < lines[0]["loss_reconstruction"]
    train(dataclasses.replace(config, kimg=0.2), tmp_path / "parts", progress=False)
    parts = weights_of(train(config, tmp_path / "parts", progress=False))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_fine_tuning_freezes_what_the_paper_freezes(weights_of, pictures, g_real, tmp_path, monkeypatch):
    """Mapping, toRGB and g_real stay bit-identical; the rest and D move. Eqs. 1 and 2 are in the sum."""
    from losses.perceptual import PerceptualNetwork
    from sketch.network import SketchExtractor

    torch.manual_seed(0)
    extractor = SketchExtractor(4, 1, 1).requires_grad_(False)
    perceptual = PerceptualNetwork([4, 4], [1, 1]).requires_grad_(False)
    monkeypatch.setattr("training.identity_losses.load_sketch_extractor", lambda path: extractor)
    monkeypatch.setattr("training.identity_losses.load_perceptual", lambda path: perceptual)
    config = TrainingConfig(
        data=str(pictures), g_real=str(g_real), sketch_size=16, color_size=16, color_kernel=5, color_sigma=2, **TINY
    )
    before = weights_of(g_real)
    run = Run(config, "cpu")
    real = batch_at(load_images(training_names(pictures), 16), 0, 4, 0)
    statistics = [train_step(run, real) for _ in range(3)]
    assert {"loss_sketch", "loss_color", "loss_G", "loss_D", "path_length", "r1_penalty"} <= set(statistics[0])
    assert statistics[0]["loss_sketch"] < 0.1 * statistics[1]["loss_sketch"]  # equal at first, but for rounding
    for name, tensor in run.g_real.state_dict().items():
        assert torch.equal(tensor, before["G_ema." + name]), name
    for name, tensor in run.G.state_dict().items():
        frozen = name.startswith("mapping.") or ".torgb." in name
        buffer = "noise_const" in name or "resample_filter" in name
        assert torch.equal(tensor, before["G_ema." + name]) == (frozen or buffer), name
    assert not torch.equal(run.D.b16.conv0.weight, before["D.b16.conv0.weight"])


def test_augmentation_follows_its_target(pictures):
    run = Run(TrainingConfig(data=str(pictures), **TINY), "cpu")
    for sign, expected in ((1.0, 16 / 100), (-1.0, 0.0)):
        run.sign_sum, run.sign_count = sign, 1
        adapt_augmentation(run, 16)
        assert float(run.augment.p) == pytest.approx(expected)


def test_grown_generator_first_draws_the_smaller_picture(g_real):
    smaller = stylegan2.checkpoints.load(g_real)["G_ema"]
    config = TrainingConfig(data="", init=str(g_real), **(TINY | {"resolution": 32}))
    larger = Run(config, "cpu").G_ema
    w = smaller.mapping(torch.randn(2, 8))
    rows = w[:, :1].expand(-1, larger.num_ws, -1)
    small = smaller.synthesis(w, noise_mode="none")
    large = torch.nn.functional.avg_pool2d(larger.synthesis(rows, noise_mode="none"), 2)
    assert (large - small)[..., 2:-2, 2:-2].abs().mean() < 0.1 * small.abs().mean()


def test_grow_keeps_a_network_of_equal_size(g_real):
    a = stylegan2.checkpoints.load(g_real)["D"]
    b = stylegan2.checkpoints.load(g_real)["D"]
    for p in b.parameters():
        p.zero_()
    grow(a, b)
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def test_grown_discriminator_feeds_its_old_blocks(g_real, pictures):
    smaller = stylegan2.checkpoints.load(g_real)["D"]
    larger = Run(TrainingConfig(data="", init=str(g_real), **(TINY | {"resolution": 32})), "cpu").D
    first, last = fit_first_block(smaller, larger, load_images(training_names(pictures), 32), steps=60, batch=4)
    assert last < 0.3 * first
    assert torch.equal(larger.b16.conv0.weight, smaller.b16.conv0.weight)


def test_adversarial_losses_by_hand():
    logits = torch.tensor([[0.0], [2.0]])
    assert adversarial.generator_loss(logits).item() == pytest.approx((np.log(2) + np.log1p(np.exp(-2))) / 2)
    assert adversarial.discriminator_loss(logits, -logits).item() == pytest.approx(np.log(2) + np.log1p(np.exp(-2)))
    x = torch.randn(3, 3, 4, 4, requires_grad=True)
    weight = torch.randn(3, 4, 4)
    penalty = adversarial.r1_penalty(x, (x * weight).sum([1, 2, 3])[:, None])
    torch.testing.assert_close(penalty, weight.square().sum().expand(3))
    w = torch.randn(2, 5, 4, requires_grad=True)  # the picture is linear in w: J is known
    noise = torch.randn(2, 3, 8, 8)
    image = w[:, 0].sum(1)[:, None, None, None] * torch.ones(2, 3, 8, 8)
    lengths = adversarial.path_lengths(image, w, noise)
    expected = (noise.sum([1, 2, 3]) / 8).square().mul(4).div(5).sqrt()
    torch.testing.assert_close(lengths, expected)


def test_learning_rate_falls_at_the_end(pictures):
    run = Run(TrainingConfig(data=str(pictures), lr_rampdown=0.5, **TINY), "cpu")
    real = batch_at(load_images(training_names(pictures), 16), 0, 4, 0)
    full = run.D_optimizer.param_groups[0]["initial_lr"]
    for seen, share in ((0, 1.0), (16, 1.0), (24, 0.5), (28, 0.25)):
        run.seen = seen
        train_step(run, real)
        assert run.D_optimizer.param_groups[0]["lr"] == pytest.approx(full * share)


def test_a_resumed_run_follows_its_configuration(pictures, tmp_path):
    """The optimisers' moments come from the state, the learning rate from the configuration."""
    config = TrainingConfig(data=str(pictures), **TINY)
    train(dataclasses.replace(config, kimg=0.008), tmp_path, progress=False)
    run = Run(dataclasses.replace(config, lr=1e-5), "cpu")
    assert snapshots.restore(run, tmp_path)
    train_step(run, batch_at(load_images(training_names(pictures), 16), 0, 4, 0))
    assert run.G_optimizer.param_groups[0]["lr"] < 2e-5
    assert run.G_optimizer.state[run.trained[0]]["step"] > 1


def test_a_run_of_other_sizes_is_not_resumed(pictures, tmp_path):
    config = TrainingConfig(data=str(pictures), **TINY)
    train(dataclasses.replace(config, kimg=0.004), tmp_path, progress=False)
    with pytest.raises(ValueError, match="state.pt.*mapping_layers = 2.*says 3.*--out"):
        train(dataclasses.replace(config, mapping_layers=3), tmp_path, progress=False)
