"""Warm start for a small budget: the generator learns faces as an autoencoder before the GAN sharpens them.

A GAN that starts from random weights spends most of its first hundred thousand pictures on finding out that faces have
two eyes. Here an encoder x -> (z, w+) is trained with the generator as its decoder. A quarter of each batch is drawn
from z through the mapping network, as a variational autoencoder (Kingma and Welling 2014), so that z ~ N(0, 1) gives
faces; the rest from w+, so that W+ holds what the inversion will look for. The paper starts from StyleGAN2-FFHQ and
needs none of this: it is for generators trained from nothing, like the demo's.
"""

import torch
from torch.nn.functional import adaptive_avg_pool2d

from machine import processes
from stylegan2 import Generator
from weights.files import first_line, written_atomically

from . import snapshots, stopping
from .dataset import batch_at
from .shares import Share


def warm_start(run, images, out, received=(), progress=True):
    """Train run.G (in place) for `warm_start_kimg` as a decoder, and give D the encoder's trunk.

    images: Pictures. Loss per picture: `Reconstruction.loss` plus, for the quarter that goes through z,
    `warm_start_kl` x KL(q(z|x) | N(0, 1)) in nats. Every `snapshot_kimg` the state goes to `out/warm_start.pt`, from
    where a stopped run goes on, and a grid of pictures and reconstructions beside it. Returns the last batch's
    {"error", "kl"}. Raises Stopped, with the state saved, once a signal is in `received`.
    """
    from torch.utils.tensorboard import SummaryWriter
    from tqdm import tqdm

    config, G, network = run.config, run.G, run.reconstruction
    drawn = up_to(G, config.warm_start_size)
    parameters = [p for p in (*network.encoder.parameters(), *G.parameters()) if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=config.lr, betas=(0.9, 0.99))
    total = int(1000 * config.warm_start_kimg)
    rank, world_size = processes.rank(), processes.world_size()
    start = _restore(out, G, network.encoder, optimizer)
    writer = SummaryWriter(out) if rank == 0 else None
    bar = tqdm(
        total=total, initial=start, unit="img", desc="warm start", disable=not progress or rank > 0, mininterval=10
    )
    next_state = start + 1000 * config.snapshot_kimg
    statistics = {}
    for position in range(start, total, config.batch):
        number = stopping.requested(received, run.device)
        if rank == 0 and (number or position >= next_state):
            _write(out, position, G, network.encoder, optimizer)
            reconstruction_grid(run, images).save(out / f"warm_start-{position // 1000:06d}.png")
            next_state += 1000 * config.snapshot_kimg
        if number:
            raise stopping.Stopped(number)
        G.requires_grad_(position >= 1000 * config.encoder_kimg)
        torch.manual_seed(config.seed * 1_000_003 + position)
        share = Share(rank, world_size, config.batch, run.device)
        x = batch_at(images, position, config.batch, config.seed, config.mirror, share)
        x = x.to(run.device, memory_format=torch.channels_last)
        mean, log_variance, w_plus = network.encoder(x, G.mapping.w_avg)
        part = max(len(x) // 4, 1)  # goes through z
        mean, log_variance = mean[:part], log_variance[:part]
        z = mean + share.randn(G.z_dim)[:part] * (log_variance / 2).exp()
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
        w_plus = torch.cat([G.mapping(z), w_plus[part:]])
        y = drawn.synthesis(w_plus[:, : drawn.num_ws], noise=share.noise(drawn))
        x = adaptive_avg_pool2d(x, drawn.img_resolution)
        error = network.loss(y, x, w_plus, G.mapping.w_avg)
        for group in optimizer.param_groups:  # settle at the end
            group["lr"] = config.lr * min(1.0, 4 * (1 - position / total))
        optimizer.zero_grad(set_to_none=True)
        (error + config.warm_start_kl * kl).backward()
        processes.average_gradients(parameters)
        optimizer.step()
        processes.mean(G.mapping.w_avg)
        statistics = {"error": error.item(), "kl": kl.item()}
        bar.update(config.batch)
        bar.set_postfix({k: f"{v:.3g}" for k, v in statistics.items()}, refresh=False)
        if writer is not None and position // config.batch % 50 == 0:
            for name, value in statistics.items():
                writer.add_scalar(f"warm_start/{name}", value, position)
    bar.close()
    if config.init:  # a discriminator that has been trained as one is the better start
        return statistics
    state = run.D.state_dict()
    for name, tensor in network.encoder.trunk.state_dict().items():
        if name in state and state[name].shape == tensor.shape:
            state[name].copy_(tensor)
    return statistics


def up_to(G, resolution=None):
    """A generator of a lower resolution made of the blocks of G (its mapping network is unused); G itself for None."""
    if resolution is None or resolution == G.img_resolution:
        return G
    smaller = Generator(**{**G.config, "img_resolution": resolution})
    for name in (f"b{size}" for size in smaller.synthesis.block_resolutions):
        setattr(smaller.synthesis, name, getattr(G.synthesis, name))
    return smaller.train()


def _write(out, position, G, encoder, optimizer):
    state = {"position": position, "G": G.state_dict(), "encoder": encoder.state_dict()}
    with written_atomically(out / "warm_start.pt") as unfinished:
        torch.save(state | {"optimizer": optimizer.state_dict()}, unfinished)


def _restore(out, G, encoder, optimizer):
    """Continue from `out/warm_start.pt`; returns how many pictures were shown."""
    path = out / "warm_start.pt"
    if not path.is_file():
        return 0
    state = snapshots.read_state(path, next(G.parameters()).device)
    try:
        for name, target in (("G", G), ("encoder", encoder), ("optimizer", optimizer)):
            target.load_state_dict(state[name])
        return int(state["position"])
    except snapshots.STATE_FAILURES as error:
        reason = first_line(error)
        raise ValueError(f"{path}: does not fit this configuration ({reason}); give another --out") from error


@torch.no_grad()
def reconstruction_grid(run, images, columns=8, rows=3):
    """Training pictures, each above its reconstruction from w+."""
    strips = []
    for row in range(rows):
        x = batch_at(images, row * columns, columns, seed=1).to(run.device)
        w_plus = run.reconstruction.encode(x, run.G.mapping.w_avg)
        strips += [x, run.G.synthesis(w_plus, noise_mode="const")]
    return snapshots.to_grid(strips)
