"""The training loop: a GAN from scratch, or g_real fine-tuned into g_rendering (Eq. 3).

All randomness of step k comes from (seed, k), and the pictures from the count shown so far, so a run that was stopped
and started again goes on exactly as if nothing had happened, and one that is shared by several processes gives what a
single one would. What a step does is in step.py and phases.py.
"""

import time
from contextlib import contextmanager
from pathlib import Path

import torch

import stylegan2.checkpoints
from machine import processes

from . import snapshots, stopping
from .dataset import DatasetError, Pictures, batches, training_names
from .growth import fit_first_block
from .progress_metrics import ProgressMetrics
from .replicas import check_replicas
from .run import Run
from .shares import Share
from .step import train_step
from .warm_start import warm_start


def train(config, out, device="cpu", progress=True, tell=lambda line: None):
    """Run `config` (a TrainingConfig) in the folder `out` until `config.kimg`; resumes what lies there.

    tell: is given a line about files beside the training pictures that are not taken.

    Writes `config.yaml`, `log.txt`, `stats.jsonl`, `metrics.jsonl`, TensorBoard events, `samples-*.png`,
    `snapshot-*.safetensors` (G_ema and D; `snapshot.safetensors` is the newest) and `state.pt`; at the end, with an
    encoder beside G, `start.safetensors` (it) and `w_plus.npz` (what it reads off the training pictures). Returns the
    path of the snapshot. Raises stopping.Stopped after SIGINT or SIGTERM, FloatingPointError when a loss is no longer
    finite (the last state and snapshot stay as they are), replicas.ReplicaError when the weights of the processes have
    come apart, ValueError when something does not fit or another training runs in `out`.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    device = processes.start(device)
    try:
        with locked(out, device), stopping.listening() as received:
            images = training_set(config, tell if processes.rank() == 0 else lambda line: None)
            run = Run(config, device)
            use_tensor_cores(run)
            resumed = snapshots.restore(run, out)
            if processes.rank() == 0:
                snapshots.write_config(config, out)
            if not resumed:
                prepare(run, images, out, received, progress)
                if processes.rank() == 0:
                    snapshots.write(run, out)
                    (out / "warm_start.pt").unlink(missing_ok=True)
            advance(run, images, out, received, progress)
            if run.reconstruction is not None and keeps_up(run) and processes.rank() == 0:
                snapshots.write_w_plus(run, images, out)
                snapshots.write_start(run, out)
    finally:
        processes.stop()
    return out / "snapshot.safetensors"


def keeps_up(run):
    """Whether the encoder fits the G of this moment: it stands still in adversarial steps without reconstruction."""
    return bool(run.config.reconstruction_weight) or not run.seen


def advance(run, images, out, received, progress):
    """Steps until `kimg` is reached; raises Stopped, with the state saved, once a signal is in `received`."""
    config, rank = run.config, processes.rank()
    total = 1000 * config.kimg
    log = metrics = None
    if rank == 0:
        log = snapshots.Log(out, run, progress)
        log.note(run, f"{'resumed' if run.seen else 'started'} on {run.device} in {processes.world_size()} processes")
        metrics = ProgressMetrics(run, images) if config.metrics_pictures else None
    next_snapshot = run.seen + 1000 * config.snapshot_kimg
    share = Share(rank, processes.world_size(), config.batch, run.device)
    pictures = batches(images, run.seen, config.batch, config.seed, config.mirror, share)
    while run.seen < total:
        try:
            real = next(pictures)
        except DatasetError:
            if rank == 0:
                snapshots.write(run, out)
            raise
        started = time.perf_counter()
        statistics = train_step(run, real)
        if log is not None:
            log.add(run, statistics, time.perf_counter() - started)
        number = stopping.requested(received, run.device)
        if number or run.seen >= min(next_snapshot, total):
            check_replicas(run)
            if rank == 0:
                snapshots.write(run, out)
                log.note(run, "snapshot and state written", shown=False)
                if metrics is not None and not number:
                    log.write(run, metrics(run.G_ema), "metrics.jsonl")
            next_snapshot = run.seen + 1000 * config.snapshot_kimg
        if number:
            raise stopping.Stopped(number)


def prepare(run, images, out, received, progress):
    """What comes before the first step of a plain run: the new block of a grown discriminator, the warm start."""
    config = run.config
    if config.init and run.g_real is None:
        start = stylegan2.checkpoints.load_discriminator(config.init, run.device)
        if 2 * start.img_resolution == config.resolution:
            fit_first_block(start, run.D, images, config.seed)
    if config.warm_start_kimg:
        warm_start(run, images, out, received, progress)
        run.G_ema.load_state_dict(run.G.state_dict())


def training_set(config, tell=lambda line: None):
    """The Pictures of a configuration. Raises DatasetError, naming the key."""
    if config.exclude and not Path(config.exclude).is_dir():
        raise DatasetError(f"exclude = {config.exclude}: no such folder; leave the key out to train on all of data")
    try:
        return Pictures(training_names(config.data, config.exclude, tell), config.resolution)
    except DatasetError as error:
        raise DatasetError(f"data = {error}") from error


@contextmanager
def locked(out, device):
    """One training a folder: raises ValueError, in all processes, while another one is in it."""
    from filelock import FileLock, Timeout

    lock, taken = FileLock(out / ".lock"), 0.0
    if processes.rank() == 0:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            taken = 1.0
    if processes.largest(torch.tensor(taken, device=device)):
        raise ValueError(f"{out}: another training is running in this folder; wait for it, or give another --out")
    try:
        yield
    finally:
        lock.release()


def use_tensor_cores(run):
    """What cuDNN and cuBLAS may do: TF32 if the configuration says so, and look once for the fastest algorithm of every
    shape, where shapes are constant (without our kernels the augmentation convolves pictures of changing sizes)."""
    from stylegan2.ops import native

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = run.config.tf32
    constant = run.augment is None or native.available(torch.empty(1, device=run.device))
    torch.backends.cudnn.benchmark = run.device.type == "cuda" and constant
