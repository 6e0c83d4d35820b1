"""In what type the half-precision blocks compute: float16 on CUDA, float32 elsewhere, so that a checkpoint gives the
same pictures on every device. On CPUs with bfloat16 arithmetic `bfloat16_on_cpu` asks for that.
"""

import time

import torch

_cpu = torch.float32


def half_dtype(device):
    """The type of a half-precision block on that device."""
    kind = torch.device(device).type
    if kind in ("cuda", "meta"):  # meta: the estimate of what a GPU will need
        return torch.float16
    return _cpu if kind == "cpu" else torch.float32


def bfloat16_on_cpu(wanted=True):
    """From now on half-precision blocks compute in bfloat16 on the CPU, or (False) in float32 again.

    Raises ValueError where bfloat16 is clearly the slower one, as on processors without arithmetic for it.
    """
    global _cpu
    if wanted and bfloat16_share() > 1.1:  # timings scatter
        raise ValueError("this processor computes slower in bfloat16 than in float32; leave float32 on")
    _cpu = torch.bfloat16 if wanted else torch.float32


def bfloat16_share():
    """The time of a convolution in bfloat16 on this processor, as a share of float32's (it is measured)."""
    return _seconds(torch.bfloat16) / _seconds(torch.float32)


@torch.no_grad()
def _seconds(dtype, repeats=15):
    """The shortest time of a convolution as the upper blocks have them."""
    x = torch.ones([1, 64, 128, 128], dtype=dtype).to(memory_format=torch.channels_last)
    weight = torch.ones([64, 64, 3, 3], dtype=dtype)
    times = []
    for _ in range(repeats + 1):  # the first one warms up
        started = time.perf_counter()
        torch.nn.functional.conv2d(x, weight, padding=1)
        times.append(time.perf_counter() - started)
    return min(times[1:])
