"""Pivotal tuning inversion, PTI (Roich, Mokady, Bermano and Cohen-Or 2021): find a w, then bend the generator to it.

The pivot is an inversion into W by `latent_optimization`; around it a copy of the synthesis network is trained,

    G* = argmin  LPIPS(x, G(w_p)) + lambda_2 |x - G(w_p)|^2 / N     (their Eqs. 2 and 3, without the locality term)

by Adam at 3e-4 for at most 350 steps, ending early at an LPIPS of 0.06. Every portrait has a generator of its own, so
portraits are tuned one after the other.
"""

import copy

import torch

from .common import Inversion, check_target, constant_shapes, lpips_to, starting_latents
from .compiled import uncompiled
from .latent_optimization import latent_optimization


def pivotal_tuning(
    generator,
    target,
    perceptual,
    *,
    steps=350,  # of the tuning, at most
    lr=3e-4,  # of the tuning
    pixel_weight=1.0,  # lambda_2
    stop=0.06,  # the LPIPS at which the tuning ends
    start=None,  # pivots [N or 1, num_ws, w_dim], which are then not sought
    pivot_steps=450,  # of `latent_optimization` in W that find them otherwise
    on_step=None,
):
    """Invert N portraits; arguments and result as in `latent_optimization`. history holds the tuning only; the
    Inversion's `generators` are the N tuned copies, in eval mode; `generator` itself is not touched.
    """
    check_target(generator, target, steps)
    n = len(target)
    if start is None:
        start = latent_optimization(generator, target, perceptual, steps=pivot_steps, space="w").w_plus
    pivots = starting_latents(generator, n, start)
    images, generators, histories = [], [], []
    for pivot, x in zip(pivots.split(1), target.split(1), strict=True):
        tuned = copy.deepcopy(uncompiled(generator))
        parameters = list(tuned.synthesis.parameters())
        for parameter in parameters:
            parameter.requires_grad_(True)
        optimizer = torch.optim.Adam(parameters, lr=lr)
        distance = lpips_to(perceptual, x)
        history = []
        with constant_shapes():
            for step in range(steps):
                image = tuned.synthesis(pivot, noise_mode="const")
                lpips = distance(image)  # [1]
                pixels = (image - x).square().mean([1, 2, 3])
                history.append({"lpips": lpips.item(), "pixels": pixels.item()})
                if on_step is not None:
                    on_step(step, lpips.detach())
                if lpips.item() <= stop:
                    break
                optimizer.zero_grad(set_to_none=True)
                (lpips + pixel_weight * pixels).sum().backward()
                optimizer.step()
        tuned.requires_grad_(False)
        with torch.no_grad():
            images.append(tuned.synthesis(pivot, noise_mode="const"))
        generators.append(tuned)
        histories.append(history)
    longest = max(map(len, histories))
    padded = [history + history[-1:] * (longest - len(history)) for history in histories]  # a stopped one stays
    history = [{k: [h[i][k] for h in padded] for k in padded[0][0]} for i in range(longest)]
    return Inversion(pivots, torch.cat(images), history, generators)
