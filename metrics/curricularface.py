"""Identity similarity by CurricularFace (Huang et al. 2020), the measure of the paper's Table 2; never part of a loss.

The network is the improved residual IR-101 of ArcFace (Deng et al. 2019): state-dict keys equal the released backbone
(`python scripts/download_weights.py curricularface`), which is read as plain tensors.
"""

from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cosine_similarity, interpolate, normalize

import weights
from weights.files import check_regular
from weights.networks import filled, state_of
from weights.torch_files import read

FILE = Path(weights.__file__).parent / "downloads" / "CurricularFace_Backbone.pth"
SIDE = 112
STAGES = ((64, 3), (128, 13), (256, 30), (512, 3))  # channels, blocks; each stage halves the picture

# Where the square of ArcFace's template lies in an FFHQ crop: left, top, right, bottom as shares of its side. In the
# template (112 pixels wide) the middle of the eyes is (55.9, 51.6), they are e = 35.2 apart, the mouth m = 40.7 below;
# FFHQ's crop (Karras et al. 2019) is max(4 e, 3.6 m) = 146.4 wide, and its centre 0.1 m below the eyes.
TEMPLATE = (0.118, 0.120, 0.883, 0.885)


class Block(nn.Module):
    """Residual block: normalise, convolve, PReLU, convolve with the stride, normalise."""

    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(channels_in),
            nn.Conv2d(channels_in, channels, 3, 1, 1, bias=False),
            nn.PReLU(channels),
            nn.Conv2d(channels, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        if channels_in == channels:
            self.shortcut_layer = nn.MaxPool2d(1, stride)
        else:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x):
        return self.shortcut_layer(x) + self.res_layer(x)


class IR101(nn.Module):
    """Faces [N, 3, 112, 112] in [-1, 1], aligned to ArcFace's template -> embeddings [N, 512], of any length."""

    def __init__(self):
        super().__init__()
        self.input_layer = nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64))
        blocks, channels_in = [], 64
        for channels, count in STAGES:
            for index in range(count):
                blocks.append(Block(channels_in, channels, stride=2 if index == 0 else 1))
                channels_in = channels
        self.body = nn.Sequential(*blocks)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(512),
            nn.Dropout(),
            nn.Flatten(),
            nn.Linear(512 * 7 * 7, 512),
            nn.BatchNorm1d(512, affine=False),
        )

    def forward(self, x):
        return self.output_layer(self.body(self.input_layer(x)))  # [N, 512, 7, 7] -> [N, 512]


def load_curricularface(path=FILE, device="cpu"):
    """The frozen network. Raises WeightsError, naming file and remedy, when it is missing or something else."""
    check_regular(path, "python scripts/download_weights.py curricularface")
    what = "CurricularFace's IR-101 backbone"
    return filled(path, IR101, state_of(read(path), "input_layer.0.weight", path, what), what).to(device)


def face_square(images):
    """FFHQ crops [N, 3, R, R] -> the part that ArcFace's template covers, [N, 3, 112, 112]."""
    left, top, right, bottom = (round(share * images.shape[2]) for share in TEMPLATE)
    part = images[:, :, top:bottom, left:right]
    return interpolate(part, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)


@torch.no_grad()
def embeddings(network, images):
    """FFHQ crops [N, 3, R, R] in [-1, 1] -> unit vectors [N, 512]."""
    return normalize(network(face_square(images)))


def identity_similarity(a, b):
    """Cosine of two sets of embeddings [N, 512], pair by pair: [N], 1 = the same, about 0 = strangers."""
    return cosine_similarity(a, b)
