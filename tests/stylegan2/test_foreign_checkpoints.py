"""Generators and discriminators as other people's programs really save them."""

import argparse

import golden
import pytest
import torch
from torch.nn.functional import conv2d, leaky_relu, linear

from scripts.rehearsal import official
from stylegan2 import Discriminator, Generator, checkpoints
from stylegan2.checkpoints.rosinality import rename_discriminator, save_rosinality
from weights import WeightsError

WIDTHS = {"channel_base": 256, "channel_max": 16}


@pytest.mark.parametrize("name", ["official_freeze_layers_32", "sg3_stylegan2_32", "official_grey_32"])
def test_pickles_in_the_wild_draw_the_golden_pictures(name):
    io, networks = golden.arrays(name + "_io.npz"), checkpoints.load(golden.path(name + ".pkl"))
    golden.assert_close(networks["G_ema"](io["z"], noise_mode="const"), io["img"])
    golden.assert_close(networks["D"](io["img"]), io["logits"])


def test_one_channel_and_labels_are_refused_for_inference(tmp_path):
    path = golden.path("official_grey_32.pkl")
    with pytest.raises(WeightsError, match="1-channel .* in colour"):
        checkpoints.load_generator(path)
    labelled = Generator(16, 5, 16, 16, 3, {"num_layers": 1}, WIDTHS)
    checkpoints.save(tmp_path / "labels.safetensors", {"G": labelled})
    assert checkpoints.load(tmp_path / "labels.safetensors")["G"].c_dim == 5
    with pytest.raises(WeightsError, match="labels.safetensors: a conditional generator .5 labels."):
        checkpoints.load_generator(tmp_path / "labels.safetensors")


@pytest.fixture
def written(tmp_path, small_generator):
    """written(content) -> path of an official pickle; written.saved(arguments) -> the small generator in it."""

    def write(content, name="x.pkl"):
        official.write(tmp_path / name, content)
        return tmp_path / name

    write.saved = lambda **arguments: official.Saved(small_generator, small_generator.config | arguments)
    return write


def test_arguments_go_where_they_belong(written, small_generator):
    outside = {key: value for key, value in small_generator.config.items() if key != "synthesis_kwargs"}
    clamp = {"conv_clamp": 0.05, "num_fp16_res": 1, "fused_modconv_default": "inference_only"}
    path = written({"G_ema": official.Saved(small_generator, outside | WIDTHS | clamp)})
    read = checkpoints.load_generator(path)
    assert read.synthesis.b32.conv1.conv_clamp == 0.05 and read.synthesis.b32.use_half
    assert not read.synthesis.b16.use_half
    silent = checkpoints.load_generator(written({"G_ema": official.Saved(small_generator, outside | WIDTHS)}))
    assert silent.synthesis.b32.conv1.conv_clamp == 256 and silent.synthesis.b4.use_half  # that code base's defaults
    for where in ({"magnitude_ema_beta": 0.99}, {"mapping_kwargs": {"num_layers": 2, "normalize": False}},
                  {"synthesis_kwargs": WIDTHS | {"demodulate": False}}):  # fmt: skip
        with pytest.raises(WeightsError, match="unknown argument"):
            checkpoints.load(written({"G_ema": written.saved(**where)}))


def test_a_discriminator_that_cannot_be_rebuilt_keeps_no_generator_from_being_read(written):
    broken = official.Saved(Discriminator(0, 32, 3, **WIDTHS), {"surprise": 1}, "Discriminator")
    path = written({"G_ema": written.saved(), "D": broken})
    assert list(checkpoints.load(path)) == ["G_ema"]
    broken.meta["state"] = None
    assert list(checkpoints.load(written({"G_ema": written.saved(), "D": broken}, "bare.pkl"))) == ["G_ema"]
    assert checkpoints.load_generator(path).img_resolution == 32
    odd = official.Saved(Generator(16, 0, 16, 16, 3, {"num_layers": 1}, WIDTHS), {"surprise": 1})
    assert list(checkpoints.load(written({"G": odd, "G_ema": written.saved()}, "odd.pkl"))) == ["G_ema"]
    with pytest.raises(WeightsError, match="its G cannot be rebuilt"):
        checkpoints.load(written({"G": odd}, "odd.pkl"))
    with pytest.raises(WeightsError, match="its D cannot be rebuilt .unknown argument surprise"):
        checkpoints.load_discriminator(path)
    with pytest.raises(WeightsError, match="holds no discriminator, only G_ema; give a file that has one"):
        checkpoints.load_discriminator(written({"G_ema": written.saved()}))
    whole = checkpoints.load_discriminator(golden.path("official_freeze_layers_32.pkl"))
    assert whole.img_resolution == 32 and not whole.training


