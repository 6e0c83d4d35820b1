"""The encoders are the released networks: same names, same numbers; their files are read whole, or refused by name."""

import argparse
import functools
import os
import pickle

import golden
import numpy as np
import pytest
import torch

from inversion import encode
from inversion.encoder import Encoder
from inversion.encoder_checkpoints import load_encoder
from stylegan2 import Generator
from stylegan2.checkpoints import CheckpointError
from stylegan2.checkpoints.rosinality import save_rosinality

NAMES = ["psp", "e4e", "restyle_psp", "restyle_e4e"]
OPTIONS = {"encoder_type": "GradualStyleEncoder", "start_from_latent_avg": True, "dataset_type": "ffhq_encode"}


def empty(name):
    """The full-size encoder without values."""
    with torch.device("meta"):
        return Encoder(iterative=name.startswith("restyle"), cumulative=name.endswith("e4e"))


@pytest.fixture(scope="module")
def value():
    """The golden set's recipe F; the encoders share most tensors (1.1 GB, freed with the module's last test)."""
    return functools.cache(recipe)


def recipe(name, shape):
    if name.endswith("num_batches_tracked"):
        return torch.zeros([], dtype=torch.int64)
    n = golden.n(name, shape)
    if name.endswith("running_mean") or name.endswith("bias"):
        return 0.1 * n
    if name.endswith("running_var"):
        return 0.5 + n.abs()
    if len(shape) == 4:
        c = 2 if ".res_layer.5.fc" in name else 2**0.5 if name.startswith("styles.") else 1
        return n * torch.tensor(c / torch.Size(shape[1:]).numel() ** 0.5, dtype=torch.float32)
    if len(shape) == 2:
        return n
    return 0.25 + 0.05 * n if name == "input_layer.2.weight" or ".res_layer.2.weight" in name else 1 + 0.1 * n


def to_float(pixels):
    return (pixels.float() / 255 - 0.5) / 0.5


