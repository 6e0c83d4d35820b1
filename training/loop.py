"""The training loop: a GAN from scratch, or g_real fine-tuned into g_rendering (Eq. 3).

All randomness of step k comes from (seed, k), and the pictures from the count shown so far, so a run that was stopped
and started again goes on exactly as if nothing had happened, and one that is shared by several processes gives what a
single one would.
"""

import copy
import time
import zipfile
from pathlib import Path

import numpy as np
import torch

import stylegan2.checkpoints
from losses import adversarial
from stylegan2 import Discriminator, Generator

from . import distributed, snapshots, stopping
from .augment import AugmentPipe
from .dataset import DatasetError, Pictures, batches, training_names
from .growth import fit_first_block, grow
from .identity_losses import IdentityLosses
from .progress_metrics import ProgressMetrics
from .reconstruction import Reconstruction
from .shares import Share
from .warm_start import warm_start

PHASES = ("G", "path length", "D", "R1")  # of a step; each has its own random numbers


def train(config, out, device="cpu", progress=True):
    """Run `config` (a TrainingConfig) in the folder `out` until `config.kimg`; resumes what lies there.

    Writes `config.yaml`, `log.txt`, `stats.jsonl`, `metrics.jsonl`, TensorBoard events, `samples-*.png`,
    `snapshot-*.safetensors` (G_ema and D; `snapshot.safetensors` is the newest) and `state.pt`. Returns the path of the
    snapshot. Raises stopping.Stopped after SIGINT or SIGTERM, FloatingPointError when a loss is no longer finite (the
    last state and snapshot stay as they are).
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    device = distributed.start(device)
    rank, world_size = distributed.rank(), distributed.world_size()
    if config.batch % (world_size * portions(config, world_size)):
        raise ValueError(
            f"a batch of {config.batch} cannot be shared by {world_size} processes"
            + (f" in portions of {config.batch_gpu}" if config.batch_gpu else "")
        )
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = config.tf32
    images = Pictures(training_names(config.data, config.exclude), config.resolution)
    run = Run(config, device)
    if rank == 0:
        snapshots.write_config(config, out)
    try:
        with stopping.listening() as received:
            if not snapshots.restore(run, out):
                prepare(run, images, out, received, progress)
                if rank == 0:
                    snapshots.write(run, out)
                    (out / "warm_start.pt").unlink(missing_ok=True)
            advance(run, images, out, received, progress)
        if run.reconstruction is not None and rank == 0:
            snapshots.write_w_plus(run, images, out)
    finally:
        distributed.stop()
    return out / "snapshot.safetensors"


def advance(run, images, out, received, progress):
    """Steps until `kimg` is reached; raises Stopped, with the state saved, once a signal is in `received`."""
    config, rank = run.config, distributed.rank()
    total = 1000 * config.kimg
    log = metrics = None
    if rank == 0:
        log = snapshots.Log(out, run, progress)
        log.note(run, f"{'resumed' if run.seen else 'started'} on {run.device} in {distributed.world_size()} processes")
        metrics = ProgressMetrics(run, images) if config.metrics_pictures else None
    next_snapshot = run.seen + 1000 * config.snapshot_kimg
    share = Share(rank, distributed.world_size(), config.batch, run.device)
    pictures = batches(images, run.seen, config.batch, config.seed, config.mirror, share)
    while run.seen < total:
        try:
            real = next(pictures)
        except DatasetError:
            if rank == 0:
                snapshots.write(run, out)
            raise
        started = time.perf_counter()
        statistics = run.train_step(real)
        if log is not None:
            log.add(run, statistics, time.perf_counter() - started)
        number = stopping.requested(received, run.device)
        if number or run.seen >= min(next_snapshot, total):
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
    if config.init:
        start = stylegan2.checkpoints.load(config.init)["D"].to(run.device)
        if 2 * start.img_resolution == config.resolution:
            fit_first_block(start, run.D, images, config.seed)
    if config.warm_start_kimg:
        warm_start(run, images, out, received, progress)
        run.G_ema.load_state_dict(run.G.state_dict())


class Run:
    """What a training run holds in memory: networks, optimisers, counters; `train_step` advances all of it once."""

    def __init__(self, config, device):
        self.config, self.device = config, torch.device(device)
        torch.manual_seed(config.seed)
        self.G, self.D, self.g_real = build_networks(config)
        self.G_ema = copy.deepcopy(self.G)
        for network in (self.G, self.D, self.G_ema, self.g_real):
            if network is not None:
                network.to(self.device, memory_format=torch.channels_last)
        self.G_ema.eval().requires_grad_(False)
        self.G.train()
        self.D.train().requires_grad_(True)
        self.trained = trained_parameters(self.G, transfer=self.g_real is not None)
        self.reconstruction = None
        if (config.reconstruction_weight or config.warm_start_kimg) and self.g_real is None:
            self.reconstruction = Reconstruction(self.G, self.D, config.perceptual_weights_file)
            self.reconstruction.to(self.device, memory_format=torch.channels_last)
            self.trained += self.reconstruction.encoder.parameters()
        self.w_plus = load_w_plus(config.w_plus, self.G) if config.w_plus else None
        self.G_optimizer = _lazy_adam(self.trained, config.lr, config.pl_interval if config.pl_weight else 1)
        self.D_optimizer = _lazy_adam(list(self.D.parameters()), config.lr, config.r1_interval)
        self.identity = IdentityLosses(config, self.device) if self.g_real is not None else None
        self.augment = None
        if config.ada_target is not None:
            self.augment = AugmentPipe(**BGC).to(self.device)
            self.augment.p.zero_()  # raised as D begins to overfit
        self.sign_sum = self.sign_count = 0.0
        self.pl_mean = torch.zeros([], device=self.device)
        self.step = self.seen = 0

    def train_step(self, real):
        """Show D one batch of real pictures; `real` is this process's share of it, [batch / processes, 3, R, R].

        Returns {statistic: float}. Raises FloatingPointError, before any weight is touched, when a loss is not finite.
        """
        c = self.config
        left = 1 - self.seen / (1000 * c.kimg)
        factor = 1.0 if left >= c.lr_rampdown else left / c.lr_rampdown
        for optimizer in (self.G_optimizer, self.D_optimizer):
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
        statistics = self._phase("G", self._generator_loss, real)
        if c.pl_weight and self.step % c.pl_interval == 0:
            statistics |= self._phase("path length", self._path_length_loss, real)
        statistics |= self._phase("D", self._discriminator_loss, real)
        if self.step % c.r1_interval == 0:
            statistics |= self._phase("R1", self._r1_loss, real)
        distributed.mean(self.G.mapping.w_avg)
        self.step += 1
        self.seen += c.batch
        self._update_ema(c.batch)
        if self.augment is not None and self.step % 4 == 0:
            self._update_augmentation(4 * c.batch)
        return statistics | {"augment_p": float(self.augment.p) if self.augment is not None else 0.0}

    def _phase(self, name, loss_of, real):
        """One optimiser step on the mean over the batch of loss_of(share, real pictures) -> (loss, statistics)."""
        network, optimizer = (self.D, self.D_optimizer) if name in ("D", "R1") else (self.G, self.G_optimizer)
        self._train_only(network)
        optimizer.zero_grad(set_to_none=True)
        rank, world_size = distributed.rank(), distributed.world_size()
        rounds = portions(self.config, world_size)
        totals = {}
        for part in range(rounds):
            torch.manual_seed(self.config.seed * 1_000_003 + 4 * self.step + PHASES.index(name))
            share = Share(rank + part * world_size, rounds * world_size, self.config.batch, self.device)
            pictures = real[part::rounds].to(self.device, memory_format=torch.channels_last)
            loss, statistics = loss_of(share, pictures)
            if not torch.isfinite(loss):
                values = ", ".join(f"{key} {value:.3g}" for key, value in statistics.items())
                raise FloatingPointError(f"at {self.seen / 1000:g} kimg the {name} loss is {loss.item()} ({values})")
            (loss / rounds).backward()
            for key, value in statistics.items():
                totals[key] = totals.get(key, 0.0) + value / rounds
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        distributed.average_gradients(parameters)
        for parameter in parameters:
            torch.nan_to_num(parameter.grad, nan=0, posinf=1e5, neginf=-1e5, out=parameter.grad)
        optimizer.step()
        return totals

    # -- the four phases of a step

    def _generator_loss(self, share, real):
        w_plus = self._w_plus_of_batch(share, real)
        noise = share.noise(self.G)
        fake = self.G.synthesis(w_plus, noise=noise)
        fake_logits = self.D(self._augmented(fake, share))
        if self.config.pairing:
            with torch.no_grad():
                real_logits = self.D(self._augmented(real, share))
            loss = adversarial.pairing_loss(fake_logits, real_logits)
        else:
            loss = adversarial.generator_loss(fake_logits)
        statistics = {"loss_G": loss.item()}
        if self.config.reconstruction_weight and self.reconstruction is not None:
            half, w_avg = share.n // 2, self.G.mapping.w_avg
            value = self.reconstruction.loss(fake[-half:], real[-half:], w_plus[-half:], w_avg)
            loss = loss + self.config.reconstruction_weight * value
            statistics["loss_reconstruction"] = value.item()
        if self.identity is not None:
            with torch.no_grad():
                real_style = self.g_real.synthesis(w_plus, noise=noise)
            for name, weight, value in self.identity(real_style, fake):
                loss = loss + weight * value
                statistics[name] = value.item()
        return loss, statistics

    def _path_length_loss(self, share, real):
        c = self.config
        share = share.smaller(c.pl_batch_shrink)
        w_plus = self._sample_w_plus(share)
        if not w_plus.requires_grad:
            w_plus.requires_grad_()
        fake = self.G.synthesis(w_plus, noise=share.noise(self.G))
        lengths = adversarial.path_lengths(fake, w_plus, share.randn(*fake.shape[1:]))
        mean = distributed.mean(lengths.detach().mean())
        self.pl_mean = self.pl_mean.lerp(mean, 1 - (1 - c.pl_decay) ** (1 / portions(c, distributed.world_size())))
        penalty = (lengths - self.pl_mean).square().mean()
        statistics = {"path_length": mean.item(), "loss_path_length": penalty.item()}
        return c.pl_weight * c.pl_interval * penalty, statistics

    def _discriminator_loss(self, share, real):
        with torch.no_grad():
            fake = self.G.synthesis(self._w_plus_of_batch(share, real), noise=share.noise(self.G))
        real_logits, fake_logits = self.D(self._augmented(real, share)), self.D(self._augmented(fake, share))
        statistics = {}
        for name, logits in (("real", real_logits.detach()), ("fake", fake_logits.detach())):
            statistics[f"logits_{name}"] = logits.mean().item()
            statistics[f"signs_{name}"] = logits.sign().mean().item()
            statistics[f"spread_{name}"] = logits.std(correction=0).item()
        if self.config.pairing:  # only differences of logits mean anything
            statistics["signs_real"] = (real_logits - fake_logits).sign().mean().item()
            loss = adversarial.pairing_loss(real_logits, fake_logits)
        else:
            loss = adversarial.discriminator_loss(real_logits, fake_logits)
        self.sign_sum += statistics["signs_real"]
        self.sign_count += 1
        return loss, statistics | {"loss_D": loss.item()}

    def _r1_loss(self, share, real):
        c = self.config
        real = self._augmented(real, share).detach().requires_grad_()
        penalty = adversarial.r1_penalty(real, self.D(real)).mean()
        return c.r1_gamma / 2 * c.r1_interval * penalty, {"r1_penalty": penalty.item()}

    # -- parts of them

    def _train_only(self, network):
        self.D.requires_grad_(network is self.D)
        for parameter in self.trained:
            parameter.requires_grad_(network is self.G)

    def _sample_w_plus(self, share):
        """W+ latents [n, num_ws, w_dim], a share of them mixed from two z at a random row."""
        transfer = self.g_real is not None
        z = share.randn(2, self.G.z_dim)  # [n, 2, z_dim]
        w = self.G.mapping(z.flatten(0, 1), update_w_avg=not transfer).unflatten(0, (share.n, 2))
        mixed = share.rand() < self.config.style_mixing
        cutoff = torch.where(mixed, share.randint(1, self.G.num_ws), self.G.num_ws)
        first = torch.arange(self.G.num_ws, device=self.device) < cutoff[:, None]  # [n, num_ws]
        return torch.where(first[:, :, None], w[:, 0], w[:, 1])

    def _w_plus_of_batch(self, share, real):
        """Latents for a batch of fakes. Second half: with reconstruction the w+ of the second half of `real`; in
        fine-tuning with a file of latents, some of those."""
        known = None
        if self.config.reconstruction_weight and self.reconstruction is not None:
            known = self.reconstruction.encode(real[-(share.n // 2) :], self.G.mapping.w_avg)
        elif self.w_plus is not None:
            chosen = share.randint(0, len(self.w_plus))[: share.n // 2].cpu()
            known = self.w_plus[chosen].float().to(self.device)
        sampled = self._sample_w_plus(share)
        return sampled if known is None else torch.cat([sampled[: share.n - len(known)], known])

    def _augmented(self, images, share):
        return images if self.augment is None else self.augment(images, share=share)

    def _update_ema(self, n):
        c = self.config
        half_life = c.ema_kimg * 1000
        if c.ema_rampup is not None:
            half_life = min(half_life, self.seen * c.ema_rampup)
        beta = 0.5 ** (n / max(half_life, 1e-8))
        with torch.no_grad():
            for average, value in zip(self.G_ema.parameters(), self.G.parameters(), strict=True):
                average.copy_(value.lerp(average, beta))
            for average, value in zip(self.G_ema.buffers(), self.G.buffers(), strict=True):
                average.copy_(value)

    def _update_augmentation(self, n):
        """Karras et al. 2020b, section 3: raise p while the share of positive D(real), as r_t, is above the target."""
        r_t = distributed.mean(torch.tensor(self.sign_sum / self.sign_count, device=self.device))
        self.sign_sum = self.sign_count = 0.0
        change = (1 if r_t > self.config.ada_target else -1) * n / (self.config.ada_kimg * 1000)
        self.augment.p.copy_((self.augment.p + change).clamp(min=0))


# The `bgc` pipeline: pixel blitting, geometry, colour
BGC = dict.fromkeys(
    ["xflip", "rotate90", "xint", "scale", "rotate", "aniso", "xfrac", "brightness", "contrast", "lumaflip", "hue",
     "saturation"], 1,
)  # fmt: skip


def portions(config, world_size):
    """In how many portions each process computes its part of a batch (gradient accumulation)."""
    return 1 if config.batch_gpu is None else max(config.batch // (world_size * config.batch_gpu), 1)


def build_networks(config):
    """(G, D, g_real) of a run; g_real is None in plain training."""
    if config.g_real:
        start = stylegan2.checkpoints.load(config.g_real)
        g_real = start["G_ema"]
        check_sizes(config.g_real, g_real, config)
        G = copy.deepcopy(g_real)
        if config.init:
            G = stylegan2.checkpoints.load(config.init)["G_ema"]
            check_sizes(config.init, G, config)
        return G, start["D"], g_real.eval().requires_grad_(False)
    widths = dict(
        channel_base=config.channel_base, channel_max=config.channel_max, num_fp16_res=config.num_fp16_res,
        conv_clamp=config.conv_clamp if config.num_fp16_res else None,
    )  # fmt: skip
    mapping = {"num_layers": config.mapping_layers}
    G = Generator(config.z_dim, 0, config.w_dim, config.resolution, 3, mapping, widths)
    D = Discriminator(0, config.resolution, 3, **widths, epilogue_kwargs={"mbstd_group_size": 4})
    if config.init:
        start = stylegan2.checkpoints.load(config.init)
        check_sizes(config.init, start["G_ema"], config, may_grow=True)
        grow(start["G_ema"], G)
        grow(start["D"], D)
    return G, D, None


def check_sizes(path, G, config, may_grow=False):
    """Raise ValueError when the generator of a checkpoint has other sizes than the run's configuration says."""
    found = {
        "resolution": G.img_resolution, "z_dim": G.z_dim, "w_dim": G.w_dim, "mapping_layers": G.mapping.num_layers,
    }  # fmt: skip
    differ = {key: value for key, value in found.items() if value != getattr(config, key)}
    if may_grow and found["resolution"] <= config.resolution:
        differ.pop("resolution", None)
    if differ:
        said = ", ".join(
            f"{key} = {value} (the configuration: {getattr(config, key)})" for key, value in differ.items()
        )
        remedy = " ".join(f"--set {key}={value}" for key, value in differ.items())
        raise ValueError(f"{path}: its generator has {said}; use {remedy}, or another checkpoint")


