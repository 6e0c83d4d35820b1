"""Named ways to go through the pipeline: how the latent is found, and how the picture is finished with it.

paper   Eq. 4, 500 steps, and Eq. 5, as published. The paper gives no learning rate; 0.1 is that of the projector it
        cites. Twice that comes closer to the crop at every length, and so do 1000 steps, but the portraits lose the
        person: LPIPS alone does not do. Its disturbance of w+ is that projector's too; a tenth of it, which the
        others have, comes closer to the crop.
fast    the default, best: Eq. 4 for fewer steps, then pivotal tuning of g_rendering, which g_real follows
        (inversion/regeneration.py). `fast` is as short as it may be where only the difference of the two generators
        is applied to the picture (postprocess/restoration.py): what the inversion lacks of the person then comes
        from the picture. Its lengths were chosen by docs/benchmarks/restoration.md. It starts at the w+ that
        the bundle's encoder, if there is one, reads off the portrait (inversion/start.py; docs/demo-weights.md).
"""

from dataclasses import dataclass, replace

from inversion.schedule import Schedule, Tuning


@dataclass(frozen=True)
class Finish:
    """What is done with the two generators' pictures of a face; it costs no inversion."""

    blend: str = "harmonized"  # of postprocess.compositing.BLENDS; "paper" is Eq. 5
    detail: float = 1.0  # d, 0 to 1: how much of what the generators do not draw is kept of the picture
    strength: float = 1.0  # s, 0 to 1, or up to 1.5 to exaggerate
    per_face: dict | None = None  # {index of a face: {setting: value}}: what is another for this face

    def __post_init__(self):
        for name, most in (("detail", 1), ("strength", 1.5)):
            if not 0 <= getattr(self, name) <= most:  # not so for NaN
                raise ValueError(f"{name} must be from 0 to {most}, got {getattr(self, name)}")

    def of(self, index):
        """The settings of one face."""
        return replace(self, per_face=None, **(self.per_face or {}).get(index, {}))


@dataclass(frozen=True)
class Preset:
    schedule: Schedule
    finish: Finish


AS_PUBLISHED = Finish("paper", detail=0.0)

PRESETS = {
    "paper": Preset(Schedule(500, disturbance=0.05), AS_PUBLISHED),
    "fast": Preset(Schedule(15, tuning=Tuning(33, lr=2e-3), encoded_lr=0.04), Finish()),
    "best": Preset(Schedule(120, tuning=Tuning(300, lr=3e-4)), Finish()),
}
DEFAULT = "fast"


def chosen(preset, steps=None):
    """The preset of that name; steps: so many steps of Eq. 4, without tuning, in place of its own."""
    preset = PRESETS[preset]
    return preset if steps is None else replace(preset, schedule=replace(preset.schedule, steps=steps, tuning=None))
