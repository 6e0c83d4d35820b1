"""A generator from `init`: first its encoder learns alone, then blocks up to a size, then the GAN with pairing loss."""

import dataclasses

import numpy as np
import pytest
import torch

import stylegan2.checkpoints
import weights
from inversion.start import KIND, StartEncoder, load_start
from losses.perceptual import PerceptualNetwork
from training.config import TrainingConfig
from training.dataset import load_images, training_names
from training.loop import train
from training.run import Run
from training.warm_start import up_to, warm_start

TINY = dict(
    resolution=32, z_dim=8, w_dim=8, mapping_layers=2, channel_base=128, channel_max=8, num_fp16_res=0, batch=4,
    kimg=0.016, pl_weight=0, ema_kimg=0.01, snapshot_kimg=100, metrics_pictures=0, warm_start_kimg=0.04,
    reconstruction_weight=3,
)  # fmt: skip


@pytest.fixture
def config(pictures, tmp_path, monkeypatch):
    torch.manual_seed(0)
    perceptual = PerceptualNetwork([4, 4], [1, 1]).requires_grad_(False)
    monkeypatch.setattr("training.reconstruction.load_perceptual", lambda path: perceptual)
    first = TrainingConfig(data=str(pictures), **(TINY | {"warm_start_kimg": 0, "reconstruction_weight": 0}))
    start = train(first, tmp_path / "first", progress=False)
    return TrainingConfig(data=str(pictures), init=str(start), **TINY)


def test_the_encoder_alone_moves_first(config, pictures, tmp_path):
    run = Run(dataclasses.replace(config, encoder_kimg=0.04), "cpu")
    before = {name: p.clone() for name, p in run.G.named_parameters()}
    encoder = [p.clone() for p in run.reconstruction.encoder.parameters()]
    warm_start(run, load_images(training_names(pictures), 32), tmp_path, (), False)
    assert all(torch.equal(p, before[name]) for name, p in run.G.named_parameters())
    moved = [not torch.equal(a, b) for a, b in zip(encoder, run.reconstruction.encoder.parameters(), strict=True)]
    assert all(moved)


def test_blocks_above_the_size_stay(config, pictures, tmp_path):
    run = Run(dataclasses.replace(config, warm_start_size=16), "cpu")
    before = {name: p.clone() for name, p in run.G.named_parameters()}
    D = {name: p.clone() for name, p in run.D.named_parameters()}
    warm_start(run, load_images(training_names(pictures), 32), tmp_path, (), False)
    for name, parameter in run.G.named_parameters():
        if "noise_strength" not in name and "mapping" not in name:
            assert torch.equal(parameter, before[name]) == name.startswith("synthesis.b32."), name
    assert all(torch.equal(p, D[name]) for name, p in run.D.named_parameters())  # it has been trained as one


def test_the_smaller_generator_is_the_beginning_of_the_larger(config):
    G = Run(config, "cpu").G.eval()
    small = up_to(G, 16)
    w_plus = torch.randn(2, G.num_ws, 8)
    drawn = small.synthesis(w_plus[:, : small.num_ws], noise_mode="const")
    assert drawn.shape == (2, 3, 16, 16)
    with torch.no_grad():
        G.synthesis.b16.conv1.weight.mul_(1.5)
    assert up_to(G) is G
    assert small.synthesis.b16.conv1.weight is G.synthesis.b16.conv1.weight