def load_w_plus(path, G):
    """The latents [M, num_ws, w_dim] of a `w_plus.npz`. Raises ValueError, naming the file, when it is missing or
    damaged or they do not fit G."""
    try:
        with np.load(path, allow_pickle=False) as file:
            w_plus = torch.from_numpy(file["w_plus"])
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: no file of w+ latents ({error}); training g_real writes one") from error
    if w_plus.ndim != 3 or w_plus.shape[1:] != (G.num_ws, G.w_dim):
        raise ValueError(f"{path}: holds w+ of shape {list(w_plus.shape)}, g_real takes [N, {G.num_ws}, {G.w_dim}]")
    return w_plus


def trained_parameters(generator, transfer):
    """The trainable parameters of G; in fine-tuning the paper freezes the mapping network and all toRGB layers."""
    parameters = []
    for name, parameter in generator.named_parameters():
        frozen = transfer and (name.startswith("mapping.") or ".torgb." in name)
        parameter.requires_grad_(not frozen)
        if not frozen:
            parameters.append(parameter)
    return parameters


def _lazy_adam(parameters, lr, interval):
    """Adam, corrected for a regulariser that runs only every `interval` steps (Karras et al. 2020, appendix B)."""
    ratio = interval / (interval + 1) if interval > 1 else 1.0
    group = {"params": parameters, "initial_lr": lr * ratio}
    return torch.optim.Adam([group], lr=lr * ratio, betas=(0.0, 0.99**ratio), eps=1e-8)
