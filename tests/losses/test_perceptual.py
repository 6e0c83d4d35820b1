"""Perceptual distance: equal to the lpips package for VGG-16, and sane for the embedded network."""

import pytest
import torch
from torch import nn

import weights
from losses.perceptual import PerceptualNetwork, VGGPerceptual, load_perceptual, lpips_features
from weights import WeightsError


@pytest.fixture(scope="module")
def vgg_state():
    """Random weights under the names of torchvision's vgg16 (convolutions only), scaled to keep them alive."""
    from torchvision.models.vgg import cfgs, make_layers

    torch.manual_seed(0)
    state = {}
    for key, value in make_layers(cfgs["D"]).state_dict().items():
        fan_in = value[0].numel() if value.ndim == 4 else 100
        state[f"features.{key}"] = torch.randn(value.shape) * (2 / fan_in) ** 0.5
    return state


def pictures(count=2, size=64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, count, 3, size, size, generator=generator) * 2 - 1


@pytest.mark.filterwarnings("ignore:.*weight:UserWarning")  # the package calls torchvision in an old way
def test_vgg_distance_equals_the_lpips_package(vgg_state):
    lpips = pytest.importorskip("lpips")
    from torchvision.models.vgg import cfgs, make_layers

    ours = VGGPerceptual(vgg_state)
    heads = {f"lin{i}.model.1.weight": getattr(ours, f"linear{i}").view(1, -1, 1, 1) for i in range(5)}
    trunk = make_layers(cfgs["D"])
    trunk.load_state_dict({key.removeprefix("features."): value for key, value in vgg_state.items()})
    with torch.device("meta"):  # the package's trunk is replaced below, so its random one costs nothing
        theirs = lpips.LPIPS(net="vgg", pretrained=False, pnet_rand=True, verbose=False)
    theirs.scaling_layer = lpips.lpips.ScalingLayer()
    for index, start, stop in zip(range(1, 6), (0, 4, 9, 16, 23), (4, 9, 16, 23, 30), strict=True):
        part = nn.Sequential()
        for position in range(start, stop):  # the package's slices keep the positions as names
            part.add_module(str(position), trunk[position])
        setattr(theirs.net, f"slice{index}", part)
    for key, value in heads.items():
        layer = getattr(theirs, key.split(".")[0]).model[1]
        layer.weight = nn.Parameter(value.clone())
    theirs = theirs.eval()
    a, b = pictures()
    with torch.no_grad():
        expected = theirs(a, b).flatten()
        found = ours.distance(ours.features(a), ours.features(b))
    assert expected.min() > 0
    assert torch.allclose(found, expected, rtol=1e-5)
    assert torch.equal(ours(a, b), found)


def test_heads_come_from_the_package_file(vgg_state):
    lpips = pytest.importorskip("lpips")
    from pathlib import Path

    state = torch.load(Path(lpips.__file__).parent / "weights/v0.1/vgg.pth", map_location="cpu", weights_only=True)
    ours = VGGPerceptual(vgg_state)
    for index, channels in enumerate((64, 128, 256, 512, 512)):
        head = getattr(ours, f"linear{index}")
        assert head.shape == (channels,) and head.min() >= 0
        assert torch.equal(head, state[f"lin{index}.model.1.weight"].flatten())


def test_features_are_unit_vectors_with_weights_and_survive_dead_pixels():
    activation = torch.rand(2, 5, 4, 4)
    linear = torch.rand(5)
    activation[:, :, 0, 0] = 0  # every channel silent
    activation.requires_grad_()
    features = lpips_features(activation, linear)
    assert features.shape == (2, 5 * 16)
    lengths = (features.view(2, 5, 16) / linear.sqrt().view(1, 5, 1) * 4).square().sum(1)
    assert torch.allclose(lengths[:, 1:], torch.ones(2, 15), atol=1e-5) and (lengths[:, 0] == 0).all()
    features.sum().backward()
    assert torch.isfinite(activation.grad).all()


def test_distance_is_summed_per_picture_and_zero_for_equals():
    torch.manual_seed(0)
    network = PerceptualNetwork(channels=(4, 6), convs=(1, 2))
    a, b = pictures(3, 16)
    both = network(a, b)
    assert both.shape == (3,) and both.min() > 0
    assert torch.allclose(both[1], network(a[1:2], b[1:2])[0])
    assert torch.equal(network(a, a), torch.zeros(3))


def test_files_are_told_apart_and_bad_ones_named(tmp_path, vgg_state):
    network = PerceptualNetwork(channels=(4, 6), convs=(1, 2))
    path = tmp_path / "p.safetensors"
    weights.save(path, network.state_dict(), kind="perceptual", config=network.config)
    a, b = pictures(1, 16)
    assert torch.equal(load_perceptual(path)(a, b), network(a, b).detach())
    torch.save(vgg_state, tmp_path / "vgg16.pth")
    assert isinstance(load_perceptual(tmp_path / "vgg16.pth"), VGGPerceptual)
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    torch.save(network, tmp_path / "code.pth")  # a pickled module: would run code if it were loaded freely
    for name in ("other.pth", "code.pth", "missing.pth", "missing.safetensors"):
        with pytest.raises(WeightsError, match=name):
            load_perceptual(tmp_path / name)


def test_demo_network_ranks_distortions_of_a_smooth_picture():
    network = load_perceptual()
    assert not any(parameter.requires_grad for parameter in network.parameters())
    yy, xx = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    face = torch.where((yy**2 + 1.6 * xx**2)[None] < 0.6, 0.4, -0.3) * torch.tensor([1.0, 0.7, 0.5]).view(3, 1, 1)
    face = face[None]
    noise = torch.randn(face.shape, generator=torch.Generator().manual_seed(0))
    target = network.features(face)
    distances = [
        [network.distance(target, network.features(face + strength * noise)).item() for strength in (0, 0.05, 0.2)],
        [network.distance(target, network.features(face.roll(step, 3))).item() for step in (0, 1, 4)],
        [network.distance(target, network.features(face + strength)).item() for strength in (0, 0.1, 0.3)],
    ]
    for row in distances:
        assert row[0] == 0 and row[0] < row[1] < row[2], distances
