"""The phases of a step, one by one."""

import pytest
import torch

from training.config import TrainingConfig
from training.phases import path_length_phase, r1_phase
from training.run import Run
from training.shares import Share
from training.step import train_step

TINY = dict(
    data="",
    resolution=16,
    z_dim=8,
    w_dim=8,
    mapping_layers=2,
    channel_base=128,
    channel_max=8,
    num_fp16_res=0,
    batch=4,
    r1_interval=2,
    pl_interval=2,
    metrics_pictures=0,
)


def test_r1_is_taken_at_the_picture_before_the_augmentation():
    """Against differences of D(augmented(x)) along the gradient's own direction; at the augmented picture it is another
    number, because a transform that shrinks or turns colours changes lengths."""
    run = Run(TrainingConfig(**TINY), "cpu")
    run.augment.p.fill_(1.0)
    share = Share(0, 1, 4, run.device)
    real = torch.rand(4, 3, 16, 16) * 2 - 1

    def logits(x):
        torch.manual_seed(5)
        return run.D(run.augment(x, share=share))

    torch.manual_seed(5)
    loss, statistics = r1_phase(run, share, real)
    x = real.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(logits(x).sum(), x)
    expected = gradient.square().sum([1, 2, 3]).mean().item()
    assert statistics["r1_penalty"] == pytest.approx(expected, rel=1e-4)
    with torch.no_grad():
        step = 1e-3
        slope = (logits(real + step * gradient) - logits(real - step * gradient)).sum() / (2 * step)
    assert slope.item() == pytest.approx(4 * expected, rel=0.02)
    torch.manual_seed(5)
    seen = run.augment(real, share=share).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(run.D(seen).sum(), seen)
    assert gradient.square().sum([1, 2, 3]).mean().item() != pytest.approx(expected, rel=0.02)
    loss.backward()
    assert run.D.b16.conv0.weight.grad.abs().sum() > 0


def test_running_means_move_once_a_step_however_the_batch_is_divided():
    real = torch.rand(8, 3, 16, 16) * 2 - 1
    found = []
    for batch_gpu in (None, 4):
        run = Run(TrainingConfig(**TINY | {"batch": 8, "batch_gpu": batch_gpu}), "cpu")
        statistics = train_step(run, real)
        assert run.pl_mean.item() == pytest.approx(0.01 * statistics["path_length"], rel=1e-5)
        found.append((run.pl_mean, run.G.mapping.w_avg))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-6)


def test_path_length_is_compared_with_the_mean_of_the_steps_before():
    run = Run(TrainingConfig(**TINY), "cpu")
    run.pl_mean.fill_(0.5)
    _, statistics = path_length_phase(run, Share(0, 1, 4, run.device), None)
    assert run.pl_mean.item() == 0.5  # a phase reads the run and leaves it
    lower = (statistics["path_length"] - 0.5) ** 2
    assert statistics["loss_path_length"] >= lower * (1 - 1e-5)
