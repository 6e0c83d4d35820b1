"""Several processes, one run: what `torchrun` needs (gradients averaged, pictures shared, one process writes).

Started without torchrun, every function here is the identity.
"""

import os

import torch
import torch.distributed as dist


def start(device):
    """Join the process group torchrun describes in the environment; returns the device this process uses."""
    if "LOCAL_RANK" not in os.environ:
        return torch.device(device)
    device = torch.device(device)
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device


def rank():
    return dist.get_rank() if dist.is_initialized() else 0


def world_size():
    return dist.get_world_size() if dist.is_initialized() else 1


def mean(tensor):
    """The mean of `tensor` over all processes, in place."""
    if dist.is_initialized():
        dist.all_reduce(tensor)
        tensor /= dist.get_world_size()
    return tensor


def largest(tensor):
    """The largest value of `tensor` over all processes, in place."""
    if dist.is_initialized():
        dist.all_reduce(tensor, dist.ReduceOp.MAX)
    return tensor


def wait_for_all():
    """Returns when all processes have come here; fails after the time limit of the process group (minutes)."""
    if dist.is_initialized():
        dist.barrier()


def gathered(items):
    """The lists `items` of all processes, one after the other, in every process."""
    if not dist.is_initialized():
        return items
    parts = [None] * dist.get_world_size()
    dist.all_gather_object(parts, items)
    return [item for part in parts for item in part]


def average_gradients(parameters):
    """Replace every gradient by its mean over all processes, in one message."""
    if not dist.is_initialized():
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = mean(torch.cat([g.reshape(-1) for g in gradients]))
    for gradient, values in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(values.view_as(gradient))


def stop():
    if dist.is_initialized():
        dist.destroy_process_group()
