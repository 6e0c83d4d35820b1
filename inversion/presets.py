"""Schedules of Eq. 4 by name; what each reaches in what time is in docs/benchmarks/inversion-curves.md.

The paper gives 500 steps and no learning rate: 0.1 is that of the projector it cites. No schedule that was tried reaches
the LPIPS of these 500 steps in half the time; twice the learning rate comes closer to the crop at every length.
"""

PRESETS = {
    "paper": dict(steps=500, lr=0.1),
    "default": dict(steps=500, lr=0.2),
    "fast": dict(steps=120, lr=0.2),
    "best": dict(steps=1000, lr=0.2),
}
