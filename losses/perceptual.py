"""Perceptual distance, LPIPS (Zhang et al. 2018, Eq. 1), behind one interface.

Every network here maps pictures to features and compares features, so that a fixed target is computed once:

    features(x)       x [N, 3, H, W] in [-1, 1] -> list of tensors [N, D], one per tapped layer
    distance(a, b)    two such lists -> [N], the sum of squared differences = the LPIPS distance

It works because the distance is a squared norm: each layer is normalised to unit length over its channels, multiplied
by the square root of its non-negative channel weights, and divided by the square root of its number of positions.
`PerceptualNetwork` is a small network of our own (embedded), `VGGPerceptual` the VGG-16 LPIPS of the paper.
"""

from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import max_pool2d

import weights
from weights import WeightsError
from weights.networks import filled, state_of
from weights.torch_files import read


def lpips_features(activation, channel_weights):
    """One layer's activation [N, C, H, W] and channel weights [C] >= 0 -> [N, C * H * W], compared by squared norm."""
    length = activation.square().sum(1, keepdim=True).clamp_min(1e-20).sqrt()  # [N, 1, H, W]
    scale = channel_weights.sqrt().view(1, -1, 1, 1) / (activation.shape[2] * activation.shape[3]) ** 0.5
    return (activation / (length + 1e-10) * scale).flatten(1)


def squared_distance(features_a, features_b):
    """Sum of squared differences over all layers, [N]."""
    return sum((a - b).square().sum(1) for a, b in zip(features_a, features_b, strict=True))


class PerceptualNetwork(nn.Module):
    """Plain VGG-style network: per stage some 3x3 convolutions with ReLU, 2x2 max-pooling between the stages.

    channels, convs: one entry a stage. The last ReLU of every stage is tapped. `linear` holds the channel weights.
    The picture must be at least 2 ** (stages - 1) pixels wide.
    """

    def __init__(self, channels=(16, 32, 64, 96, 128), convs=(2, 2, 2, 2, 2)):
        super().__init__()
        self.config = {"channels": list(channels), "convs": list(convs)}
        self.stages = nn.ModuleList()
        previous = 3
        for width, count in zip(channels, convs, strict=True):
            inputs = [previous] + [width] * (count - 1)
            self.stages.append(nn.ModuleList(nn.Conv2d(channels_in, width, 3, padding=1) for channels_in in inputs))
            previous = width
        self.linear = nn.ParameterList(nn.Parameter(torch.full([width], 1 / width)) for width in channels)

    def activations(self, x):
        """[N, 3, H, W] in [-1, 1] -> the last activation of every stage, stage s [N, C_s, H / 2^s, W / 2^s]."""
        taps = []
        for index, stage in enumerate(self.stages):
            x = max_pool2d(x, 2) if index else x
            for conv in stage:
                x = torch.relu(conv(x))
            taps.append(x)
        return taps

    def features(self, x):
        return [lpips_features(tap, linear) for tap, linear in zip(self.activations(x), self.linear, strict=True)]

    distance = staticmethod(squared_distance)

    def forward(self, a, b):
        """LPIPS distance of two batches of pictures, [N]."""
        return self.distance(self.features(a), self.features(b))


class VGGPerceptual(nn.Module):
    """VGG-16 LPIPS: the trunk from torchvision's `vgg16` state dict, the linear heads from the `lpips` package.

    vgg_state  the state dict of torchvision's vgg16 (its `features.*` entries are used). Nothing is downloaded.
    """

    TAPS = (3, 8, 15, 22, 29)  # relu1_2, relu2_2, relu3_3, relu4_3, relu5_3

    def __init__(self, vgg_state):
        super().__init__()
        with torch.device("meta"):
            self.trunk = vgg_trunk()
        kept = {key.removeprefix("features."): value for key, value in vgg_state.items() if key.startswith("features.")}
        self.trunk.load_state_dict(kept, assign=True)
        for index, head in enumerate(lpips_heads()):
            self.register_buffer(f"linear{index}", head)  # [C] >= 0
        # LPIPS normalises [-1, 1] pictures by these constants before the trunk
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1))

    def features(self, x):
        x = (x - self.shift) / self.scale
        features = []
        for index, layer in enumerate(self.trunk):
            x = torch.relu(x) if isinstance(layer, nn.ReLU) else layer(x)
            if index in self.TAPS:
                features.append(lpips_features(x, getattr(self, f"linear{len(features)}")))
        return features

    distance = staticmethod(squared_distance)
    forward = PerceptualNetwork.forward


def vgg_trunk():
    """The layers of torchvision's vgg16 up to the last one that LPIPS taps."""
    from torchvision.models.vgg import cfgs, make_layers

    return make_layers(cfgs["D"])[: VGGPerceptual.TAPS[-1] + 1]


def lpips_heads():
    """The five linear heads of LPIPS v0.1 for VGG-16, each [C], out of the installed `lpips` package."""
    from importlib.util import find_spec

    spec = find_spec("lpips")  # found, not imported
    path = Path(spec.origin).parent / "weights/v0.1/vgg.pth" if spec else Path("lpips/weights/v0.1/vgg.pth")
    if not path.is_file():
        raise WeightsError(f"{path}: the LPIPS heads are missing; install the lpips package")
    state = state_of(read(path), "lin0.model.1.weight", path, "the heads of LPIPS")
    return [state[f"lin{index}.model.1.weight"].flatten().clamp_min(0) for index in range(5)]


def load_perceptual(path=None):
    """The frozen network from a file: None means the demo weights (`perceptual.safetensors`).

    A native `perceptual` file gives a PerceptualNetwork, torchvision's vgg16 (`vgg16-397923af.pth`) a VGGPerceptual.
    Raises WeightsError, naming the file, when it is missing, damaged, or holds something else.
    """
    path = Path(path) if path is not None else weights.DEMO / "perceptual.safetensors"
    if weights.is_native(path):
        tensors, config = weights.load(path, "perceptual")
        return filled(path, lambda: PerceptualNetwork(**config), tensors, "the perceptual network that it describes")
    what, prefix = "torchvision's vgg16", "features."
    state = state_of(read(path), "features.0.weight", path, what)
    trunk = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    trunk = filled(path, vgg_trunk, trunk, what)
    network = VGGPerceptual({prefix + name: tensor for name, tensor in trunk.state_dict().items()})
    return network.eval().requires_grad_(False)
