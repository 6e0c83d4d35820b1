"""Between two generators of one family: how strong the fine-tuned style is, and at which resolutions.

"Resolution Dependent GAN Interpolation for Controllable Image Synthesis Between Domains" (Pinkney and Adler 2020): the
weights of every block are interpolated, w = (1 - a) w_first + a w_second, with an `a` per resolution. One `a` for all
is a strength slider; a step between two resolutions is layer swapping.
"""

import copy
import re

import torch


@torch.no_grad()
def blend(first, second, share):
    """A generator between two.

    first, second: Generators of one architecture. share: float, or a function of a block's resolution (4, 8, ...); 0
    gives `first`, 1 gives `second`, values outside extrapolate. The mapping network and everything else that belongs to
    no block is `first`'s, so the latents mean the same (in our fine-tuning both have the same one). Returns a new
    Generator; raises ValueError when the two do not fit.
    """
    states = first.state_dict(), second.state_dict()
    if {k: v.shape for k, v in states[0].items()} != {k: v.shape for k, v in states[1].items()}:
        raise ValueError("the two generators differ in architecture; blend a generator with its own fine-tuned copy")
    result = copy.deepcopy(first)
    for name, tensor in result.state_dict().items():
        block = re.match(r"synthesis\.b(\d+)\.", name)
        if block and tensor.is_floating_point():
            amount = share(int(block[1])) if callable(share) else share
            tensor.copy_(states[0][name].lerp(states[1][name], amount))
    return result


def swap_at(resolution, sharpness=None):
    """Pinkney and Adler's layer swapping as a `share`: `first` below `resolution`, `second` from there on.

    sharpness: None = a step; otherwise a logistic ramp in octaves of resolution, the steeper the larger.
    """
    from math import exp, log2

    def share(block):
        octaves = log2(block) - log2(resolution) + 0.5
        if sharpness is None:
            return float(octaves > 0)
        return 1 / (1 + exp(-sharpness * octaves))

    return share
