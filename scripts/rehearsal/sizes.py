"""How large the networks of a rehearsal are: the published ones at 1024 pixels, narrow ones below."""

from dataclasses import dataclass

ENCODER = "e4e_ffhq_encode.pt"  # its file's name
ALONE = "ffhq_groups_of_1.pkl"  # its D compares no pictures, so that a process may hold a single one


@dataclass(frozen=True)
class Sizes:
    """Of the generator and the sketch extractor."""

    resolution: int
    dimensions: int  # of z and w
    channel_base: int
    channel_max: int
    sketch: dict


def sizes_of(resolution):
    """The Sizes for pictures of `resolution` pixels."""
    if resolution == 1024:  # StyleGAN2-FFHQ (config F), DeepFaceEditing's sketch generator
        return Sizes(1024, 512, 32768, 512, {"ngf": 32, "n_downsampling": 4, "n_blocks": 9})
    return Sizes(resolution, 128, 16 * resolution, 32, {"ngf": 8, "n_downsampling": 4, "n_blocks": 2})
