"""Face parsing: BiSeNet (Yu et al. 2018) with a ResNet-18 context path and the 19 classes of CelebAMask-HQ.

At width 64 the state-dict keys and shapes are those of the public face-parsing weights (`79999_iter.pth`); its spatial
path is the stride-8 feature of the ResNet itself. The demo parser has the same layers at a smaller width.
"""

from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate, max_pool2d

import weights
from weights.networks import filled, state_of
from weights.torch_files import read

CLASSES = [
    "background", "skin", "l_brow", "r_brow", "l_eye", "r_eye", "eye_g", "l_ear", "r_ear", "ear_r",
    "nose", "mouth", "u_lip", "l_lip", "neck", "neck_l", "cloth", "hair", "hat",
]  # fmt: skip


class ConvBNReLU(nn.Module):
    def __init__(self, channels_in, channels_out, kernel=3):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(channels_out)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)))


class BasicBlock(nn.Module):
    """The two-convolution residual block of ResNet-18 (He et al. 2016)."""

    def __init__(self, channels_in, channels_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.downsample = None
        if stride != 1 or channels_in != channels_out:
            projection = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(channels_out))

    def forward(self, x):
        shortcut = self.downsample(x) if self.downsample else x
        x = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(shortcut + self.bn2(self.conv2(x)))


class ResNet18(nn.Module):
    """[N, 3, H, W] -> features at strides 8, 16, 32 with 2, 4, 8 times `width` channels."""

    def __init__(self, width):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = nn.Sequential(BasicBlock(width, width, 1), BasicBlock(width, width, 1))
        self.layer2 = nn.Sequential(BasicBlock(width, 2 * width, 2), BasicBlock(2 * width, 2 * width, 1))
        self.layer3 = nn.Sequential(BasicBlock(2 * width, 4 * width, 2), BasicBlock(4 * width, 4 * width, 1))
        self.layer4 = nn.Sequential(BasicBlock(4 * width, 8 * width, 2), BasicBlock(8 * width, 8 * width, 1))

    def forward(self, x):
        x = max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, stride=2, padding=1)
        stride8 = self.layer2(self.layer1(x))
        stride16 = self.layer3(stride8)
        return stride8, stride16, self.layer4(stride16)


class AttentionRefinement(nn.Module):
    """ARM: a convolution whose channels are re-weighted by their global average (paper section 3.2)."""

    def __init__(self, channels_in, channels_out):
        super().__init__()
        self.conv = ConvBNReLU(channels_in, channels_out)
        self.conv_atten = nn.Conv2d(channels_out, channels_out, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(channels_out)

    def forward(self, x):
        x = self.conv(x)
        return x * torch.sigmoid(self.bn_atten(self.conv_atten(adaptive_avg_pool2d(x, 1))))


class ContextPath(nn.Module):
    """ResNet features, refined from the coarsest on: global average, then stride 32, then stride 16."""

    def __init__(self, width):
        super().__init__()
        self.resnet = ResNet18(width)
        self.arm16 = AttentionRefinement(4 * width, 2 * width)
        self.arm32 = AttentionRefinement(8 * width, 2 * width)
        self.conv_head32 = ConvBNReLU(2 * width, 2 * width)
        self.conv_head16 = ConvBNReLU(2 * width, 2 * width)
        self.conv_avg = ConvBNReLU(8 * width, 2 * width, kernel=1)

    def forward(self, x):
        stride8, stride16, stride32 = self.resnet(x)
        average = self.conv_avg(adaptive_avg_pool2d(stride32, 1))  # [N, 2 width, 1, 1], broadcast in the sum below
        up = interpolate(self.arm32(stride32) + average, size=stride16.shape[2:])  # nearest
        from32 = self.conv_head32(up)  # [N, 2 width, H/16, W/16]
        up = interpolate(self.arm16(stride16) + from32, size=stride8.shape[2:])
        return stride8, self.conv_head16(up), from32


class FeatureFusion(nn.Module):
    """FFM: concatenates detail and context and re-weights the channels by their global average."""

    def __init__(self, width):
        super().__init__()
        self.convblk = ConvBNReLU(4 * width, 4 * width, kernel=1)
        self.conv1 = nn.Conv2d(4 * width, width, 1, bias=False)
        self.conv2 = nn.Conv2d(width, 4 * width, 1, bias=False)

    def forward(self, detail, context):
        x = self.convblk(torch.cat([detail, context], 1))
        attention = torch.sigmoid(self.conv2(torch.relu(self.conv1(adaptive_avg_pool2d(x, 1)))))
        return x + x * attention


class Output(nn.Module):
    def __init__(self, channels_in, channels, n_classes):
        super().__init__()
        self.conv = ConvBNReLU(channels_in, channels)
        self.conv_out = nn.Conv2d(channels, n_classes, 1, bias=False)

    def forward(self, x, size):
        return interpolate(self.conv_out(self.conv(x)), size=size, mode="bilinear", align_corners=True)


class BiSeNet(nn.Module):
    """ImageNet-normalised picture [N, 3, H, W] -> logits [N, n_classes, H, W] of the main and the two auxiliary heads.

    `size` asks for logits of another height and width (they are brought to it bilinearly from an eighth of the input).
    The auxiliary heads serve the training only. `resolution` is the size of picture the weights were trained at;
    `parse` resizes to it.
    """

    def __init__(self, n_classes=19, width=64, resolution=512):
        super().__init__()
        self.config = {"n_classes": n_classes, "width": width, "resolution": resolution}
        self.resolution = resolution
        self.cp = ContextPath(width)
        self.ffm = FeatureFusion(width)
        self.conv_out = Output(4 * width, 4 * width, n_classes)
        self.conv_out16 = Output(2 * width, width, n_classes)
        self.conv_out32 = Output(2 * width, width, n_classes)

    def forward(self, x, size=None):
        size = size or x.shape[2:]
        detail, context16, context32 = self.cp(x)
        main = self.conv_out(self.ffm(detail, context16), size)
        return main, self.conv_out16(context16, size), self.conv_out32(context32, size)


def load_parser(path=None):
    """The frozen parser from a file: None means the demo weights (`parser.safetensors`).

    Reads native `parser` files and the public `79999_iter.pth`, as it is or saved anew with the wrappers that training
    leaves ({"state_dict": ...}, "module."). Raises WeightsError, naming the file, when it is missing, damaged, or holds
    something else.
    """
    path = Path(path) if path is not None else weights.DEMO / "parser.safetensors"
    if weights.is_native(path):
        tensors, config = weights.load(path, "parser")
        return filled(path, lambda: BiSeNet(**config), tensors, "the face parser that it describes")
    what = "a BiSeNet face parser of 19 classes"
    return filled(path, BiSeNet, state_of(read(path), "cp.resnet.conv1.weight", path, what), what)


def normalize(image):
    """[-1, 1] -> what the network expects: ImageNet's mean and standard deviation taken out."""
    mean = image.new_tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = image.new_tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    return ((image + 1) / 2 - mean) / deviation


@torch.no_grad()
def parse(parser, image):
    """Class index of every pixel: image [N, 3, H, W] in [-1, 1] -> int64 [N, H, W], numbered as in CLASSES.

    The picture is seen at the parser's own resolution; the logits are brought to H x W, and only then compared.
    """
    x = image
    if x.shape[2:] != (parser.resolution, parser.resolution):
        x = interpolate(x, size=[parser.resolution] * 2, mode="bilinear", align_corners=False, antialias=True)
    return parser(normalize(x), size=image.shape[2:])[0].argmax(1)
