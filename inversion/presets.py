"""Schedules of Eq. 4 by name; what each reaches in what time is in docs/benchmarks/inversion-curves.md.

The paper gives 500 steps and no learning rate: 0.1 is that of the projector it cites. No schedule that was tried
reaches the LPIPS of these 500 steps in half the time. Twice the learning rate comes closer to the crop at every length,
but the portraits lose the person: over 8 validation identities, 500 steps, LPIPS 0.0118 for 0.0127, dlib distance from
the portrait to the person's photo look 0.489 for 0.454. So the LPIPS alone does not choose. For the same reason there
is no longer preset: over 4 such identities 1000 steps come 21 % closer in LPIPS, and all four portraits are further
from the person (0.504 for 0.432).
"""

PRESETS = {
    "paper": dict(steps=500, lr=0.1),
    "fast": dict(steps=120, lr=0.1),
}
