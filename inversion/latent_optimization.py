"""Eq. 4: find the w+ (and noise) with which a generator draws a given portrait.

    w+*, n* = argmin  LPIPS(x, G(w+, n)) + lambda_n L_n(n)

The projector of Karras et al. 2020 (appendix D), in W+ as the paper uses it: start at the mean latent, let a decaying
random disturbance of w+ help the first steps, ramp the learning rate up and down, keep the noise maps normalised. n* is
thrown away afterwards: the regulariser keeps the picture's content out of it.
"""

import math
from dataclasses import dataclass

import torch
from torch.nn.functional import interpolate

from losses.noise import noise_regularization, normalize_noise

LPIPS_SIZE = 256  # larger pictures are compared at this size, as the paper's projector does


@dataclass(frozen=True)
class Inversion:
    """w_plus [N, num_ws, w_dim]; image [N, 3, R, R] = G(w_plus, n*), the reconstruction; history: one dict a step with
    the per-portrait lists "lpips" and "noise"."""

    w_plus: torch.Tensor
    image: torch.Tensor
    history: list


def latent_optimization(generator, target, perceptual, *, steps=500, lr=0.1, noise_weight=1e5, disturbance=0.05,
                        on_step=None):  # fmt: skip
    """Invert N portraits together; each is optimised as if it were alone.

    generator: frozen Generator. target: float32 [N, 3, R, R] in [-1, 1], R = generator.img_resolution. perceptual: a
    network of losses/perceptual.py. lr: Adam's, at its plateau. noise_weight: lambda_n. disturbance: initial standard
    deviation of the random shift of w+, relative to the spread of w. on_step(step, lpips [N]) is called after every
    step. Returns an Inversion. Raises ValueError for a target of the wrong shape or with NaN.
    """
    size = generator.img_resolution
    if target.ndim != 4 or target.shape[1:] != (3, size, size):
        raise ValueError(f"target must be [N, 3, {size}, {size}], got {list(target.shape)}")
    if not torch.isfinite(target).all():
        raise ValueError("target holds NaN or infinite values")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    n, device = len(target), target.device
    mean, spread = latent_statistics(generator)
    w_plus = mean.expand(n, generator.num_ws, -1).clone().requires_grad_()  # [N, num_ws, w_dim]
    noise = [m.expand(n, 1, *m.shape).clone().requires_grad_() for m in noise_buffers(generator)]
    optimizer = torch.optim.Adam([w_plus, *noise], betas=(0.9, 0.999))
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        wanted = perceptual.features(_comparable(target))

    history = []
    for step in range(steps):
        t = step / steps
        for group in optimizer.param_groups:
            group["lr"] = lr * learning_rate_ramp(t)
        strength = spread * disturbance * max(0.0, 1 - t / 0.75) ** 2
        # One disturbance for the whole batch, so that a portrait's result does not depend on its neighbours.
        shift = torch.randn([1, *w_plus.shape[1:]], generator=random).to(device) * strength
        image = generator.synthesis(w_plus + shift, noise=noise)
        lpips = perceptual.distance(perceptual.features(_comparable(image)), wanted)  # [N]
        regularization = noise_regularization(noise)  # [N]
        optimizer.zero_grad(set_to_none=True)
        (lpips + noise_weight * regularization).sum().backward()
        optimizer.step()
        with torch.no_grad():
            normalize_noise(noise)
        history.append({"lpips": lpips.tolist(), "noise": regularization.tolist()})
        if on_step is not None:
            on_step(step, lpips.detach())

    with torch.no_grad():
        image = generator.synthesis(w_plus, noise=noise)
    return Inversion(w_plus.detach(), image, history)


@torch.no_grad()
def latent_statistics(generator, samples=10_000):
    """Mean [w_dim] and spread (a number) of w over `samples` draws with a fixed seed: where the optimisation starts."""
    device = generator.mapping.w_avg.device
    z = torch.randn([samples, generator.z_dim], generator=torch.Generator().manual_seed(123)).to(device)
    w = torch.cat([generator.mapping(part)[:, 0] for part in z.split(1000)])
    mean = w.mean(0)
    return mean, ((w - mean).square().sum() / samples).sqrt().item() / math.sqrt(generator.w_dim)


def noise_buffers(generator):
    """The generator's own noise maps, [R, R] each, in layer order."""
    return [module.noise_const for module in generator.synthesis.modules() if hasattr(module, "noise_const")]


def learning_rate_ramp(t):
    """Factor on the learning rate at time t in [0, 1): linear rise over the first 5 %, cosine fall over the last 25."""
    fall = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / 0.25))
    return fall * min(1.0, t / 0.05)


def _comparable(image):
    """What LPIPS sees: at most LPIPS_SIZE pixels wide."""
    if image.shape[2] <= LPIPS_SIZE:
        return image
    return interpolate(image, size=(LPIPS_SIZE, LPIPS_SIZE), mode="area")
