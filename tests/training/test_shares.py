"""A run gives the same weights on one process, on two, and in portions that fit a smaller memory."""

import os
import socket

import pytest
import torch

from training.config import TrainingConfig
from training.loop import train
from training.shares import Share

SETTINGS = dict(
    resolution=16, z_dim=8, w_dim=8, mapping_layers=2, channel_base=128, channel_max=8, num_fp16_res=0, batch=8,
    kimg=0.064, ema_kimg=0.01, snapshot_kimg=100, r1_interval=2, pl_interval=2, ada_kimg=0.1, ada_target=-1.0,
    mirror=False, metrics_pictures=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def undivided(pictures, weights_of, tmp_path_factory):
    config = TrainingConfig(data=str(pictures), **SETTINGS)
    return weights_of(train(config, tmp_path_factory.mktemp("one"), progress=False))


def assert_same(a, b):
    for name, value in a.items():
        scale = max(value.abs().max().item(), 1e-3)
        assert (b[name] - value).abs().max().item() < 2e-3 * scale, name


def _process(rank, port, data, out):
    os.environ |= {
        "LOCAL_RANK": str(rank), "RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }  # fmt: skip
    torch.set_num_threads(1)
    train(TrainingConfig(data=data, **SETTINGS), out, progress=False)


def test_two_processes_train_what_one_trains(pictures, undivided, weights_of, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_process, (port, str(pictures), str(tmp_path)), nprocs=2)
    divided = weights_of(tmp_path / "snapshot.safetensors")
    assert_same(undivided, divided)
    start = weights_of(
        train(TrainingConfig(data=str(pictures), **(SETTINGS | {"kimg": 0})), tmp_path / "0", progress=0)
    )
    moved = (start["D.b16.conv0.weight"] - divided["D.b16.conv0.weight"]).abs().max()
    assert moved > 20 * (undivided["D.b16.conv0.weight"] - divided["D.b16.conv0.weight"]).abs().max()


def test_portions_train_what_a_whole_batch_trains(pictures, weights_of, tmp_path):
    """Without path length, whose running mean is updated once a portion."""
    plain = SETTINGS | {"pl_weight": 0}
    whole = train(TrainingConfig(data=str(pictures), **plain), tmp_path / "whole", progress=False)
    parts = train(TrainingConfig(data=str(pictures), batch_gpu=4, **plain), tmp_path / "parts", progress=False)
    whole, parts = weights_of(whole), weights_of(parts)
    whole.pop("G_ema.mapping.w_avg")  # a running mean too
    assert_same(whole, parts)


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
