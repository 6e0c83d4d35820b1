"""Schedules of Eq. 4 by name, chosen by measured curves of LPIPS against time (docs/benchmarks/inversion-curves.md)."""

PRESETS = {
    "paper": dict(steps=500, lr=0.1),
    "default": dict(steps=250, lr=0.1),
    "fast": dict(steps=100, lr=0.2),
    "best": dict(steps=1000, lr=0.1),
}
