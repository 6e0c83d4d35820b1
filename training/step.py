"""One training step: the phases, then what follows the weights (mean latent, EMA) and D's overfitting (ADA).

All randomness of step k comes from (seed, k), and the batch may be divided among processes and portions: the weights
are then those of the undivided batch.
"""

import torch

from machine import processes

from .phases import phases
from .run import division
from .shares import Share

SEEDS = ("G", "path length", "D", "R1")  # each phase of a step has its own random numbers


def train_step(run, real):
    """Show D one batch of real pictures; `real` is this process's share of it, [batch / processes, 3, R, R].

    Returns {statistic: float}. Raises FloatingPointError, before any weight is touched, when a loss is not finite.
    """
    c = run.config
    left = 1 - run.seen / (1000 * c.kimg)
    factor = 1.0 if left >= c.lr_rampdown else left / c.lr_rampdown
    for optimizer in (run.G_optimizer, run.D_optimizer):
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
    statistics = {}
    for phase in phases(c):
        if run.step % phase.interval == 0:
            statistics |= optimiser_step(run, phase, real)
    if "path_length" in statistics:
        mean = torch.tensor(statistics["path_length"], device=run.device)
        run.pl_mean = run.pl_mean.lerp(processes.mean(mean), c.pl_decay)
    if run.g_real is None:
        follow_mean_latent(run)
    run.sign_sum += statistics["signs_real"]
    run.sign_count += 1
    run.step += 1
    run.seen += c.batch
    follow_weights(run)
    if run.augment is not None and run.step % 4 == 0:
        adapt_augmentation(run, 4 * c.batch)
    return statistics | {"augment_p": float(run.augment.p) if run.augment is not None else 0.0}


def optimiser_step(run, phase, real):
    """One step of the phase's network down the mean, over the batch, of the phase's loss; {statistic: float}."""
    optimizer = run.D_optimizer if phase.network == "D" else run.G_optimizer
    run.D.requires_grad_(phase.network == "D")
    for parameter in run.trained:
        parameter.requires_grad_(phase.network == "G")
    optimizer.zero_grad(set_to_none=True)
    rank, world_size = processes.rank(), processes.world_size()
    portions, _ = division(run.config, run.D)
    totals = {}
    for part in range(portions):
        seed_of(run, phase.name)
        share = Share(rank + part * world_size, portions * world_size, run.config.batch, run.device)
        pictures = real[part::portions].to(run.device, memory_format=torch.channels_last)
        loss, statistics = phase.loss(run, share, pictures)
        if not torch.isfinite(loss):
            values = ", ".join(f"{key} {value:.3g}" for key, value in statistics.items())
            raise FloatingPointError(f"at {run.seen / 1000:g} kimg the {phase.name} loss is {loss.item()} ({values})")
        (loss / portions).backward()
        for key, value in statistics.items():
            totals[key] = totals.get(key, 0.0) + value / portions
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    processes.average_gradients(parameters)
    for parameter in parameters:
        torch.nan_to_num(parameter.grad, nan=0, posinf=1e5, neginf=-1e5, out=parameter.grad)
    optimizer.step()
    return totals


def seed_of(run, name):
    """Set the random numbers of a phase of the present step."""
    torch.manual_seed(run.config.seed * 1_000_003 + len(SEEDS) * run.step + SEEDS.index(name))


@torch.no_grad()
def follow_mean_latent(run):
    """w_avg, which truncation and the encoder start from, moves once a step toward the mean w of G's batch."""
    mapping, config = run.G.mapping, run.config
    seed_of(run, "G")
    share = Share(processes.rank(), processes.world_size(), config.batch, run.device)
    w = mapping(share.randn(2, run.G.z_dim).flatten(0, 1), update_w_avg=False)[:, 0]  # [2 n, w_dim]
    mapping.w_avg.copy_(processes.mean(w.mean(0)).lerp(mapping.w_avg, mapping.w_avg_beta))


@torch.no_grad()
def follow_weights(run):
    """G_ema, the average of G's weights with a half-life of `ema_kimg`; buffers are G's."""
    c = run.config
    half_life = c.ema_kimg * 1000
    if c.ema_rampup is not None:
        half_life = min(half_life, run.seen * c.ema_rampup)
    beta = 0.5 ** (c.batch / max(half_life, 1e-8))
    for average, value in zip(run.G_ema.parameters(), run.G.parameters(), strict=True):
        average.copy_(value.lerp(average, beta))
    for average, value in zip(run.G_ema.buffers(), run.G.buffers(), strict=True):
        average.copy_(value)


def adapt_augmentation(run, n):
    """Karras et al. 2020b, section 3: raise p while the share of positive D(real), as r_t, is above the target; `n`
    pictures were shown since it was last done."""
    r_t = processes.mean(torch.tensor(run.sign_sum / run.sign_count, device=run.device))
    run.sign_sum = run.sign_count = 0.0
    change = (1 if r_t > run.config.ada_target else -1) * n / (run.config.ada_kimg * 1000)
    run.augment.p.copy_((run.augment.p + change).clamp(min=0))