def test_stylegan3_is_named(written, small_generator):
    small_generator.synthesis.input = torch.nn.Module()
    small_generator.synthesis.input.register_buffer("freqs", torch.zeros(2))
    with pytest.raises(WeightsError, match="StyleGAN3"):
        checkpoints.load(written({"G_ema": official.Saved(small_generator, small_generator.config)}))


@pytest.mark.parametrize("alone", [True, False])
def test_the_generator_that_pti_tuned(tmp_path, written, small_generator, alone):
    """torch.save of the network itself: tensors in the torch file, everything else as in the release's pickle."""
    saved = written.saved()
    with official.names_exist():
        torch.save(saved if alone else {"G_ema": saved}, tmp_path / "model_RUN_person.pt")
        torch.save(saved, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    z = torch.randn(1, 16)
    picture = small_generator(z, noise_mode="const")
    assert torch.equal(checkpoints.load_generator(tmp_path / "model_RUN_person.pt")(z, noise_mode="const"), picture)
    assert torch.equal(checkpoints.load_generator(tmp_path / "old.pt")(z, noise_mode="const"), picture)
    path = written(saved if alone else {"G": saved}, "model_RUN.pkl")
    assert torch.equal(checkpoints.load_generator(path)(z, noise_mode="const"), picture)


@pytest.fixture
def state(tmp_path, small_generator):
    save_rosinality(tmp_path / "plain.pt", small_generator)
    return torch.load(tmp_path / "plain.pt", weights_only=True)["g_ema"]


def test_rosinality_as_its_training_saves_it(tmp_path, small_generator, state):
    options = argparse.Namespace(path="data.lmdb", size=32, lr=0.002)
    half_way = {name: tensor + 1 for name, tensor in state.items()}
    content = {"g": half_way, "d": {}, "g_ema": state, "g_optim": {"state": {0: {"step": 1}}}, "args": options}
    for prefix in ("", "module.", "_orig_mod.", "module._orig_mod."):
        wrapped = content | {"g_ema": {prefix + name: tensor for name, tensor in state.items()}}
        torch.save(wrapped, tmp_path / "550000.pt")
        ws = torch.randn(1, 8, 16)
        picture = checkpoints.load_generator(tmp_path / "550000.pt").synthesis(ws, noise_mode="const")
        torch.testing.assert_close(picture, small_generator.synthesis(ws, noise_mode="const"))
    assert set(checkpoints.load(tmp_path / "550000.pt")) == {"G", "G_ema"}


def reference_logits(state, x):
    """The discriminator of that layout, written down from the StyleGAN2 paper and the layout's names: float64."""
    state = {name: tensor.double() for name, tensor in state.items()}
    taps = torch.tensor([1.0, 3, 3, 1], dtype=torch.float64)
    blur = taps.outer(taps) / 64

    def conv(x, name, stride=1, pad=0):
        w = state[name]
        return conv2d(x, w / (w.shape[1] * w.shape[2] * w.shape[3]) ** 0.5, stride=stride, padding=pad)

    def activated(x, name):
        return leaky_relu(x + state[name].view(1, -1, *[1] * (x.ndim - 2)), 0.2) * 2**0.5

    def blurred(x, before, after):
        x = torch.nn.functional.pad(x, (before, after, before, after))
        return conv2d(x.flatten(0, 1)[:, None], blur[None, None]).view(*x.shape[:2], x.shape[2] - 3, x.shape[3] - 3)

    x = activated(conv(x.double(), "convs.0.0.weight"), "convs.0.1.bias")
    for i in range(1, 4):
        y = activated(conv(x, f"convs.{i}.conv1.0.weight", pad=1), f"convs.{i}.conv1.1.bias")
        y = activated(conv(blurred(y, 2, 2), f"convs.{i}.conv2.1.weight", stride=2), f"convs.{i}.conv2.2.bias")
        x = (y + conv(blurred(x, 1, 1), f"convs.{i}.skip.1.weight", stride=2)) / 2**0.5
    deviation = (x.var(0, unbiased=False) + 1e-8).sqrt().mean().expand(len(x), 1, 4, 4)
    x = activated(conv(torch.cat([x, deviation], 1), "final_conv.0.weight", pad=1), "final_conv.1.bias")
    for i in range(2):
        w = state[f"final_linear.{i}.weight"]
        x = linear(x.flatten(1), w / w.shape[1] ** 0.5)
        x = x + state["final_linear.1.bias"] if i else activated(x, "final_linear.0.bias")
    return x


def test_rosinality_discriminator(tmp_path, state):
    shapes = {"convs.0.0.weight": [8, 3, 1, 1], "convs.0.1.bias": [8]}
    for i, (channels_in, channels) in enumerate([(8, 16), (16, 16), (16, 16)], 1):
        shapes |= {f"convs.{i}.conv1.0.weight": [channels_in] * 2 + [3, 3], f"convs.{i}.conv1.1.bias": [channels_in],
                   f"convs.{i}.conv2.0.kernel": [4, 4], f"convs.{i}.conv2.1.weight": [channels, channels_in, 3, 3],
                   f"convs.{i}.conv2.2.bias": [channels], f"convs.{i}.skip.0.kernel": [4, 4],
                   f"convs.{i}.skip.1.weight": [channels, channels_in, 1, 1]}  # fmt: skip
    shapes |= {"final_conv.0.weight": [16, 17, 3, 3], "final_conv.1.bias": [16], "final_linear.0.weight": [16, 256],
               "final_linear.0.bias": [16], "final_linear.1.weight": [1, 16], "final_linear.1.bias": [1]}  # fmt: skip
    d = {name: torch.randn(shape) for name, shape in shapes.items()}
    torch.save({"g": state, "g_ema": state, "d": {f"module.{name}": t for name, t in d.items()}}, tmp_path / "x.pt")
    x = torch.randn(4, 3, 32, 32)
    found = checkpoints.load_discriminator(tmp_path / "x.pt")(x)
    torch.testing.assert_close(found.double(), reference_logits(d, x), rtol=1e-4, atol=1e-4)
    assert set(checkpoints.load(tmp_path / "x.pt")) == {"G", "G_ema", "D"}
    assert rename_discriminator("convs.3.skip.0.kernel", 32) is None
    del d["convs.2.conv1.1.bias"]
    torch.save({"g_ema": state, "d": d}, tmp_path / "short.pt")
    assert set(checkpoints.load(tmp_path / "short.pt")) == {"G_ema"}
    with pytest.raises(WeightsError, match="short.pt: .* b16.conv0.bias, is missing"):
        checkpoints.load_discriminator(tmp_path / "short.pt")


@pytest.mark.parametrize(
    "change, said",
    [
        ({"img_channels": 1}, "1 channels"),
        ({"mapping_kwargs": {"activation": "relu"}}, "activation is relu"),
        ({"mapping_kwargs": {"lr_multiplier": 1}}, "lr_multiplier"),
        ({"mapping_kwargs": {"num_layers": 2, "layer_features": 8}}, "as wide as w"),
        ({"synthesis_kwargs": WIDTHS | {"activation": "relu"}}, "activation is relu"),
        ({"synthesis_kwargs": WIDTHS | {"use_noise": False}}, "use_noise"),
        ({"synthesis_kwargs": WIDTHS | {"architecture": "resnet"}}, "architecture"),
        ({"synthesis_kwargs": WIDTHS | {"resample_filter": [1, 2, 1]}}, "resample_filter"),
        ({"synthesis_kwargs": WIDTHS | {"conv_clamp": 0.5}}, "conv_clamp"),
        ({"c_dim": 2}, "2 labels"),
        ({"z_dim": 8}, "z has 8 dimensions and w 16"),
        ({"mapping_kwargs": {"num_layers": 2, "w_avg_beta": None}}, "no mean of w"),
    ],
)
def test_rosinality_refuses_to_write_what_it_cannot_hold(tmp_path, small_generator, change, said):
    generator = Generator(**small_generator.config | change)
    with pytest.raises(ValueError, match=said):
        save_rosinality(tmp_path / "x.pt", generator)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state},
        lambda state: {"net": {"params_ema": state}, "epoch": 3},
        lambda state: {f"a.b.{name}": tensor for name, tensor in state.items()},
    ],
)
def test_wrappers_that_nobody_listed(tmp_path, state, wrap):
    torch.save(wrap(state), tmp_path / "x.pt")
    assert checkpoints.load_generator(tmp_path / "x.pt").img_resolution == 32


