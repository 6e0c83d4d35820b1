"""Several generators that share one latent space, side by side: what a table's rows are."""

from dataclasses import dataclass
from pathlib import Path

import torch

import weights
from weights import WeightsError

SHOWN = 8  # columns of the figure


@dataclass(frozen=True)
class Row:
    """One generator of a table: its file, the file's SHA-256, and the frozen network."""

    file: Path
    sha256: str
    generator: torch.nn.Module


def load_row(file, device="cpu", beside=None):
    """The Row of a file in any format that stylegan2.checkpoints reads.

    beside: the Row of g_real, whose latents it must take. Raises WeightsError, naming the file.
    """
    from stylegan2.checkpoints import load_generator

    if not Path(file).is_file():
        raise WeightsError(f"{file}: no such file; give a .safetensors, official .pkl or rosinality's .pt")
    generator = load_generator(file).to(device, memory_format=torch.channels_last)
    if beside is not None and _space(generator) != _space(beside.generator):
        found, wanted = _space(generator), _space(beside.generator)
        raise WeightsError(
            f"{file}: its (resolution, latents, width) is {found}, that of g_real {wanted}; they must agree"
        )
    return Row(Path(file), weights.sha256(file), generator)


def load_rows(g_real=None, files=None, device="cpu"):
    """{name: Row}, "g_real" first: what the options --g-real and --generator NAME=FILE of a table's command name.

    files: {name: path}; None or empty = the embedded g_rendering. Raises WeightsError or ValueError, naming the file or
    the option.
    """
    files = files or {"g_rendering": weights.DEMO / "g_rendering.safetensors"}
    if "g_real" in files:
        raise ValueError("--generator g_real=...: this name is --g-real's; choose another")
    rows = {"g_real": load_row(g_real or weights.DEMO / "g_real.safetensors", device)}
    return rows | {name: load_row(file, device, rows["g_real"]) for name, file in files.items()}


def latents(row, count, seed, device="cpu"):
    """w+ of the first `count` latents of `seed`, on the CPU: [count, num_ws, w_dim], by the row's mapping network.

    All generators of a table draw these same w+ (as in Fig. 9 of the paper), with noise of their own.
    """
    z = torch.randn([count, row.generator.z_dim], generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        w = torch.cat([row.generator.mapping(part.to(device))[:, :1].cpu() for part in z.split(1024)])
    return w.expand(-1, row.generator.num_ws, -1)


def drawn(row, w_plus, device="cpu"):
    """The callable of metrics/features.py: generate(start, stop) -> pictures [stop - start, 3, R, R] of these w+."""

    @torch.no_grad()
    def generate(start, stop):
        return row.generator.synthesis(w_plus[start:stop].to(device), noise_mode="const")

    return generate


def _space(generator):
    return generator.img_resolution, generator.num_ws, generator.w_dim
