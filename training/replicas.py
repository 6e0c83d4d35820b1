"""Every process of a run holds the same weights; this looks whether that is still true."""

import hashlib

from machine import processes


class ReplicaError(Exception):
    """The weights of the processes have come apart, so what is written would be that of one of them."""


def check_replicas(run):
    """Compare a hash of all weights over the processes. Raises ReplicaError in all of them when they differ."""
    hashes = processes.gathered([weights_hash(run)])
    if len(set(hashes)) > 1:
        said = ", ".join(f"process {rank} {value[:8]}" for rank, value in enumerate(hashes))
        raise ReplicaError(
            f"at {run.seen / 1000:g} kimg the weights of the processes differ ({said}); start again from the last "
            "state, with the same machines, libraries and data in every process"
        )


def weights_hash(run):
    """Of the parameters and buffers of G, D and G_ema, bit by bit."""
    digest = hashlib.sha256()
    for network in (run.G, run.D, run.G_ema):
        for name, tensor in network.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()
