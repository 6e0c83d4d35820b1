"""Eq. 4: find the w+ (and noise) with which a generator draws a given portrait.

    w+*, n* = argmin  LPIPS(x, G(w+, n)) + lambda_n L_n(n)

The projector of Karras et al. 2020 (appendix D), in W+ as the paper uses it: start at the mean latent, let a decaying
random disturbance of w+ help the first steps, ramp the learning rate up and down, keep the noise maps normalised. n* is
thrown away afterwards: the regulariser keeps the picture's content out of it.
"""

import math

import torch

from losses.noise import noise_regularization, normalize_noise

from .common import (
    Inversion,
    check_target,
    constant_shapes,
    descend,
    latent_statistics,
    lpips_to,
    noise_buffers,
    starting_latents,
    variables_of,
)


def latent_optimization(
    generator,  # frozen Generator
    target,  # float32 [N, 3, R, R] in [-1, 1], R = generator.img_resolution
    perceptual,  # a network of losses/perceptual.py
    *,
    steps=500,
    lr=0.1,  # Adam's, at its plateau
    noise_weight=1e5,  # lambda_n; None = the noise maps stay the generator's own and only w+ is sought
    disturbance=0.05,  # of w+, standard deviation of every component at first, relative to the spread |w - mean|
    start=None,  # w+ to begin with, [N or 1, num_ws, w_dim]; None = the mean latent
    space="w+",  # or "w" = one latent for all layers
    distance=None,  # what is minimised in place of LPIPS: pictures [N, 3, R, R] -> [N]
    name="lpips",  # of that distance in the history
    on_step=None,  # on_step(step, distance [N]) is called after every step
):
    """Invert N portraits together; each is optimised as if it were alone. Returns an Inversion.

    The projector disturbs w+ by 0.05 of the spread, which preset `paper` does; the default is what measured better.
    Raises ValueError for a target of the wrong shape or with NaN.
    """
    check_target(generator, target, steps)
    if space not in ("w", "w+"):
        raise ValueError(f"space is 'w' or 'w+', got {space!r}")
    n, device = len(target), target.device
    spread = latent_statistics(generator)[1]
    w_plus = starting_latents(generator, n, start)  # [N, num_ws, w_dim]
    latents = w_plus if space == "w+" else w_plus.mean(1, keepdim=True)
    maps = [] if noise_weight is None else noise_buffers(generator)
    (w, *noise), optimizer = variables_of(latents, *(m.expand(n, 1, *m.shape) for m in maps))
    distance = distance or lpips_to(perceptual, target)
    random = torch.Generator().manual_seed(0)

    history = []
    with constant_shapes():
        for step in range(steps):
            t = step / steps
            strength = spread * disturbance * max(0.0, 1 - t / 0.75) ** 2
            # One disturbance for the whole batch, so that a portrait's result does not depend on its neighbours.
            shift = torch.randn([1, *latents.shape[1:]], generator=random).to(device) * strength
            found = distance(draw(generator, (w + shift).expand(-1, generator.num_ws, -1), noise))  # [N]
            regularization = noise_regularization(noise) if noise else torch.zeros_like(found)  # [N]
            descend(optimizer, found + (noise_weight or 0) * regularization, lr * learning_rate_ramp(t))
            with torch.no_grad():
                normalize_noise(noise)
            history.append({name: found.tolist(), "noise": regularization.tolist()})
            if on_step is not None:
                on_step(step, found.detach())

    w_plus = w.detach().expand(-1, generator.num_ws, -1).contiguous()
    with torch.no_grad():
        image = draw(generator, w_plus, noise)
    return Inversion(w_plus, image, history)


def draw(generator, w_plus, noise):
    """A picture of w+ with the given noise maps, or the generator's own when there are none."""
    return generator.synthesis(w_plus, noise=noise) if noise else generator.synthesis(w_plus, noise_mode="const")


def learning_rate_ramp(t):
    """Factor on the learning rate at time t in [0, 1): linear rise over the first 5 %, cosine fall over the last 25."""
    fall = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / 0.25))
    return fall * min(1.0, t / 0.05)