def test_it_starts_as_the_encoder_of_a_file(config, tmp_path):
    """Reconstruction beside the GAN goes on from where the start's encoder is, also in a wider generator."""
    G, D = (stylegan2.checkpoints.load(config.init)[name] for name in ("G_ema", "D"))
    start, file = StartEncoder(G.num_ws, 8, 32, D.config), tmp_path / "start.safetensors"
    weights.save(file, start.state_dict(), kind=KIND, config=start.config)
    wider = dataclasses.replace(config, encoder=str(file), channel_base=256, channel_max=16)
    run, x = Run(wider, "cpu"), torch.rand(2, 3, 32, 32) * 2 - 1
    torch.testing.assert_close(run.reconstruction.encode(x, run.G.mapping.w_avg), start.w_plus(x, run.G))
    for size, settings in ((16, D.config), (32, D.config | {"channel_max": 16}), (32, D.config | {"channel_max": 4})):
        other = StartEncoder(G.num_ws, 8, size, settings)
        weights.save(file, other.state_dict(), kind=KIND, config=other.config)
        with pytest.raises(ValueError, match="start.safetensors: its encoder has other layers than D"):
            Run(wider, "cpu")
    weights.save(file, start.state_dict(), kind=KIND, config=start.config, card={"latent_space": "of another"})
    with pytest.raises(ValueError, match="start.safetensors: .*another g_real; .*; or leave out encoder"):
        Run(wider, "cpu")


def test_training_leaves_its_encoder_for_the_inversion(config, pictures, tmp_path):
    """It gives the w+ of w_plus.npz, for this generator and what is fine-tuned from it, not for another."""
    half = dataclasses.replace(config, num_fp16_res=2, conv_clamp=256)
    G = stylegan2.checkpoints.load_generator(train(half, tmp_path / "run", progress=False))
    start = load_start(tmp_path / "run" / "start.safetensors", G)
    assert start.config["settings"]["num_fp16_res"] == 0
    images = load_images(training_names(pictures), 32)
    known = torch.from_numpy(np.load(tmp_path / "run" / "w_plus.npz")["w_plus"]).float()
    torch.testing.assert_close(start.w_plus(images.float() / 127.5 - 1, G), known, atol=0.02, rtol=0.02)
    with pytest.raises(weights.WeightsError, match="of another g_real"):
        load_start(tmp_path / "run" / "start.safetensors", stylegan2.checkpoints.load_generator(config.init))


def test_an_encoder_that_stands_still_is_not_left(config, tmp_path):
    """Without reconstruction beside the GAN, G leaves the encoder of the warm start behind."""
    for kimg, left in ((0, True), (0.016, False)):
        settings = dataclasses.replace(config, reconstruction_weight=0, kimg=kimg)
        train(settings, tmp_path / str(kimg), progress=False)
        assert [(tmp_path / str(kimg) / name).is_file() for name in ("start.safetensors", "w_plus.npz")] == [left, left]


def test_the_pairing_loss_trains_both(config, tmp_path, weights_of):
    paired = dataclasses.replace(config, pairing=True, encoder_kimg=0.02, warm_start_size=16)
    plain = weights_of(train(dataclasses.replace(paired, pairing=False), tmp_path / "plain", progress=False))
    found = weights_of(train(paired, tmp_path / "paired", progress=False))
    assert any(not torch.equal(found[name], plain[name]) for name in found)
    assert all(torch.isfinite(tensor).all() for tensor in found.values())


def test_fine_tuning_may_start_elsewhere(config, pictures, tmp_path):
    """G begins as `init`, the identity losses still compare with g_real."""
    other = dataclasses.replace(config, init=None, warm_start_kimg=0, reconstruction_weight=0, seed=1)
    start = train(other, tmp_path / "other", progress=False)
    plain = {key: value for key, value in TINY.items() if key not in ("warm_start_kimg", "reconstruction_weight")}
    tuning = TrainingConfig(
        data=str(pictures), g_real=config.init, init=str(start), sketch_weight=0, color_weight=0, **plain
    )
    run = Run(tuning, "cpu")
    expected = stylegan2.checkpoints.load(start)["G_ema"].state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in run.G.state_dict().items())
    real = stylegan2.checkpoints.load(config.init)["G_ema"].state_dict()
    assert all(torch.equal(tensor, real[name]) for name, tensor in run.g_real.state_dict().items())
    bare = tmp_path / "bare.safetensors"  # no D in it: that of g_real's file is taken
    stylegan2.checkpoints.save(bare, {"G_ema": run.G})
    train(dataclasses.replace(tuning, init=str(bare)), tmp_path / "tuned", progress=False)
