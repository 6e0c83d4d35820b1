"""The four phases of a training step (Fig. 3): each is one optimiser step on a loss of its own.

Every phase is a function (run, share, real) -> (loss, statistics): `run` holds the networks and is only read, `share`
says which pictures of the batch these are and draws their random numbers, `real` are the share's training pictures
[n, 3, R, R]. The loss is a mean over the share, statistics are {name: float}.
"""

from dataclasses import dataclass

import torch

from losses import adversarial
from stylegan2.ops.cpu_layer import separate_operators


def generator_phase(run, share, real):
    """Eq. 3: the adversarial loss of G, in fine-tuning with the identity losses, in plain training from nothing with
    reconstruction."""
    w_plus = latents(run, share, real)
    noise = share.noise(run.G)
    fake = run.G.synthesis(w_plus, noise=noise)
    fake_logits = run.D(augmented(run, fake, share))
    if run.config.pairing:
        with torch.no_grad():
            real_logits = run.D(augmented(run, real, share))
        loss = adversarial.pairing_loss(fake_logits, real_logits)
    else:
        loss = adversarial.generator_loss(fake_logits)
    statistics = {"loss_G": loss.item()}
    if reconstructs(run):
        half = share.n // 2
        value = run.reconstruction.loss(fake[-half:], real[-half:], w_plus[-half:], run.G.mapping.w_avg)
        loss = loss + run.config.reconstruction_weight * value
        statistics["loss_reconstruction"] = value.item()
    if run.identity is not None:
        with torch.no_grad():
            real_style = run.g_real.synthesis(w_plus, noise=noise)  # the same noise, or the losses compare noise
        for name, weight, value in run.identity(real_style, fake):
            loss = loss + weight * value
            statistics[name] = value.item()
    return loss, statistics


def path_length_phase(run, share, real):
    """Path length regularisation (Karras et al. 2020, eq. 4): |J^T y| shall be the same everywhere.

    The mean that the lengths are compared with is that of the steps before, so that it is one for the whole batch,
    however that is divided; the reference has moved it by `pl_decay` toward this batch's already.
    """
    c = run.config
    share = share.smaller(c.pl_batch_shrink)
    w_plus = sampled_latents(run, share)
    if not w_plus.requires_grad:
        w_plus.requires_grad_()
    with separate_operators():
        fake = run.G.synthesis(w_plus, noise=share.noise(run.G))
    lengths = adversarial.path_lengths(fake, w_plus, share.randn(*fake.shape[1:]))  # [n]
    penalty = (lengths - run.pl_mean).square().mean()
    statistics = {"path_length": lengths.mean().item(), "loss_path_length": penalty.item()}
    return c.pl_weight * c.pl_interval * penalty, statistics


def discriminator_phase(run, share, real):
    """D tells the training pictures from G's."""
    with torch.no_grad():
        fake = run.G.synthesis(latents(run, share, real), noise=share.noise(run.G))
    real_logits = run.D(augmented(run, real, share))
    fake_logits = run.D(augmented(run, fake, share))
    statistics = {}
    for name, logits in (("real", real_logits.detach()), ("fake", fake_logits.detach())):
        statistics[f"logits_{name}"] = logits.mean().item()
        statistics[f"signs_{name}"] = logits.sign().mean().item()
        statistics[f"spread_{name}"] = logits.std(correction=0).item()
    if run.config.pairing:
        statistics["signs_real"] = (real_logits - fake_logits).sign().mean().item()  # only differences mean anything
        loss = adversarial.pairing_loss(real_logits, fake_logits)
    else:
        loss = adversarial.discriminator_loss(real_logits, fake_logits)
    return loss, statistics | {"loss_D": loss.item()}


def r1_phase(run, share, real):
    """R1 (Mescheder et al. 2018): D shall be flat at the training pictures, as they are before the augmentation."""
    c = run.config
    real = real.detach().requires_grad_()
    penalty = adversarial.r1_penalty(real, run.D(augmented(run, real, share))).mean()
    return c.r1_gamma / 2 * c.r1_interval * penalty, {"r1_penalty": penalty.item()}


@dataclass(frozen=True)
class Phase:
    """A phase of the step: what it computes, which network it trains, and in every how many-th step it runs."""

    name: str
    loss: object
    network: str  # "G" or "D"
    interval: int


def phases(config):
    """The phases of a run, in the order of a step."""
    all_of_them = [
        Phase("G", generator_phase, "G", 1),
        Phase("path length", path_length_phase, "G", config.pl_interval),
        Phase("D", discriminator_phase, "D", 1),
        Phase("R1", r1_phase, "D", config.r1_interval),
    ]
    return [phase for phase in all_of_them if config.pl_weight or phase.name != "path length"]


# -- what they share


def reconstructs(run):
    """Whether half of each batch is drawn from an encoder's w+ of the training pictures."""
    return bool(run.config.reconstruction_weight) and run.reconstruction is not None


def latents(run, share, real):
    """w+ [n, num_ws, w_dim] of a batch of fakes. Second half: with reconstruction the encoder's w+ of the second half
    of `real`; in fine-tuning with a file of latents, some of those."""
    known = None
    if reconstructs(run):
        known = run.reconstruction.encode(real[-(share.n // 2) :], run.G.mapping.w_avg)
    elif run.w_plus is not None:
        chosen = share.randint(0, len(run.w_plus))[: share.n // 2].cpu()
        known = run.w_plus[chosen].float().to(run.device)
    sampled = sampled_latents(run, share)
    return sampled if known is None else torch.cat([sampled[: share.n - len(known)], known])


def sampled_latents(run, share):
    """w+ [n, num_ws, w_dim] of random z, a part of them mixed from two z at a random row."""
    G = run.G
    z = share.randn(2, G.z_dim)  # [n, 2, z_dim]
    w = G.mapping(z.flatten(0, 1), update_w_avg=False).unflatten(0, (share.n, 2))  # [n, 2, num_ws, w_dim]
    mixed = share.rand() < run.config.style_mixing
    cutoff = torch.where(mixed, share.randint(1, G.num_ws), G.num_ws)
    first = torch.arange(G.num_ws, device=run.device) < cutoff[:, None]  # [n, num_ws]
    return torch.where(first[:, :, None], w[:, 0], w[:, 1])


def augmented(run, images, share):
    return images if run.augment is None else run.augment(images, share=share)
