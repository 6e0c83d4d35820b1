"""The one device rule of all commands."""


def pick_device(name):
    """The one device rule of all commands: "auto" = cuda where there is one, else cpu; others as they are.

    On the CPU the process keeps freed memory from here on (`keep_freed_memory`).
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        keep_freed_memory()
    return name


def keep_freed_memory():
    """Let this process use the memory of freed tensors again instead of handing every large one back to the system.

    glibc maps each large tensor anew, and touching fresh pages takes longer than most of what is computed on them. The
    process then keeps its peak until it ends. Does nothing where the C library is another one.
    """
    import ctypes
    import sys

    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mmap_max, trim_threshold, top_pad = -4, -1, -2  # malloc.h
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(top_pad, 2**26)
