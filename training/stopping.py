"""SIGINT (Ctrl-C) and SIGTERM end a run after the step it is in, with its state saved; a second one ends it at once."""

import signal
import threading
from contextlib import contextmanager

import torch

from machine import processes


class Stopped(Exception):
    """The run was asked to stop; its state is saved. `signal` is the number of the signal."""

    def __init__(self, number):
        super().__init__(f"stopped by {signal.Signals(number).name}; the same command goes on from here")
        self.signal = number


@contextmanager
def listening():
    """Yields a list that receives the number of the signal."""
    received = []
    if threading.current_thread() is not threading.main_thread():  # only there can handlers be set
        yield received
        return

    def note(number, frame):
        received.append(number)
        signal.signal(number, before[number])

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def requested(received, device="cpu"):
    """The signal that some process of the run received, or 0; the same answer in all of them."""
    number = torch.tensor(float(received[0] if received else 0), device=device)
    return int(processes.largest(number))
