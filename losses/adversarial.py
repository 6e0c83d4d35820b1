"""The original StyleGAN2-ADA losses, `L_origin` of Eq. 3: non-saturating logistic loss, R1 and path length.

Goodfellow et al. 2014; Mescheder et al. 2018 (R1); Karras et al. 2020, eq. 4 (path length).
"""

import math

import torch
import torch.nn.functional as F


def generator_loss(fake_logits):
    """-log sigmoid(D(G(z))), averaged. fake_logits [N, 1] -> scalar."""
    return F.softplus(-fake_logits).mean()


def discriminator_loss(real_logits, fake_logits):
    """-log sigmoid(D(x)) - log(1 - sigmoid(D(G(z)))), averaged over the batch. [N, 1] each -> scalar."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def pairing_loss(higher_logits, lower_logits):
    """-log sigmoid(higher - lower), averaged over the pairs, [N, 1] each -> scalar.

    The relativistic pairing loss (Jolicoeur-Martineau 2018; Huang et al. 2024, eq. 2): D wants the logit of a real
    picture above that of the fake it is paired with, G the other way round, so G cannot win by a few good fakes alone.
    """
    return F.softplus(lower_logits - higher_logits).mean()


def r1_penalty(real_images, real_logits):
    """Squared gradient norm of D at real pictures, [N, 3, H, W] (requiring grad), [N, 1] -> [N]; weight gamma / 2."""
    (gradient,) = torch.autograd.grad(real_logits.sum(), real_images, create_graph=True)
    return gradient.square().sum([1, 2, 3])


def path_lengths(images, w_plus, noise=None):
    """|J_w^T y| for random pictures y of pixel variance 1 / (H W): [N, 3, H, W], [N, num_ws, w_dim] -> [N]."""
    height, width = images.shape[2:]
    noise = torch.randn_like(images) if noise is None else noise
    (gradient,) = torch.autograd.grad((images * noise / math.sqrt(height * width)).sum(), w_plus, create_graph=True)
    return gradient.square().sum(2).mean(1).sqrt()
