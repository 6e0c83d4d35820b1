"""Which file of a weights folder plays which part: our own, or the public one under the name it is published by.

    g_real = load_generator(roles.find(folder, "g_real"))
    g_rendering = load_generator(roles.find(folder, "g_rendering", given=snapshot))

The loaders (stylegan2.checkpoints.load_generator, losses.perceptual.load_perceptual, postprocess.parsing.load_parser,
sketch.checkpoints.load_sketch_extractor) take whatever is found here. `scripts/download_weights.py` fills such a
folder.
"""

from dataclasses import dataclass
from pathlib import Path

from . import DEMO
from .files import WeightsError, check_regular


@dataclass(frozen=True)
class Role:
    """names: file names, or patterns, in the order they are looked for. remedy: what to do when none is there."""

    names: tuple[str, ...]
    remedy: str


ROLES = {
    "g_real": Role(
        ("g_real.safetensors", "g_real.pkl", "g_real.pt", "ffhq.pkl", "stylegan2-ffhq-*.pkl", "stylegan2-ffhq-*.pt"),
        "python scripts/download_weights.py ffhq1024, or put the generator there under one of these names",
    ),
    "g_rendering": Role(
        ("g_rendering.safetensors", "g_rendering.pkl", "g_rendering.pt"),
        "fine-tune g_real with train.py and give its snapshot with --g-rendering FILE",
    ),
    "perceptual": Role(("perceptual.safetensors", "vgg16-*.pth"), "python scripts/download_weights.py vgg16"),
    "parser": Role(("parser.safetensors", "79999_iter.pth"), "python scripts/download_weights.py bisenet"),
    "sketch": Role(
        ("sketch.safetensors", "sketch_generator.pkl"), "python scripts/download_weights.py deepfaceediting"
    ),
}


def find(folder, role, given=None):
    """The file of `role` (a key of ROLES) in `folder`; None = the embedded bundle.

    given: a file that is to be used instead, or a run folder of train.py, for its snapshot. Only existence is looked
    at. Raises WeightsError that says which names were looked for, where, and what to do.
    """
    names, remedy = ROLES[role].names, ROLES[role].remedy
    if given is not None:
        path = Path(given) / "snapshot.safetensors" if Path(given).is_dir() else Path(given)
        check_regular(path, f"it was to be {role}; give an existing file")
        return path
    folder = Path(folder or DEMO)
    if not folder.is_dir():
        raise WeightsError(
            f"{folder}: no such folder of weights; give an existing one, or none for the embedded bundle"
        )
    for name in names:
        for path in sorted(folder.glob(name)):
            if path.is_file():
                return path
    raise WeightsError(f"{folder}: no file for {role}; looked for {', '.join(names)}; {remedy}")
