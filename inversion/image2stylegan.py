"""Image2StyleGAN (Abdal, Qin and Wonka 2019): w+ by gradient descent on a perceptual and a pixel loss.

    w+* = argmin  L_percept(x, G(w+)) + lambda_mse |x - G(w+)|^2 / N     (their Eq. 1)

Start at the mean latent, Adam with a fixed learning rate of 0.01, the generator's own noise. The perceptual term is
LPIPS here, where theirs is an unweighted squared distance of four VGG-16 layers; the published number of steps is 5000.
"""

import torch

from .common import (
    Inversion,
    check_target,
    constant_shapes,
    descend,
    lpips_to,
    starting_latents,
    variables_of,
)


def image2stylegan(generator, target, perceptual, *, steps=1000, lr=0.01, pixel_weight=1.0, start=None, on_step=None):
    """Invert N portraits together; arguments and result as in `latent_optimization`; pixel_weight: lambda_mse."""
    check_target(generator, target, steps)
    (w_plus,), optimizer = variables_of(starting_latents(generator, len(target), start))
    distance = lpips_to(perceptual, target)
    history = []
    with constant_shapes():
        for step in range(steps):
            image = generator.synthesis(w_plus, noise_mode="const")
            lpips = distance(image)  # [N]
            pixels = (image - target).square().mean([1, 2, 3])  # [N]
            descend(optimizer, lpips + pixel_weight * pixels, lr)
            history.append({"lpips": lpips.tolist(), "pixels": pixels.tolist()})
            if on_step is not None:
                on_step(step, lpips.detach())
    w_plus = w_plus.detach()
    with torch.no_grad():
        image = generator.synthesis(w_plus, noise_mode="const")
    return Inversion(w_plus, image, history)
