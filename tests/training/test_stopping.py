"""A run that is stopped, or killed at any moment, ends with the weights of an undisturbed one."""

import multiprocessing
import os
import random
import signal
import time

import pytest
import torch

from training.config import TrainingConfig
from training.loop import train
from training.step import train_step
from training.stopping import Stopped

SETTINGS = dict(
    resolution=8,
    z_dim=8,
    w_dim=8,
    mapping_layers=1,
    channel_base=64,
    channel_max=8,
    num_fp16_res=0,
    batch=4,
    kimg=0.3,
    ema_kimg=0.01,
    snapshot_kimg=0.02,
    r1_interval=2,
    pl_interval=2,
    ada_kimg=0.1,
    metrics_pictures=0,
)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Sums come out the same in every process only when they are divided among equally many threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def config(pictures):
    return TrainingConfig(data=str(pictures), **SETTINGS)


@pytest.fixture(scope="module")
def undisturbed(config, weights_of, tmp_path_factory):
    return weights_of(train(config, tmp_path_factory.mktemp("whole"), progress=False))


def run_in_process(config, out):
    torch.set_num_threads(1)
    train(config, out, progress=False)


@pytest.mark.slow
def test_killed_twenty_times(config, undisturbed, weights_of, tmp_path):
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["training.loop", "torch.utils.tensorboard"])
    moments = random.Random(0)
    kills = 0
    while kills < 20:
        process = processes.Process(target=run_in_process, args=(config, tmp_path))
        process.start()
        time.sleep(moments.uniform(0.05, 1.2))
        if not process.is_alive():  # finished before it could be killed: start over
            assert process.exitcode == 0
            for path in tmp_path.iterdir():
                path.unlink()
            continue
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        kills += 1
    resumed = weights_of(train(config, tmp_path, progress=False))
    assert all(torch.equal(undisturbed[name], resumed[name]) for name in undisturbed)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends_the_run(number, config, undisturbed, weights_of, tmp_path, monkeypatch):
    def step_then_signal(run, real):
        if run.step == 7:
            os.kill(os.getpid(), number)
        return train_step(run, real)

    monkeypatch.setattr("training.loop.train_step", step_then_signal)
    with pytest.raises(Stopped, match=f"{number.name}.*same command"):
        train(config, tmp_path, progress=False)
    assert torch.load(tmp_path / "state.pt", weights_only=True)["seen"] == 32
    monkeypatch.setattr("training.loop.train_step", train_step)
    resumed = weights_of(train(config, tmp_path, progress=False))
    assert all(torch.equal(undisturbed[name], resumed[name]) for name in undisturbed)


def test_a_loss_that_is_not_finite_stops_the_run(config, tmp_path, monkeypatch):
    """Nothing is written after it: the last good snapshot stays."""
    out = tmp_path / "run"
    snapshot = train(config.__class__(**(config.__dict__ | {"kimg": 0.02})), out, progress=False)
    before = snapshot.read_bytes()
    monkeypatch.setattr("losses.adversarial.generator_loss", lambda logits: logits.sum() * float("nan"))
    with pytest.raises(FloatingPointError, match="0.02 kimg.*G loss is nan"):
        train(config, out, progress=False)
    assert snapshot.read_bytes() == before
