"""What all inversion methods share: the result, the checks, the start, the distance, and the descent."""

import weakref
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from losses.resize import comparable


@dataclass(frozen=True)
class Inversion:
    """What every method returns.

    w_plus [N, num_ws, w_dim]; image [N, 3, R, R], the reconstruction; history: one dict a step of lists with a number
    per portrait ("lpips" and the method's other terms; a portrait that stopped keeps its last). generators: for methods
    that tune the generator, the N tuned copies, else None.
    """

    w_plus: torch.Tensor
    image: torch.Tensor
    history: list
    generators: list | None = None


def check_target(generator, target, steps):
    """Raise ValueError unless target is finite [N, 3, R, R] with R = generator.img_resolution, and steps positive."""
    size = generator.img_resolution
    if target.ndim != 4 or target.shape[1:] != (3, size, size):
        raise ValueError(f"target must be [N, 3, {size}, {size}], got {list(target.shape)}")
    if not torch.isfinite(target).all():
        raise ValueError("target holds NaN or infinite values")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")


def starting_latents(generator, n, start=None):
    """[n, num_ws, w_dim], a fresh copy: `start` ([n or 1, num_ws or 1, w_dim]) or the mean latent."""
    if start is None:
        start = latent_statistics(generator)[0][None, None]
    shape = (n, generator.num_ws, generator.w_dim)
    if start.ndim != 3 or any(have not in (1, want) for have, want in zip(start.shape[:2], shape[:2], strict=True)):
        raise ValueError(f"the start must be w+ of shape {list(shape)}, got {list(start.shape)}")
    if start.shape[2] != shape[2] or not torch.isfinite(start).all():
        raise ValueError(f"the start must be finite w+ of shape {list(shape)}, got {list(start.shape)}")
    return start.to(generator.mapping.w_avg.device, torch.float32).expand(shape).clone()


_known = weakref.WeakKeyDictionary()  # mapping network: (what its weights were, statistics)


@torch.no_grad()
def latent_statistics(generator, samples=10_000):
    """Where the optimisation starts: the mean [w_dim] of w over `samples` draws with a fixed seed, and its spread, the
    root mean square of |w - mean| (a number, of the whole vector). Computed once for the same weights."""
    mapping = generator.mapping
    state = samples, *((p.data_ptr(), p._version, p.device) for p in mapping.parameters())
    if mapping not in _known or _known[mapping][0] != state:
        z = torch.randn([samples, generator.z_dim], generator=torch.Generator().manual_seed(123))
        w = torch.cat([mapping(part, update_w_avg=False)[:, 0] for part in z.to(mapping.w_avg.device).split(1000)])
        mean = w.mean(0)
        _known[mapping] = state, (mean, ((w - mean).square().sum() / samples).sqrt().item())
    return _known[mapping][1]


def noise_buffers(generator):
    """The generator's own noise maps, [R, R] each, in layer order."""
    return [module.noise_const for module in generator.synthesis.modules() if hasattr(module, "noise_const")]


def lpips_to(perceptual, target):
    """The LPIPS of pictures to a target [N, 3, R, R], whose features are computed once: a function pictures -> [N]."""
    with torch.no_grad():
        wanted = perceptual.features(comparable(target))
    return lambda image: perceptual.distance(perceptual.features(comparable(image)), wanted)


def variables_of(*starts, betas=(0.9, 0.999)):
    """Per-portrait variables, fresh copies of `starts` (each [N, ...]), and one Adam for all of them. It works element
    by element, so every portrait is optimised as if it were alone."""
    variables = [start.detach().clone().requires_grad_() for start in starts]
    return variables, torch.optim.Adam(variables, betas=betas)


def descend(optimizer, loss, lr):
    """One step at that learning rate down the sum of `loss` [N]."""
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.zero_grad(set_to_none=True)
    loss.sum().backward()
    optimizer.step()


@contextmanager
def constant_shapes():
    """Within it cuDNN looks once for its fastest algorithm of each convolution, as all steps have the same shapes."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
