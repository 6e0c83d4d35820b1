"""What all inversion methods share: the result, the checks, the start, and several portraits side by side."""

import math
from dataclasses import dataclass

import torch
from torch.nn.functional import interpolate

LPIPS_SIZE = 256  # larger pictures are compared at this size, as the paper's projector does


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


@torch.no_grad()
def latent_statistics(generator, samples=10_000):
    """Mean [w_dim] and spread (a number) of w over `samples` draws with a fixed seed: where the optimisation starts."""
    device = generator.mapping.w_avg.device
    z = torch.randn([samples, generator.z_dim], generator=torch.Generator().manual_seed(123)).to(device)
    w = torch.cat([generator.mapping(part)[:, 0] for part in z.split(1000)])
    mean = w.mean(0)
    return mean, ((w - mean).square().sum() / samples).sqrt().item() / math.sqrt(generator.w_dim)


def noise_buffers(generator):
    """The generator's own noise maps, [R, R] each, in layer order."""
    return [module.noise_const for module in generator.synthesis.modules() if hasattr(module, "noise_const")]


def comparable(image, size=LPIPS_SIZE):
    """What LPIPS sees: at most `size` pixels wide."""
    if image.shape[2] <= size:
        return image
    return interpolate(image, size=(size, size), mode="area")


class Portraits:
    """Per-portrait variables (each [N, ...]) under one Adam, from which finished portraits leave.

    Adam works element by element, so every portrait is optimised as if it were alone. `variables` are the rows still
    being optimised, `rows` says which portraits these are.
    """

    def __init__(self, *variables, betas=(0.9, 0.999)):
        self.results = [v.detach().clone() for v in variables]
        self.rows = torch.arange(len(variables[0]))
        self.betas = betas
        self._optimise(variables)

    def _optimise(self, variables, states=None):
        self.variables = [v.detach().clone().requires_grad_() for v in variables]
        self.optimizer = torch.optim.Adam(self.variables, betas=self.betas)
        for variable, state in zip(self.variables, states or [], strict=False):
            self.optimizer.state[variable] = state

    def step(self, loss, lr):
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.zero_grad(set_to_none=True)
        loss.sum().backward()
        self.optimizer.step()

    def finish(self, done):
        """Keep the present values of the rows where `done` (bool [n]) holds; the others go on. Returns their number."""
        done = done.cpu()
        for result, variable in zip(self.results, self.variables, strict=True):
            result[self.rows[done]] = variable.detach()[done.to(variable.device)]
        if done.any():
            left = ~done
            index = left.to(self.variables[0].device)
            states = [
                {k: v[index] if v.ndim else v for k, v in self.optimizer.state[variable].items()}
                for variable in self.variables
            ]
            self.rows = self.rows[left]
            self._optimise([v[index] for v in self.variables], states)
        return len(self.rows)


def recorded(history, rows, n, values):
    """Append {name: [n] list}: `values` ({name: [len(rows)]}) for the active rows, the last ones for the rest."""
    entry = {name: list(history[-1][name]) if history else [math.nan] * n for name in values}
    for name, tensor in values.items():
        for row, value in zip(rows.tolist(), tensor.tolist(), strict=True):
            entry[name][row] = value
    history.append(entry)
    return entry
