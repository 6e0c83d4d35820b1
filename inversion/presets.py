"""Schedules of the inversion by name, chosen by docs/benchmarks/inversion-curves.md, and `invert`, which follows one.

paper: Eq. 4, 500 steps. The paper gives no learning rate; 0.1 is that of the projector it cites. Twice that comes
closer to the crop at every length, and so do 1000 steps, but the portraits lose the person: LPIPS alone does not do.

fast, best: Eq. 4 for fewer steps, then pivotal tuning of g_rendering, which g_real follows (regeneration.py). `fast` is
as short as it may be where only the difference of the two generators is applied to the picture
(postprocess/restoration.py): what the inversion lacks of the person then comes from the picture. Its lengths were chosen
by docs/benchmarks/restoration.md.
"""

from dataclasses import replace

from .latent_optimization import latent_optimization
from .pivotal_tuning import pivotal_tuning

PRESETS = {
    "paper": dict(steps=500, lr=0.1),
    "fast": dict(steps=15, lr=0.1, tuning=dict(steps=35, lr=2e-3)),
    "best": dict(steps=120, lr=0.1, tuning=dict(steps=300, lr=3e-4)),
}


def chosen(preset, steps=None):
    """The schedule of that name, or so many steps of Eq. 4 alone."""
    return PRESETS[preset] if steps is None else PRESETS["paper"] | {"steps": steps}


def invert(generator, target, perceptual, *, tuning=None, start=None, on_step=None, **schedule):
    """`latent_optimization` by a schedule of PRESETS, and, where that has `tuning`, `pivotal_tuning` of what it found.

    Arguments and errors as theirs. Returns an Inversion, with `generators` where there was tuning; history: that of
    both, one after the other.
    """
    inversion = latent_optimization(generator, target, perceptual, start=start, on_step=on_step, **schedule)
    if tuning is None:
        return inversion
    tuned = pivotal_tuning(generator, target, perceptual, start=inversion.w_plus, stop=0, on_step=on_step, **tuning)
    return replace(tuned, history=[*inversion.history, *tuned.history])


def length(schedule):
    """Steps of a schedule, for one portrait."""
    return schedule["steps"] + schedule.get("tuning", {}).get("steps", 0)
