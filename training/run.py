"""What a training run holds: networks, optimisers, counters. `step.py` advances it, `phases.py` reads it."""

import copy

import torch

from inversion.latents import load_w_plus
from machine import processes
from stylegan2.precision import bfloat16_on_cpu

from .augment import PIPELINES, AugmentPipe
from .identity_losses import IdentityLosses
from .networks import build_networks, trained_parameters
from .reconstruction import Reconstruction


class Run:
    """The state of a run of `config` (a TrainingConfig) on a device, as it is before the first step."""

    def __init__(self, config, device):
        self.config, self.device = config, torch.device(device)
        if self.device.type == "cpu" and config.num_fp16_res:
            bfloat16_on_cpu(config.cpu_bfloat16)
        torch.manual_seed(config.seed)
        self.G, self.D, self.g_real = build_networks(config)
        division(config, self.D)
        self.G_ema = copy.deepcopy(self.G)
        for network in (self.G, self.D, self.G_ema, self.g_real):
            if network is not None:
                network.to(self.device, memory_format=torch.channels_last)
        self.G_ema.eval().requires_grad_(False)
        self.G.train()
        self.D.train().requires_grad_(True)
        self.trained = trained_parameters(self.G, transfer=self.g_real is not None)
        self.reconstruction = None
        if (config.reconstruction_weight or config.warm_start_kimg) and self.g_real is None:
            self.reconstruction = Reconstruction(self.G, self.D, config.perceptual_weights_file, config.encoder)
            self.reconstruction.to(self.device, memory_format=torch.channels_last)
            self.trained += self.reconstruction.encoder.parameters()
        self.w_plus = load_w_plus(config.w_plus, self.G) if config.w_plus else None
        self.G_optimizer = lazy_adam(self.trained, config.lr, config.pl_interval if config.pl_weight else 1)
        self.D_optimizer = lazy_adam(list(self.D.parameters()), config.lr, config.r1_interval)
        self.identity = IdentityLosses(config, self.device) if self.g_real is not None else None
        self.augment = None
        if config.ada_target is not None:
            self.augment = AugmentPipe(**PIPELINES[config.augment]).to(self.device)
            self.augment.p.zero_()  # raised as D begins to overfit
        self.sign_sum = self.sign_count = 0.0  # of D's logits of training pictures since p was last adapted
        self.pl_mean = torch.zeros([], device=self.device)  # running mean of the path lengths
        self.step = self.seen = 0  # steps done, training pictures shown

    def state_dict(self):
        """All that changes during a run, for `load_state_dict`."""
        return {
            "G": self.G.state_dict(),
            "D": self.D.state_dict(),
            "G_ema": self.G_ema.state_dict(),
            "G_optimizer": self.G_optimizer.state_dict(),
            "D_optimizer": self.D_optimizer.state_dict(),
            "pl_mean": self.pl_mean,
            "augment_p": float(self.augment.p) if self.augment is not None else 0.0,
            "sign": [self.sign_sum, self.sign_count],
            "reconstruction": self.reconstruction.state_dict() if self.reconstruction is not None else None,
            "step": self.step,
            "seen": self.seen,
        }

    def load_state_dict(self, state):
        """Go on from where `state_dict` was taken. Moments of the optimisers are resumed, their settings (learning
        rate) stay the configuration's. Raises RuntimeError when the networks have other sizes, ValueError when other
        weights were trained."""
        for name in ("G", "D", "G_ema"):
            getattr(self, name).load_state_dict(state[name])
        for name in ("G_optimizer", "D_optimizer"):
            optimizer = getattr(self, name)
            if not moments_fit(state[name], optimizer):
                raise ValueError("other weights were trained there, as in a fine-tuning and in a plain run")
            optimizer.load_state_dict(state[name] | {"param_groups": optimizer.state_dict()["param_groups"]})
        if self.reconstruction is not None:
            self.reconstruction.load_state_dict(state["reconstruction"])
        self.pl_mean = state["pl_mean"]
        self.sign_sum, self.sign_count = state["sign"]
        self.step, self.seen = state["step"], state["seen"]
        if self.augment is not None:
            self.augment.p.fill_(state["augment_p"])


def moments_fit(state, optimizer):
    """Whether the moments in a state of Adam are those of the optimiser's parameters, as far as it has any of them."""
    moments = state["state"]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return all(i not in moments or moments[i]["exp_avg"].shape == p.shape for i, p in enumerate(parameters))


def division(config, D, world_size=None):
    """(portions, n): in how many portions of n pictures each process computes its part of a batch.

    Raises ValueError, naming keys and values, where the batch does not divide, or where a portion would not hold whole
    groups of the minibatch standard deviation or of path length regularisation: the result would be another.
    """
    c, world_size = config, world_size or processes.world_size()
    whole, left = divmod(c.batch, world_size)
    if left:
        raise ValueError(f"batch = {c.batch} cannot be shared by {world_size} processes; make it a multiple")
    n = whole if c.batch_gpu is None else min(c.batch_gpu, whole)
    if whole % n:
        raise ValueError(
            f"batch_gpu = {c.batch_gpu} does not divide the {whole} pictures of a process (batch = {c.batch}, "
            f"{world_size} processes)"
        )
    mbstd = D.b4.mbstd
    group = 1 if mbstd is None else min(mbstd.group_size or c.batch, c.batch)
    divided = f"with batch_gpu = {c.batch_gpu} and {world_size} processes there are {n} at a time"
    if n % group:
        raise ValueError(
            f"batch = {c.batch}: D compares pictures in groups of {group}, {divided}; make that a multiple of {group}"
        )
    if c.w_plus and n < c.batch and n % 2:
        raise ValueError(
            f"batch = {c.batch}: half of the latents of each portion come from w_plus, {divided}; make that even"
        )
    if c.pl_weight and n < c.batch and n % c.pl_batch_shrink:
        raise ValueError(
            f"batch = {c.batch}: path length takes one picture of pl_batch_shrink = {c.pl_batch_shrink}, {divided}; "
            f"make that a multiple of {c.pl_batch_shrink}, or lower pl_batch_shrink"
        )
    return whole // n, n


def lazy_adam(parameters, lr, interval):
    """Adam, corrected for a regulariser that runs only every `interval` steps (Karras et al. 2020, appendix B)."""
    ratio = interval / (interval + 1) if interval > 1 else 1.0
    group = {"params": parameters, "initial_lr": lr * ratio}
    return torch.optim.Adam([group], lr=lr * ratio, betas=(0.0, 0.99**ratio), eps=1e-8)
