"""Growing: a trained network of a lower resolution starts a larger one (after Karras et al. 2018, without the fade).

In the skip generator the toRGB of every new block starts at zero, so that its picture is at first the smaller one's,
enlarged. The discriminator's new first block learns, before anything else, to feed the old ones what they are used to.
A generator may also be widened: it then draws at first exactly what the narrower one draws (kin: Chen et al. 2016,
Net2Net).
"""

import math

import torch
from torch.nn.functional import avg_pool2d

from .dataset import batch_at


def grow(smaller, larger):
    """Copy every tensor of equal name and shape from `smaller` into `larger`; new toRGB layers are zeroed."""
    old, new = smaller.state_dict(), larger.state_dict()
    for name, tensor in new.items():
        if name in old and old[name].shape == tensor.shape:
            tensor.copy_(old[name])
        elif ".torgb." in name and ".affine." not in name:
            tensor.zero_()


def widened(G, like):
    """A Generator that draws what G draws from the same z, with the widths (w, feature maps) of the generator `like`;
    G itself where they are equal. None of its widths may be below G's.

    What is new is random but has no effect yet: the old feature maps have zero weights for it. Where a layer divides by
    the root of the number of its inputs, its old weights grow by as much.
    """
    if (G.w_dim, channels(G)) == (like.w_dim, channels(like)[: len(channels(G))]):
        return G
    wider = type(G)(**{**like.config, "img_resolution": G.img_resolution})
    narrow = G.state_dict()
    for name, tensor in wider.state_dict().items():
        old = narrow[name]
        outputs = tensor[: len(old)] if tensor.ndim else tensor
        if old.shape[1:] != tensor.shape[1:]:  # more inputs
            divides = tensor.ndim == 2 or ".torgb." in name or ".skip." in name  # others normalise their weights
            old = old * (math.sqrt(tensor.shape[1] / old.shape[1]) if divides else 1)
            outputs.zero_()
            outputs = outputs[:, : old.shape[1]]
        outputs.copy_(old)
    with torch.no_grad():
        w = wider.mapping(torch.randn(10_000, G.z_dim), update_w_avg=False)[:, 0]
        wider.mapping.w_avg[G.w_dim :] = w.mean(0)[G.w_dim :]
    return wider


def channels(G):
    """Feature maps of a generator's blocks, from 4 pixels up."""
    return [len(block.conv1.bias) for block in G.synthesis.blocks()]


def fit_first_block(smaller, larger, images, seed=0, steps=150, batch=16):
    """Train the first block of a discriminator grown once to output what the smaller one's fromRGB gives.

    images: Pictures at the larger resolution. Returns the squared error, relative to the target's, of the
    first and the last step.
    """
    block = getattr(larger, f"b{larger.img_resolution}")
    fromrgb = getattr(smaller, f"b{smaller.img_resolution}").fromrgb
    optimizer = torch.optim.Adam(block.parameters(), lr=1e-2, betas=(0.9, 0.99))
    device, errors = next(block.parameters()).device, []
    for step in range(steps):
        x = batch_at(images, step * batch, batch, seed).to(device, memory_format=torch.channels_last)
        with torch.no_grad():
            target = fromrgb(avg_pool2d(x, 2))
        error = (block(None, x)[0] - target).square().mean() / target.square().mean()
        optimizer.zero_grad(set_to_none=True)
        error.backward()
        optimizer.step()
        errors.append(error.item())
    return errors[0], errors[-1]
