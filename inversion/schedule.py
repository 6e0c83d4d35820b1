"""How long and how fast a portrait is inverted, and `invert`, which does it."""

from dataclasses import dataclass, replace

from .latent_optimization import latent_optimization
from .pivotal_tuning import pivotal_tuning


@dataclass(frozen=True)
class Tuning:
    """Pivotal tuning after the latent is found."""

    steps: int
    lr: float  # Adam's, of the generator's weights


@dataclass(frozen=True)
class Schedule:
    """Eq. 4, and what follows it."""

    steps: int  # of Eq. 4
    lr: float = 0.1  # Adam's, of w+ and noise, at its plateau
    disturbance: float = 0.0044  # of w+ at first, relative to the spread of w; the cited projector has 0.05
    tuning: Tuning | None = None
    encoded_lr: float | None = None  # lr where a bundle's encoder says the start (start.py); None = it is not asked

    @property
    def length(self):
        """Steps for one portrait, tuning included."""
        return self.steps + (self.tuning.steps if self.tuning else 0)

    def at_most(self, steps):
        """The schedule with no more than so many steps of Eq. 4, and of tuning."""
        tuning = self.tuning and replace(self.tuning, steps=min(self.tuning.steps, steps))
        return replace(self, steps=min(self.steps, steps), tuning=tuning)

    def encoded(self):
        """The schedule from an encoder's w+, which a full learning rate would leave again."""
        return replace(self, lr=self.encoded_lr)

    def following(self, steps, rate):
        """The schedule of a frame that starts from the one before it: these shares of steps and learning rate, and no
        disturbance."""
        return replace(self, steps=max(round(steps * self.steps), 1), lr=rate * self.lr, disturbance=0.0)


def invert(generator, target, perceptual, schedule, *, start=None, on_step=None):
    """`latent_optimization` by a Schedule, and, where that has `tuning`, `pivotal_tuning` of what it found.

    Arguments and errors as theirs. Returns an Inversion, with `generators` where there was tuning; history: that of
    both, one after the other.
    """
    inversion = latent_optimization(
        generator,
        target,
        perceptual,
        steps=schedule.steps,
        lr=schedule.lr,
        disturbance=schedule.disturbance,
        start=start,
        on_step=on_step,
    )
    tuning = schedule.tuning
    if tuning is None:
        return inversion
    tuned = pivotal_tuning(
        generator,
        target,
        perceptual,
        steps=tuning.steps,
        lr=tuning.lr,
        start=inversion.w_plus,
        stop=0,
        on_step=on_step,
    )
    return replace(tuned, history=[*inversion.history, *tuned.history])
