"""Warm start for a small budget: the generator learns faces as an autoencoder before the GAN sharpens them.

A GAN that starts from random weights spends most of its first hundred thousand pictures on finding out that faces have
two eyes. Here an encoder x -> (z, w+) is trained with the generator as its decoder. Half of each batch is drawn from z
through the mapping network, as a variational autoencoder (Kingma and Welling 2014), so that z ~ N(0, 1) gives faces;
the other half from w+, so that W+ holds what the inversion will look for. The paper starts from StyleGAN2-FFHQ and
needs none of this: it is for generators trained from nothing, like the demo's.
"""

import torch

from . import distributed
from .dataset import batch_at
from .reconstruction import Reconstruction


def warm_start(G, D, images, config, progress=True):
    """Train G (in place) for `config.warm_start_kimg` as a decoder and give D the encoder's trunk.

    images: uint8 [N, 3, R, R]. Loss per picture: `Reconstruction.loss` plus, for the half that goes through z,
    `config.warm_start_kl` x KL(q(z|x) | N(0, 1)) in nats. Returns the last batch's {"error", "kl"}.
    """
    from tqdm import tqdm

    from .loop import sample_noise

    device = next(G.parameters()).device
    network = Reconstruction(G, D, config, extra_features=2 * G.z_dim).to(device, memory_format=torch.channels_last)
    parameters = [p for p in (*network.encoder.parameters(), *G.parameters()) if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=config.lr, betas=(0.9, 0.99))
    total = int(1000 * config.warm_start_kimg)
    rank, world_size = distributed.rank(), distributed.world_size()
    bar = tqdm(total=total, unit="img", desc="warm start", disable=not progress or rank > 0, mininterval=10)
    statistics = {}
    for position in range(0, total, config.batch):
        torch.manual_seed(config.seed * 1_000_003 + position * world_size + rank)
        x = batch_at(images, position, config.batch, config.seed, config.mirror).chunk(world_size)[rank]
        x = x.to(device, memory_format=torch.channels_last)
        features = network.encoder(x)
        half = len(x) // 2
        mean, log_variance = features[:half, : 2 * G.z_dim].chunk(2, dim=1)
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
        offsets = features[half:, 2 * G.z_dim :].unflatten(1, network.rows)
        w_plus = torch.cat([G.mapping(z), G.mapping.w_avg + offsets])
        y = G.synthesis(w_plus, noise=sample_noise(G, len(x)))
        error = network.loss(y, x, w_plus, G.mapping.w_avg)
        for group in optimizer.param_groups:  # settle at the end
            group["lr"] = config.lr * min(1.0, 4 * (1 - position / total))
        optimizer.zero_grad(set_to_none=True)
        (error + config.warm_start_kl * kl).backward()
        distributed.average_gradients(parameters)
        optimizer.step()
        statistics = {"error": error.item(), "kl": kl.item()}
        bar.update(config.batch)
        bar.set_postfix({k: f"{v:.3g}" for k, v in statistics.items()}, refresh=False)
    bar.close()
    state = D.state_dict()
    for name, tensor in network.encoder.trunk.state_dict().items():
        if state[name].shape == tensor.shape:
            state[name].copy_(tensor)
    return statistics
