"""Which networks a run uses."""

from dataclasses import dataclass
from pathlib import Path

NETWORKS = ("g_real", "g_rendering", "perceptual", "parser")
START = "start.safetensors"  # nobody has to have one


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


def load_bundle(folder=None, device="cpu", g_rendering=None):
    """Load g_real, g_rendering, perceptual and parser from a folder; None = the embedded bundle.

    Each may be our own file or the public one (weights/roles.py). g_rendering: a file, or a run folder of train.py, in
    place of the folder's; the folder's encoder, which was trained for that, is then not used. Raises WeightsError,
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
        networks["start"] = load_start(files["start"], rendering)
    networks = {k: n.to(device, memory_format=torch.channels_last) for k, n in networks.items()}
    return Bundle(**networks, device=device, files=files, limits=load_calibration(folder))
