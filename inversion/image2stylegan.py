"""Image2StyleGAN (Abdal, Qin and Wonka 2019): w+ by gradient descent on a perceptual and a pixel loss.

    w+* = argmin  L_percept(x, G(w+)) + lambda_mse |x - G(w+)|^2 / N     (their Eq. 1)

Start at the mean latent, Adam with a fixed learning rate of 0.01, the generator's own noise. The perceptual term is
LPIPS here, where theirs is an unweighted squared distance of four VGG-16 layers; the published number of steps is 5000.
"""

import torch

from .common import Inversion, Portraits, check_target, comparable, recorded, starting_latents


def image2stylegan(generator, target, perceptual, *, steps=1000, lr=0.01, pixel_weight=1.0, start=None, on_step=None):
    """Invert N portraits together; arguments and result as in `latent_optimization`; pixel_weight: lambda_mse."""
    check_target(generator, target, steps)
    n = len(target)
    portraits = Portraits(starting_latents(generator, n, start))
    with torch.no_grad():
        wanted = perceptual.features(comparable(target))
    history = []
    for step in range(steps):
        (w_plus,) = portraits.variables
        image = generator.synthesis(w_plus, noise_mode="const")
        lpips = perceptual.distance(perceptual.features(comparable(image)), wanted)  # [N]
        pixels = (image - target).square().mean([1, 2, 3])  # [N]
        portraits.step(lpips + pixel_weight * pixels, lr)
        recorded(history, portraits.rows, n, {"lpips": lpips, "pixels": pixels})
        if on_step is not None:
            on_step(step, lpips.detach())
    w_plus = portraits.variables[0].detach()
    with torch.no_grad():
        image = generator.synthesis(w_plus, noise_mode="const")
    return Inversion(w_plus, image, history)
