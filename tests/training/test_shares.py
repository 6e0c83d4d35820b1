"""A run gives the same weights on one process, on two, and in portions that fit a smaller memory."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from training.config import TrainingConfig
from training.loop import train
from training.shares import Share

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = dict(
    resolution=16,
    z_dim=8,
    w_dim=8,
    mapping_layers=2,
    channel_base=128,
    channel_max=8,
    num_fp16_res=0,
    batch=8,
    kimg=0.064,
    ema_kimg=0.01,
    snapshot_kimg=100,
    r1_interval=2,
    pl_interval=2,
    ada_kimg=0.1,
    ada_target=-1.0,
    mirror=False,
    metrics_pictures=0,
)


@pytest.fixture(scope="module")
def undivided(pictures, weights_of, tmp_path_factory):
    config = TrainingConfig(data=str(pictures), **SETTINGS)
    return weights_of(train(config, tmp_path_factory.mktemp("one"), progress=False))


def assert_same(a, b):
    for name, value in a.items():
        scale = max(value.abs().max().item(), 1e-3)
        assert (b[name] - value).abs().max().item() < 2e-3 * scale, name


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _process(rank, port, data, out):
    os.environ |= {
        "LOCAL_RANK": str(rank),
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    torch.set_num_threads(1)
    train(TrainingConfig(data=data, **SETTINGS), out, progress=False)


def test_two_processes_train_what_one_trains(pictures, undivided, weights_of, tmp_path):
    torch.multiprocessing.spawn(_process, (free_port(), str(pictures), str(tmp_path)), nprocs=2)
    divided = weights_of(tmp_path / "snapshot.safetensors")
    assert_same(undivided, divided)
    start = weights_of(
        train(TrainingConfig(data=str(pictures), **(SETTINGS | {"kimg": 0})), tmp_path / "0", progress=0)
    )
    moved = (start["D.b16.conv0.weight"] - divided["D.b16.conv0.weight"]).abs().max()
    assert moved > 20 * (undivided["D.b16.conv0.weight"] - divided["D.b16.conv0.weight"]).abs().max()


def test_portions_train_what_a_whole_batch_trains(pictures, undivided, weights_of, tmp_path):
    """With path length, ADA and R1 on."""
    config = TrainingConfig(data=str(pictures), batch_gpu=4, **SETTINGS)
    assert_same(undivided, weights_of(train(config, tmp_path, progress=False)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_gpu": 2}, "batch = 8: D compares pictures in groups of 4, .*batch_gpu = 2"),
        ({"batch": 6}, "batch = 6: D compares pictures in groups of 4"),
        ({"batch_gpu": 3}, "batch_gpu = 3 does not divide the 8 pictures"),
        ({"batch_gpu": 4, "pl_batch_shrink": 8}, "pl_batch_shrink = 8"),
    ],
)
def test_divisions_that_change_the_result_are_refused(pictures, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        train(TrainingConfig(data=str(pictures), **(SETTINGS | changes)), tmp_path, progress=False)


def test_a_share_does_not_keep_the_whole_batch_alive(small_generator):
    share = Share(1, 4, 8, "cpu")
    for tensor in (share.randn(3), *share.noise(small_generator)):
        assert tensor.untyped_storage().nbytes() == 4 * tensor.numel() == 4 * tensor.shape[0] * tensor[0].numel()


def _torn(rank, port, data, out):
    """Process 1 changes a weight of its own."""
    import training.loop
    from training.replicas import ReplicaError

    step = training.loop.train_step

    def torn(run, real):
        statistics = step(run, real)
        if rank == 1:
            run.D.b16.conv0.bias.data[0] += 1e-6
        return statistics

    training.loop.train_step = torn
    with pytest.raises(ReplicaError, match="process 0 .*process 1"):
        _process(rank, port, data, out)


@pytest.mark.slow
def test_processes_that_come_apart_are_noticed_at_the_snapshot(pictures, tmp_path):
    torch.multiprocessing.spawn(_torn, (free_port(), str(pictures), str(tmp_path)), nprocs=2)


@pytest.mark.slow
def test_two_machines_train_what_one_process_trains(pictures, undivided, weights_of, tmp_path):
    """Two torchrun agents, a process each, that meet on 127.0.0.1."""
    settings = {"data": str(pictures)} | SETTINGS
    (tmp_path / "run.yaml").write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in settings.items()))
    rendezvous = ["--rdzv_id=1", "--rdzv_backend=c10d", f"--rdzv_endpoint=127.0.0.1:{free_port()}"]
    arguments = [ROOT / "train.py", tmp_path / "run.yaml", "--out", tmp_path / "out", "--device", "cpu"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": str(ROOT)}
    agents = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "torch.distributed.run",
                "--nnodes=2",
                "--nproc_per_node=1",
                *rendezvous,
                *arguments,
            ],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    said = [agent.communicate(timeout=300)[0] for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0], said
    assert "2 processes" in (tmp_path / "out/log.txt").read_text()
    assert_same(undivided, weights_of(tmp_path / "out/snapshot.safetensors"))


def test_shares_divide_a_batch():
    whole = torch.arange(12)
    shares = [Share(i, 3, 12, "cpu") for i in range(3)]
    assert sorted(torch.cat([share.of(whole) for share in shares]).tolist()) == whole.tolist()
    numbers = []
    for share in shares:
        torch.manual_seed(0)
        numbers.append(share.randn(2))
    torch.manual_seed(0)
    assert torch.equal(torch.stack(numbers, 1).reshape(12, 2), torch.randn(12, 2))
    assert [share.smaller(2).n for share in shares] == [2, 2, 2] and shares[0].smaller(100).n == 1
