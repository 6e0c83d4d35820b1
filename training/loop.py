"""The training loop: a GAN from scratch, or g_real fine-tuned into g_rendering (Eq. 3).

All randomness of step k comes from (seed, k), and the pictures from the count shown so far, so a run that was stopped
and started again goes on exactly as if nothing had happened.
"""

import copy
import time
from pathlib import Path

import numpy as np
import torch

import stylegan2.checkpoints
from losses import adversarial
from stylegan2 import Discriminator, Generator

from . import distributed, snapshots
from .augment import AugmentPipe
from .dataset import batch_at, load_images, training_names
from .growth import fit_first_block, grow
from .reconstruction import Reconstruction
from .warm_start import warm_start


def train(config, out, device="cpu", progress=True):
    """Run `config` (a TrainingConfig) in the folder `out` until `config.kimg`; resumes what lies there.

    Writes `stats.jsonl`, TensorBoard events, `samples-*.png`, `snapshot.safetensors` (G_ema and D) and `state.pt`.
    Returns the path of the snapshot.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    device = distributed.start(device)
    rank, world_size = distributed.rank(), distributed.world_size()
    if config.batch % world_size:
        raise ValueError(f"a batch of {config.batch} cannot be shared by {world_size} processes")
    images = load_images(training_names(config.data, config.exclude), config.resolution)
    run = Run(config, device)
    if not snapshots.restore(run, out):
        prepare(run, images, out, progress)
        if rank == 0:
            snapshots.write(run, out)
            (out / "warm_start.pt").unlink(missing_ok=True)
    log = snapshots.Log(out, run, progress) if rank == 0 else None
    next_snapshot = run.seen + 1000 * config.snapshot_kimg
    while run.seen < 1000 * config.kimg:
        torch.manual_seed(config.seed * 1_000_003 + run.step * world_size + rank)
        real = batch_at(images, run.seen, config.batch, config.seed, config.mirror).chunk(world_size)[rank]
        started = time.perf_counter()
        statistics = run.train_step(real.to(device, memory_format=torch.channels_last))
        if log is not None:
            log.add(run, statistics, time.perf_counter() - started)
        if run.seen >= next_snapshot or run.seen >= 1000 * config.kimg:
            if rank == 0:
                snapshots.write(run, out)
            next_snapshot = run.seen + 1000 * config.snapshot_kimg
    if run.reconstruction is not None and rank == 0:
        snapshots.write_w_plus(run, images, out)
    distributed.stop()
    return out / "snapshot.safetensors"


def prepare(run, images, out, progress):
    """What comes before the first step of a plain run: the new block of a grown discriminator, the warm start."""
    config = run.config
    if config.init:
        start = stylegan2.checkpoints.load(config.init)["D"].to(run.device)
        if 2 * start.img_resolution == config.resolution:
            fit_first_block(start, run.D, images, config.seed)
    if config.warm_start_kimg:
        warm_start(run, images, out, progress)
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
        """Show D one batch of real pictures, this process' share [N, 3, R, R]. Returns {statistic: float}."""
        c = self.config
        statistics = self._generator_step(real)
        if c.pl_weight and self.step % c.pl_interval == 0:
            statistics |= self._path_length_step(len(real) // c.pl_batch_shrink)
        statistics |= self._discriminator_step(real)
        if self.step % c.r1_interval == 0:
            statistics |= self._r1_step(real)
        distributed.mean(self.G.mapping.w_avg)
        self.step += 1
        self.seen += c.batch
        self._update_ema(c.batch)
        if self.augment is not None and self.step % 4 == 0:
            self._update_augmentation(4 * c.batch)
        return statistics | {"augment_p": float(self.augment.p) if self.augment is not None else 0.0}

    # -- the four phases of a step

    def _generator_step(self, real):
        self._train_only(self.G)
        w_plus = self._w_plus_of_batch(real)
        noise = self.G.synthesis.sample_noise(len(real))
        fake = self.G.synthesis(w_plus, noise=noise)
        loss = adversarial.generator_loss(self.D(self._augmented(fake)))
        statistics = {"loss_G": loss.item()}
        if self.config.reconstruction_weight and self.reconstruction is not None:
            half, w_avg = len(real) // 2, self.G.mapping.w_avg
            value = self.reconstruction.loss(fake[-half:], real[-half:], w_plus[-half:], w_avg)
            loss = loss + self.config.reconstruction_weight * value
            statistics["loss_reconstruction"] = value.item()
        if self.identity is not None:
            with torch.no_grad():
                real_style = self.g_real.synthesis(w_plus, noise=noise)
            for name, weight, value in self.identity(real_style, fake):
                loss = loss + weight * value
                statistics[name] = value.item()
        _update(self.G_optimizer, loss)
        return statistics

    def _path_length_step(self, n):
        c = self.config
        self._train_only(self.G)
        w_plus = self._sample_w_plus(n)
        if not w_plus.requires_grad:
            w_plus.requires_grad_()
        lengths = adversarial.path_lengths(self.G.synthesis(w_plus, noise=self.G.synthesis.sample_noise(n)), w_plus)
        self.pl_mean = self.pl_mean.lerp(distributed.mean(lengths.detach().mean()), c.pl_decay)
        penalty = (lengths - self.pl_mean).square().mean()
        _update(self.G_optimizer, c.pl_weight * c.pl_interval * penalty)
        return {"path_length": lengths.mean().item(), "loss_path_length": penalty.item()}

    def _discriminator_step(self, real):
        self._train_only(self.D)
        with torch.no_grad():
            fake = self.G.synthesis(self._w_plus_of_batch(real), noise=self.G.synthesis.sample_noise(len(real)))
        real_logits, fake_logits = self.D(self._augmented(real)), self.D(self._augmented(fake))
        loss = adversarial.discriminator_loss(real_logits, fake_logits)
        _update(self.D_optimizer, loss)
        self.sign_sum += real_logits.detach().sign().mean().item()
        self.sign_count += 1
        return {
            "loss_D": loss.item(),
            "logits_real": real_logits.mean().item(),
            "logits_fake": fake_logits.mean().item(),
        }

    def _r1_step(self, real):
        c = self.config
        self._train_only(self.D)
        real = self._augmented(real).detach().requires_grad_()
        penalty = adversarial.r1_penalty(real, self.D(real)).mean()
        _update(self.D_optimizer, c.r1_gamma / 2 * c.r1_interval * penalty)
        return {"r1_penalty": penalty.item()}

    # -- parts of them

    def _train_only(self, network):
        self.D.requires_grad_(network is self.D)
        for parameter in self.trained:
            parameter.requires_grad_(network is self.G)

    def _sample_w_plus(self, n):
        """W+ latents [n, num_ws, w_dim], a share of them mixed from two z at a random row."""
        transfer = self.g_real is not None
        z = torch.randn([2, n, self.G.z_dim], device=self.device)
        w = self.G.mapping(z.flatten(0, 1), update_w_avg=not transfer).unflatten(0, (2, n))
        cutoff = torch.randint(1, self.G.num_ws, [n], device=self.device)
        cutoff[torch.rand([n], device=self.device) >= self.config.style_mixing] = self.G.num_ws
        first = torch.arange(self.G.num_ws, device=self.device) < cutoff[:, None]  # [n, num_ws]
        return torch.where(first[:, :, None], w[0], w[1])

    def _w_plus_of_batch(self, real):
        """Latents for a batch of fakes. Second half: with reconstruction the w+ of the second half of `real`; in
        fine-tuning with a file of latents, some of those."""
        half = len(real) // 2
        if self.config.reconstruction_weight and self.reconstruction is not None:
            known = self.reconstruction.encode(real[-half:], self.G.mapping.w_avg)
        elif self.w_plus is not None:
            known = self.w_plus[torch.randint(len(self.w_plus), [half])].float().to(self.device)
        else:
            return self._sample_w_plus(len(real))
        return torch.cat([self._sample_w_plus(len(real) - half), known])

    def _augmented(self, images):
        return images if self.augment is None else self.augment(images)

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


class IdentityLosses:
    """Sketch and colour loss between the two styles of one latent (Eqs. 1 and 2)."""

    def __init__(self, config, device):
        from losses.perceptual import load_perceptual
        from sketch.checkpoints import load_sketch_extractor

        self.config = config
        self.extractor = self.perceptual = None
        if config.sketch_weight:
            self.extractor = load_sketch_extractor(config.sketch_weights_file).to(
                device, memory_format=torch.channels_last
            )
        if config.color_weight:
            self.perceptual = load_perceptual(config.perceptual_weights_file).to(
                device, memory_format=torch.channels_last
            )

    def __call__(self, real_style, rendering_style):
        """Yield (name, weight, scalar) for each loss in use."""
        from losses.color import color_loss
        from losses.sketch import sketch_loss

        c = self.config
        if self.extractor is not None:
            value = sketch_loss(self.extractor, real_style, rendering_style, c.sketch_size, c.sketch_reduction)
            yield "loss_sketch", c.sketch_weight, value
        if self.perceptual is not None:
            value = color_loss(
                self.perceptual, real_style, rendering_style, c.color_size, c.color_kernel, c.color_sigma
            )
            yield "loss_color", c.color_weight, value


def build_networks(config):
    """(G, D, g_real) of a run; g_real is None in plain training."""
    if config.g_real:
        start = stylegan2.checkpoints.load(config.g_real)
        g_real = start["G_ema"]
        if g_real.img_resolution != config.resolution:
            raise ValueError(
                f"{config.g_real}: draws {g_real.img_resolution}x{g_real.img_resolution}, "
                f"but the run's resolution is {config.resolution}"
            )
        return copy.deepcopy(g_real), start["D"], g_real.eval().requires_grad_(False)
    widths = dict(
        channel_base=config.channel_base, channel_max=config.channel_max, num_fp16_res=config.num_fp16_res,
        conv_clamp=config.conv_clamp if config.num_fp16_res else None,
    )  # fmt: skip
    mapping = {"num_layers": config.mapping_layers}
    G = Generator(config.z_dim, 0, config.w_dim, config.resolution, 3, mapping, widths)
    D = Discriminator(0, config.resolution, 3, **widths, epilogue_kwargs={"mbstd_group_size": 4})
    if config.init:
        start = stylegan2.checkpoints.load(config.init)
        grow(start["G_ema"], G)
        grow(start["D"], D)
    return G, D, None


def load_w_plus(path, G):
    """The latents [M, num_ws, w_dim] of a `w_plus.npz`. Raises ValueError, naming the file, when they do not fit G."""
    with np.load(path, allow_pickle=False) as file:
        w_plus = torch.from_numpy(file["w_plus"])
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
    return torch.optim.Adam(parameters, lr=lr * ratio, betas=(0.0, 0.99**ratio), eps=1e-8)


def _update(optimizer, loss):
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    distributed.average_gradients(parameters)
    for parameter in parameters:
        torch.nan_to_num(parameter.grad, nan=0, posinf=1e5, neginf=-1e5, out=parameter.grad)
    optimizer.step()
