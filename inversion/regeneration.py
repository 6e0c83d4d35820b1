"""The last step of Fig. 2(b): g_real draws the latent that was found in g_rendering.

Where pivotal tuning bent g_rendering to the person, g_real is bent in the same way: its weights are changed by the
difference that tuning made,

    theta_real + (theta_tuned - theta_rendering)

The two generators are aligned, one being the other's fine-tuned copy (Wu et al., "StyleAlign", 2022), so a change of
weights means in one what it means in the other (Ilharco et al., "Editing Models with Task Arithmetic", 2023). What W+
cannot hold of a person is carried over; the style, which lies in theta_real - theta_rendering, stays g_real's. This is
not in the paper.
"""

import copy

import torch


@torch.no_grad()
def regenerate(g_real, inversion, g_rendering=None):
    """The portraits g_real draws of an Inversion into g_rendering, with its own noise: [N, 3, R, R] in [-1, 1].

    g_rendering: needed only where the inversion has `generators`, its tuned copies. Raises ValueError when the two
    generators differ in architecture.
    """
    if inversion.generators is None:
        return g_real.synthesis(inversion.w_plus, noise_mode="const")
    images = [
        changed_alike(g_real, g_rendering, tuned).synthesis(w_plus, noise_mode="const")
        for tuned, w_plus in zip(inversion.generators, inversion.w_plus.split(1), strict=True)
    ]
    return torch.cat(images)


@torch.no_grad()
def changed_alike(other, generator, tuned):
    """A copy of `other` whose synthesis differs from it as `tuned` differs from `generator`."""
    result = copy.deepcopy(other)
    before, after = dict(generator.synthesis.named_parameters()), dict(tuned.synthesis.named_parameters())
    for name, parameter in result.synthesis.named_parameters():
        if name not in before or before[name].shape != parameter.shape:
            raise ValueError(f"the generators differ in architecture at {name}")
        parameter += after[name] - before[name]
    return result