@pytest.mark.parametrize("name", NAMES)
def test_state_dict_has_the_released_names_and_shapes(name):
    facts = golden.facts(f"enc_{name}_keys.json")
    state = empty(name).state_dict()
    assert {key: list(tensor.shape) for key, tensor in state.items()} == facts["state_dict"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_codes_equal_the_reference(name, value):
    encoder, io = empty(name), golden.arrays(f"enc_{name}.npz")
    state = {key: value(key, tuple(tensor.shape)) for key, tensor in encoder.state_dict().items()}
    encoder.load_state_dict(state, assign=True)
    encoder.eval().requires_grad_(False)
    x = torch.cat([to_float(io[key]) for key in ("image_u8", "image2_u8") if key in io], dim=1)
    codes = encoder(torch.cat([x, x.flip(3)]))
    golden.assert_close(codes[:1], io["codes"], absolute=4.4e-5)
    golden.assert_close(codes[1:], io["codes_hflip"], absolute=4.4e-5)
    maps = dict(zip(("c1", "c2", "c3"), encoder.feature_maps(x), strict=True))
    if not encoder.iterative:
        maps["p2"], maps["p1"] = encoder.pyramid(x)[1:]
    for key in [key for key in io if "_stride" in key]:
        which, stride = key.split("_stride")
        golden.assert_close(maps[which][:, :, :: int(stride), :: int(stride)], io[key], absolute=6e-5)
    if encoder.cumulative:
        for stage, key in ((0, "codes_WTraining"), (4, "codes_Delta4Training"), (9, "codes_Delta9Training")):
            golden.assert_close(encoder(x, stage), io[key], absolute=7.5e-5)


@pytest.fixture(scope="module", params=[32, 64])
def generator(request):
    """Of w_dim 128, with 8 or 10 rows, and noise that shows."""
    torch.manual_seed(5)
    small = {"channel_base": 256, "channel_max": 16}
    network = Generator(128, 0, 128, request.param, 3, {"num_layers": 2}, small).eval().requires_grad_(False)
    network.mapping.w_avg.copy_(torch.randn(128))
    for name, parameter in network.named_parameters():
        if name.endswith("noise_strength"):
            parameter.fill_(0.3)
    return network


def small_encoder(generator, iterative=False, cumulative=False):
    torch.manual_seed(6)
    encoder = Encoder(generator.num_ws, 16, iterative, cumulative).eval().requires_grad_(False)
    for block in encoder.styles:  # codes of a size that shows in the picture
        block.linear.weight.mul_(3)
        block.linear.bias.normal_()
    return encoder


def checkpoint(path, encoder, generator, **changes):
    """Write a file as the training programs do; a change to None leaves the entry out."""
    save_rosinality(path, generator)
    decoder = torch.load(path, weights_only=True)
    state = {f"encoder.{name}": tensor for name, tensor in encoder.state_dict().items()}
    state |= {f"decoder.{name}": tensor for name, tensor in decoder["g_ema"].items()}
    content = {"state_dict": state, "latent_avg": decoder["latent_avg"].expand(encoder.num_ws, -1).clone()}
    content |= {"opts": OPTIONS, "global_step": 5} | changes
    torch.save({key: value for key, value in content.items() if value is not None}, path)
    return path


def portraits(n, size):
    return torch.rand([n, 3, size, size], generator=torch.Generator().manual_seed(n)) * 2 - 1


def test_read_back_and_encode(tmp_path, generator):
    """The file's own generator, its mean latent, and w+ of other sizes than 18 x 512."""
    encoder = small_encoder(generator)
    path = checkpoint(tmp_path / "psp.pt", encoder, generator)
    read, decoder = load_encoder(path, "psp")
    x = portraits(2, 256)
    found = encode(read, decoder, x)
    expected = encoder(x) + generator.mapping.w_avg
    torch.testing.assert_close(found.w_plus, expected)
    torch.testing.assert_close(found.image, generator.synthesis(expected, noise_mode="const"), rtol=1e-4, atol=1e-5)
    assert found.w_plus.shape == (2, generator.num_ws, 128) and found.generators is None
    assert len(found.history) == 1 and len(found.history[0]["pixels"]) == 2
    torch.testing.assert_close(encode(read, decoder, x[1:]).w_plus, found.w_plus[1:], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found.w_plus[0], found.w_plus[1], atol=1e-3)


@pytest.mark.parametrize("shape", [[], [1], ["rows"]])
@pytest.mark.parametrize("half", [False, True])
def test_every_shape_of_the_mean_latent(tmp_path, small_decoder, shape, half):
    average = torch.linspace(-1, 1, 128)
    average = average.expand(*(small_decoder.num_ws if part == "rows" else part for part in shape), 128).clone()
    average = average.half() if half else average
    path = checkpoint(tmp_path / "e.pt", small_encoder(small_decoder), small_decoder, latent_avg=average)
    encoder, decoder = load_encoder(path, "psp")
    torch.testing.assert_close(encoder.latent_avg, torch.linspace(-1, 1, 128).expand(8, -1), rtol=0, atol=1e-3 * half)
    assert encoder.latent_avg.dtype == torch.float32
    torch.testing.assert_close(decoder.mapping.w_avg, encoder.latent_avg[0])


@pytest.fixture
def small_decoder():
    torch.manual_seed(5)
    small = {"channel_base": 128, "channel_max": 8}
    return Generator(128, 0, 128, 32, 3, {"num_layers": 2}, small).eval().requires_grad_(False)


def test_options_decide(tmp_path, small_decoder):
    """What opts say: the rule of the rows, whether the mean is added, as a dict or as a Namespace; none at all."""
    plain = small_encoder(small_decoder)
    x, average = portraits(1, 256), small_decoder.mapping.w_avg.normal_()

    def read(method, **options):
        opts = options.pop("opts", OPTIONS | options)
        return load_encoder(checkpoint(tmp_path / "e.pt", plain, small_decoder, opts=opts), method)[0]

    assert read("psp").latent_avg[0].equal(average)
    assert read("psp", start_from_latent_avg=False).latent_avg.count_nonzero() == 0
    assert read("psp", opts=argparse.Namespace(**OPTIONS)).latent_avg[0].equal(average)
    rows, shifted = read("psp", opts=None)(x), read("e4e", encoder_type="Encoder4Editing")(x)
    torch.testing.assert_close(shifted[:, :1], rows[:, :1])
    torch.testing.assert_close(shifted[:, 1:], rows[:, :1] + rows[:, 1:])
    torch.testing.assert_close(read("e4e", opts=None)(x), shifted)


def test_bare_file_without_mean_latent(tmp_path, small_decoder):
    """The flat dictionary itself: the mean of w is then computed."""
    path = checkpoint(tmp_path / "full.pt", small_encoder(small_decoder), small_decoder)
    torch.save(torch.load(path, weights_only=True)["state_dict"], tmp_path / "bare.pt")
    encoder, decoder = load_encoder(tmp_path / "bare.pt", "psp")
    z = torch.randn(4000, 128, generator=torch.Generator().manual_seed(5))
    w = decoder.mapping(z)[:, 0]
    assert (encoder.latent_avg[3] - w.mean(0)).norm() < 0.05 * w.norm(dim=1).mean()


@pytest.mark.parametrize("kind", ["BackboneEncoder", "ProgressiveBackboneEncoder"])
def test_restyle_loop(tmp_path, small_decoder, kind):
    """Five passes; every one sees the portrait first and the unclamped reconstruction second, and adds to its w+."""
    encoder = small_encoder(small_decoder, iterative=True, cumulative=kind.startswith("Pro"))
    small_decoder.mapping.w_avg.normal_()
    opts = OPTIONS | {"encoder_type": kind, "start_from_latent_avg": False}  # not consulted by ReStyle
    read, decoder = load_encoder(checkpoint(tmp_path / "r.pt", encoder, small_decoder, opts=opts), "restyle")
    x, seen = portraits(1, 256), []
    found = encode(read, decoder, x, on_step=lambda step, pixels: seen.append((step, pixels.tolist())))
    w_plus = small_decoder.mapping.w_avg.expand(1, 8, -1)
    for _ in range(5):
        picture = small_decoder.synthesis(w_plus, noise_mode="const").repeat_interleave(8, 2).repeat_interleave(8, 3)
        w_plus = w_plus + encoder(torch.cat([x, picture], dim=1))
    torch.testing.assert_close(found.w_plus, w_plus, rtol=1e-3, atol=1e-3)
    assert [step for step, _ in seen] == list(range(5)) and seen[4][1] == found.history[4]["pixels"]
    assert len(encode(read, decoder, x, steps=2).history) == 2


def test_what_does_not_fit_is_refused(small_decoder, small_generator):
    encoder = small_encoder(small_decoder)
    with pytest.raises(ValueError, match=r"\[8, 128\].*\[8, 16\]"):
        encode(encoder, small_generator, portraits(1, 32))
    with pytest.raises(ValueError, match="one pass"):
        encode(encoder, small_decoder, portraits(1, 32), steps=3)
    with pytest.raises(ValueError, match="finite"):
        encode(encoder, small_decoder, portraits(1, 32) / 0)


def test_large_portraits_are_reduced_as_pillow_does(small_decoder):
    from PIL import Image

    encoder = small_encoder(small_decoder)
    pixels = (portraits(1, 512)[0].permute(1, 2, 0).numpy() * 127.5 + 127.5).round().astype("uint8")
    small = torch.from_numpy(np.array(Image.fromarray(pixels).resize((256, 256), Image.BILINEAR)))
    large = to_float(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    by_pillow = encode(encoder, small_decoder, to_float(small.permute(2, 0, 1)[None]))
    by_us = encode(encoder, small_decoder, large)
    torch.testing.assert_close(by_us.w_plus, by_pillow.w_plus, rtol=0, atol=0.02)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def drop(key):
    return lambda content: content["state_dict"].pop(key)


def opts(**changes):
    return lambda content: content.update(opts=OPTIONS | changes)


@pytest.mark.parametrize(
    "change, said",
    [
        (drop("encoder.styles.3.linear.bias"), "encoder of psp: .* styles.3.linear.bias, is missing"),
        (drop("decoder.conv1.conv.weight"), "decoder of an encoder file"),
        (lambda c: c["state_dict"].update({"encoder.latlayer1.bias": torch.zeros(3)}), r"latlayer1.bias, is \[3\]"),
        (lambda c: c["state_dict"].update({"encoder.input_layer.0.weight": 5}), "an encoder of psp"),
        (lambda c: c.update(state_dict=[1]), "found 4 entries .state_dict, latent_avg, opts"),
        (lambda c: c.update(state_dict={"encoder.x": torch.zeros(1)}), "expected a tensor encoder"),
        (lambda c: [c["state_dict"].pop(k) for k in [*c["state_dict"]] if k[0] == "d"], "no decoder"),
        (lambda c: c.update(latent_avg=torch.zeros(7)), "decoder of an encoder file"),
        (lambda c: c.update(opts={}), "no encoder_type"),
        (opts(encoder_type="Encoder4Editing"), "is a Encoder4Editing, but psp needs GradualStyleEncoder"),
        (opts(encoder_type="ResNetBackboneEncoder"), "ResNetBackboneEncoder"),
        (opts(learn_in_w=True), "made for W"),
        (opts(dataset_type="cars_encode"), "cars"),
    ],
)
def test_wrong_files_are_named_with_a_remedy(tmp_path, small_decoder, change, said):
    path = checkpoint(tmp_path / "wrong.pt", small_encoder(small_decoder), small_decoder)
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    refused(path, said)


def test_restyle_file_given_for_psp(tmp_path, small_decoder):
    path = checkpoint(tmp_path / "r.pt", small_encoder(small_decoder, iterative=True), small_decoder, opts=None)
    refused(path, "found .* expected")
    with pytest.raises(CheckpointError, match="no encoder_type"):
        load_encoder(path, "restyle")


def refused(path, said):
    with pytest.raises(CheckpointError, match=said) as error:
        load_encoder(path, "psp")
    message = str(error.value)
    assert message.startswith(str(path)) and "; " in message and "\n" not in message and len(message) < 500


def test_damaged_and_hostile_files_execute_nothing(tmp_path, small_decoder):
    path = checkpoint(tmp_path / "whole.pt", small_encoder(small_decoder), small_decoder)
    data, trap = path.read_bytes(), tmp_path / "trap"
    for name, content in (("cut", data[: len(data) // 2]), ("empty", b""), ("page", b"<html>404</html>" * 50)):
        (tmp_path / f"{name}.pt").write_bytes(content)
        refused(tmp_path / f"{name}.pt", "cannot be read|read safely")
    (tmp_path / "evil.pt").write_bytes(pickle.dumps({"state_dict": Evil(trap)}))
    refused(tmp_path / "evil.pt", "read safely")
    torch.save({"state_dict": {}, "opts": Evil(trap)}, tmp_path / "evil_zip.pt")
    refused(tmp_path / "evil_zip.pt", r"asks for \w+.system")
    refused(tmp_path / "gone.pt", "no such weight file")
    torch.save([1, 2], tmp_path / "list.pt")
    refused(tmp_path / "list.pt", "found a list")
    assert not trap.exists()


@pytest.mark.parametrize("name", ["psp_layout_tiny.pt", "psp_layout_tiny_dict.pt"])
def test_files_of_the_golden_set_are_read_and_refused_for_their_shapes_alone(name):
    """They hold real names in shrunken shapes; one of them an argparse.Namespace."""
    with pytest.raises(CheckpointError, match="decoder of an encoder file"):
        load_encoder(golden.path(name), "psp")