def test_what_does_not_fit_is_told_shortly(tmp_path, state):
    torch.save({"g_ema": state | {"conv1.conv.modulation.bias": torch.zeros(15)}}, tmp_path / "bias.pt")
    with pytest.raises(WeightsError) as error:
        checkpoints.load(tmp_path / "bias.pt")
    message = str(error.value).removeprefix(str(tmp_path))
    assert "synthesis.b4.conv1.affine.bias, is [15], expected [16]" in message
    assert len(message) <= 300 and "\n" not in message and "\x1b" not in message
    torch.save({"g_ema": state | {"evil\x1b[31m\n": torch.zeros(1)}}, tmp_path / "red.pt")
    with pytest.raises(WeightsError) as error:
        checkpoints.load(tmp_path / "red.pt")
    assert str(error.value).isprintable()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_numbers_that_are_not_finite_are_refused(tmp_path, small_generator, value, suffix):
    small_generator.synthesis.b8.conv0.weight[0, 0, 0, 0] = value
    if suffix == ".pt":
        save_rosinality(tmp_path / "x.pt", small_generator)
    else:
        checkpoints.save(tmp_path / "x.safetensors", {"G_ema": small_generator})
    with pytest.raises(WeightsError, match="b8.conv0.weight holds numbers that are not finite"):
        checkpoints.load_generator(tmp_path / f"x{suffix}")
