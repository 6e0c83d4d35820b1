"""Which networks a run uses."""

from dataclasses import dataclass
from pathlib import Path

NETWORKS = ("g_real", "g_rendering", "perceptual", "parser")
START = "start.safetensors"  # nobody has to have one


class NotFinite(Exception):
    """The networks gave numbers that are not finite."""


@dataclass(frozen=True)
class Bundle:
    """The networks of one run, all frozen, on one device."""

    g_real: object
    g_rendering: object
    perceptual: object
    parser: object
    device: str
    files: dict  # {name: path} of where they came from
    limits: dict  # what warnings go by (warnings.py)
    start: object = None  # inversion.start.StartEncoder of g_rendering, where the folder has one

    @property
    def size(self):
        """Pixels on the side of the pictures that the generators draw."""
        return self.g_real.img_resolution

    def asks(self, schedule):
        """Whether an inversion by the schedule starts at what the encoder says."""
        return self.start is not None and schedule.encoded_lr is not None

    def used(self, schedule):
        """{name: path} of the files that the result of an inversion by the schedule depends on."""
        return {name: path for name, path in self.files.items() if name != "start" or self.asks(schedule)}

    def begin(self, target, schedule, start=None):
        """(w+ that the inversion of the portraits `target` starts at or None for the mean latent, its schedule).

        start: w+ [N or 1, num_ws, w_dim]; a list of N [num_ws, w_dim], with None for those that have none; or None.
        Raises NotFinite where the encoder gives such numbers.
        """
        import torch

        from inversion.common import starting_latents

        if torch.is_tensor(start) or start is None and not self.asks(schedule):
            return start, schedule
        if self.asks(schedule):
            own, schedule = self.start.w_plus(target, self.g_rendering), schedule.encoded()
            if not own.isfinite().all():
                raise NotFinite(f"{self.files['start']}: gives w+ that is not finite; train it anew, or remove it")
        else:
            own = starting_latents(self.g_rendering, len(target))
        given = start or [None] * len(target)
        return torch.stack([o if g is None else g for o, g in zip(own, given, strict=True)]), schedule

    def invert(self, target, schedule, start=None, on_step=None):
        """(Inversion of the portraits `target` [N, 3, R, R] into g_rendering, what g_real draws of it, the same shape).

        start: as for `begin`. on_step(step, lpips [N]) is called after every step.
        """
        from inversion import invert, regenerate

        start, schedule = self.begin(target, schedule, start)
        found = invert(self.g_rendering, target, self.perceptual, schedule, start=start, on_step=on_step)
        return found, regenerate(self.g_real, found, self.g_rendering)


def load_bundle(folder=None, device="cpu", g_rendering=None):
    """Load g_real, g_rendering, perceptual and parser from a folder; None = the embedded bundle.

    Each may be our own file or the public one (weights/roles.py). g_rendering: a file, or a run folder of train.py, in
    place of the folder's; the folder's encoder, which may be of another W+, is then not used. Raises WeightsError,
    naming the file, when one is missing, damaged or does not fit.
    """
    import torch

    import weights
    from inversion.start import load_start
    from losses.perceptual import load_perceptual
    from postprocess.parsing import load_parser
    from stylegan2.checkpoints import load_generator
    from weights import roles

    from .warnings import load_calibration

    folder = Path(folder or weights.DEMO)
    given = {"g_rendering": g_rendering}
    files = {name: roles.find(folder, name, given.get(name)) for name in NETWORKS}
    networks = {
        "g_real": load_generator(files["g_real"]),
        "g_rendering": load_generator(files["g_rendering"]),
        "perceptual": load_perceptual(files["perceptual"]),
        "parser": load_parser(files["parser"]),
    }
    real, rendering = networks["g_real"], networks["g_rendering"]
    if (real.img_resolution, real.w_dim) != (rendering.img_resolution, rendering.w_dim):
        raise weights.WeightsError(
            f"{files['g_rendering']}: g_rendering draws {rendering.img_resolution} pixels from w of {rendering.w_dim}, "
            f"g_real {real.img_resolution} from {real.w_dim}; they must share a latent space: fine-tune this g_real"
        )
    shapes = [{name: t.shape for name, t in G.synthesis.state_dict().items()} for G in (real, rendering)]
    if shapes[0] != shapes[1]:
        what = "g_rendering has other layers or feature maps than g_real"
        raise weights.WeightsError(f"{files['g_rendering']}: {what}; it must be this g_real, fine-tuned")
    if g_rendering is None and (folder / START).is_file():
        files["start"] = folder / START
        try:
            networks["start"] = load_start(files["start"], rendering)
        except weights.WeightsError as error:
            raise weights.WeightsError(
                f"{error}; or remove it: the inversion then starts at the mean latent"
            ) from error
    networks = {k: n.to(device, memory_format=torch.channels_last) for k, n in networks.items()}
    return Bundle(**networks, device=device, files=files, limits=load_calibration(folder))
