"""Training runs that end after given seconds: how long a run must be is found by running it.

A part of a run goes on without an end for half of its time; the speed then says how many pictures fit into the rest,
and with that number the learning rate falls to zero as it should. Resuming is what training/loop.py does anyway.
"""

import os
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import torch

from training.loop import train
from training.stopping import Stopped

ENDLESS = 1e6  # kimg
MARGIN = 0.93  # of the pictures that would fit


def run(config, out, device, seconds, warm_start=0.0):
    """Train `config` in `out` for about `seconds`, of them the share `warm_start` as an autoencoder.

    Goes on from what lies in `out`. Returns the kimg of the adversarial part.
    """
    began, out = time.monotonic(), out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "state.pt").is_file():
        kimg = 0
        if warm_start:
            end = began + warm_start * seconds
            kimg = length(config, "warm_start_kimg", out / "warm_start.pt", "position", out, device, end)
        config = replace(config, warm_start_kimg=kimg)
        train(replace(config, kimg=0), out, device, progress=False)  # the rest of the warm start
    end = began + seconds
    kimg = length(config, "kimg", out / "state.pt", "seen", out, device, end)
    until(replace(config, kimg=kimg), out, device, end)
    kimg = position(out / "state.pt", "seen") / 1000
    train(replace(config, kimg=kimg), out, device, progress=False)  # no step more; what comes after the last one
    return kimg


def length(config, key, file, counter, out, device, end):
    """How many kimg a part of a run can have until `end`: it runs for half of the time, and the speed says."""
    before, started = position(file, counter), time.monotonic()
    until(replace(config, **{key: ENDLESS}), out, device, started + (end - started) / 2)
    now, after = time.monotonic(), position(file, counter)
    speed = (after - before) / max(now - started, 1e-3)
    return (after + MARGIN * speed * max(end - now, 0)) / 1000


def position(file, counter):
    """Pictures shown so far, of a state file; 0 without one."""
    if not file.is_file():
        return 0
    return torch.load(file, map_location="cpu", weights_only=True, mmap=True)[counter]


def until(config, out, device, end):
    """Train to the end of `config` or of the time; the state is saved either way."""
    with alarm(end):
        try:
            train(config, out, device, progress=False)
        except Stopped:
            if time.monotonic() < end:  # someone else's signal
                raise


@contextmanager
def alarm(end):
    """SIGTERM to this process at `end` (time.monotonic), and every two seconds after that, as a run that is only being
    built does not listen yet. Outside a run that signal is ignored from then on."""
    over = threading.Event()

    def remind():
        wait = end - time.monotonic()
        while not over.wait(max(wait, 0.01)):
            os.kill(os.getpid(), signal.SIGTERM)
            wait = 2.0

    def late(number, frame):
        if time.monotonic() < end:
            raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, late)
    thread = threading.Thread(target=remind, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        signal.signal(signal.SIGTERM, before)
