"""What a run starts with: a checkpoint takes the run's precision, other widths and a missing D are refused."""

import dataclasses

import pytest
import torch
from click.testing import CliRunner

import train as command
from stylegan2 import Discriminator, Generator, checkpoints, precision
from training.config import TrainingConfig
from training.estimate import estimate
from training.networks import build_networks
from training.run import Run, division

WIDTHS = {"channel_base": 128, "channel_max": 8}
SIZES = dict(resolution=16, z_dim=8, w_dim=8, mapping_layers=1, batch=4, sketch_weight=0, color_weight=0)


@pytest.fixture
def file(tmp_path):
    torch.manual_seed(0)
    G = Generator(8, 0, 8, 16, 3, {"num_layers": 1}, WIDTHS)
    D = Discriminator(0, 16, 3, **WIDTHS, epilogue_kwargs={"mbstd_group_size": 4})
    checkpoints.save(tmp_path / "g_real.safetensors", {"G_ema": G, "D": D})
    checkpoints.save(tmp_path / "without.safetensors", {"G_ema": G})
    return tmp_path / "g_real.safetensors"


def config_of(path, **changes):
    return TrainingConfig(data="", g_real=str(path), **(SIZES | changes))


def test_fine_tuning_follows_the_precision_and_clamp_of_its_configuration(file):
    for half, given, clamp in ((2, 0.5, 0.5), (0, 0.5, 0.5), (2, None, 256), (0, None, None)):
        for network in build_networks(config_of(file, num_fp16_res=half, conv_clamp=given)):
            synthesis = getattr(network, "synthesis", network)
            blocks = [getattr(synthesis, f"b{size}") for size in (8, 16)]
            assert [block.use_half for block in blocks] == [half > 0] * 2
            assert {block.conv1.conv_clamp for block in blocks} == {clamp}
            said = network.config.get("synthesis_kwargs", network.config)
            assert (said["num_fp16_res"], said["conv_clamp"]) == (half, clamp)
    _, _, clamped = build_networks(config_of(file, conv_clamp=0.1))
    _, _, free = build_networks(config_of(file, num_fp16_res=0))
    w = free.mapping(torch.randn(1, 8))
    assert not torch.equal(clamped.synthesis(w, noise_mode="const"), free.synthesis(w, noise_mode="const"))
    for name, tensor in free.state_dict().items():
        assert torch.equal(tensor, clamped.state_dict()[name])
    checkpoints.save(file, {"G_ema": clamped, "D": checkpoints.load(file)["D"]})  # a limit of its own is kept
    assert build_networks(config_of(file))[0].config["synthesis_kwargs"]["conv_clamp"] == 0.1


def test_other_widths_are_refused_and_equal_ones_are_not(file):
    for change in ({"channel_base": 64}, {"channel_max": 16}, {"channel_max": 4}):
        key = next(iter(change))
        with pytest.raises(ValueError, match=f"g_real.safetensors.*{key} = .*leave out channel_base and channel_max"):
            build_networks(config_of(file, **change))
    build_networks(config_of(file, **WIDTHS))
    build_networks(config_of(file, channel_max=8))


def test_without_a_discriminator_the_remedy_is_named_and_works(file):
    without = file.with_name("without.safetensors")
    with pytest.raises(ValueError, match="without.safetensors: holds no discriminator.*--set discriminator=FILE"):
        build_networks(config_of(without))
    _, D, _ = build_networks(config_of(without, discriminator=str(file)))
    assert torch.equal(D.b16.conv0.weight, checkpoints.load(file)["D"].b16.conv0.weight)
    Run(config_of(without, discriminator=str(file)), "cpu")
    with pytest.raises(checkpoints.CheckpointError, match="without.safetensors: holds no discriminator.*snapshot of"):
        build_networks(dataclasses.replace(config_of(without), g_real=None, init=str(without)))
    other = file.with_name("other.safetensors")
    checkpoints.save(other, {"D": Discriminator(0, 32, 3, **WIDTHS)})
    with pytest.raises(ValueError, match="other.safetensors: its D judges pictures of 32 pixels"):
        build_networks(config_of(without, discriminator=str(other)))


def test_a_file_in_rosinalitys_layout_is_estimated_or_refused_clearly(file, tmp_path):
    """Reading it computes with its numbers, which --dry-run did on a device that has none."""
    path = tmp_path / "public.pt"
    checkpoints.rosinality.save_rosinality(path, checkpoints.load(file)["G_ema"])
    text = f"data: x\ng_real: {path}\n" + "".join(f"{key}: {value}\n" for key, value in SIZES.items())
    (tmp_path / "run.yaml").write_text(text)
    arguments = [str(tmp_path / "run.yaml"), "--out", str(tmp_path / "run"), "--dry-run"]
    refused = CliRunner().invoke(command.main, arguments)
    assert refused.exit_code == 1 and "discriminator=FILE" in refused.output and "meta" not in refused.output
    done = CliRunner().invoke(command.main, [*arguments, "--set", f"discriminator={file}"])
    assert done.exit_code == 0 and "GiB of GPU memory" in done.output
    assert estimate(config_of(file), 1)["parameters"]["G"] > 0


def test_the_file_a_plain_run_starts_from_is_estimated_or_refused(file):
    """--dry-run counted the configured widths, and said nothing of an `init` that the run itself would refuse."""
    plain = dataclasses.replace(config_of(file), g_real=None, init=str(file), resolution=32)
    G, D, _ = build_networks(plain)
    counts = {"G": sum(p.numel() for p in G.parameters()), "D": sum(p.numel() for p in D.parameters())}
    assert estimate(plain, 1)["parameters"] == counts
    with pytest.raises(ValueError, match=f"{file.name}.*--set z_dim="):
        estimate(dataclasses.replace(plain, z_dim=2 * plain.z_dim), 1)


def test_portions_of_which_no_half_is_known_are_refused(file):
    """Half of each portion comes from w_plus: of three pictures or of one, that would be another share."""
    _, D, _ = build_networks(config_of(file))
    D.b4.mbstd.group_size = 1
    known = config_of(file, batch=12, w_plus="known.npz", pl_weight=0)
    for n in (1, 3):
        with pytest.raises(ValueError, match="half of the latents of each portion come from w_plus.* make that even"):
            division(dataclasses.replace(known, batch_gpu=n), D)
    assert division(dataclasses.replace(known, batch_gpu=2), D) == (6, 2)
    assert division(dataclasses.replace(known, batch_gpu=3, w_plus=None), D) == (4, 3)


def test_a_grey_generator_is_refused_in_a_line(file):
    grey = file.with_name("grey.safetensors")
    checkpoints.save(grey, {"G_ema": Generator(8, 0, 8, 16, 1, {"num_layers": 1}, WIDTHS)})
    with pytest.raises(checkpoints.CheckpointError, match="grey.safetensors: a generator of 1-channel pictures cannot"):
        build_networks(config_of(grey))


def test_bfloat16_on_the_cpu_is_for_those_who_ask_and_where_it_pays(file, monkeypatch):
    monkeypatch.setattr(precision, "_cpu", torch.float32)  # restored afterwards
    seconds = {torch.bfloat16: 1.0, torch.float32: 2.0}
    monkeypatch.setattr(precision, "_seconds", seconds.get)
    Run(config_of(file), "cpu")
    assert precision.half_dtype("cpu") == torch.float32
    Run(config_of(file, cpu_bfloat16=True), "cpu")
    assert precision.half_dtype("cpu") == torch.bfloat16
    seconds[torch.bfloat16] = 3.0
    with pytest.raises(ValueError, match="slower in bfloat16"):
        Run(config_of(file, cpu_bfloat16=True), "cpu")


def test_the_configuration_chooses_the_augmentation(file):
    assert Run(config_of(file, augment="cutout"), "cpu").augment.multiplier["cutout"] == 1
    assert sum(Run(config_of(file), "cpu").augment.multiplier.values()) == 12  # bgc
    assert Run(config_of(file, ada_target=None), "cpu").augment is None


@pytest.fixture
def narrow(file):
    """The file of a generator that has been trained: nothing is at its initial value, w_avg is the mean of w."""
    networks, random = checkpoints.load(file), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in networks["G_ema"].parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=random)
        networks["G_ema"].mapping.w_avg.copy_(torch.randn(8, generator=random))
    checkpoints.save(file, networks)
    return file


def widened_config(file, **changes):
    wider = dict(g_real=None, init=str(file), channel_base=256, channel_max=12)
    return dataclasses.replace(config_of(file), **(wider | changes))


def test_a_widened_generator_draws_what_the_narrow_one_draws(narrow):
    small, (G, _, _) = checkpoints.load(narrow)["G_ema"], build_networks(widened_config(narrow, w_dim=11))
    assert (G.w_dim, [len(block.conv1.bias) for block in G.synthesis.blocks()]) == (11, [12, 12, 12])
    z = torch.randn(3, 8)
    for psi in (1, 0.5):  # truncation needs the mean of the new part of w as well
        wanted = small.eval()(z, truncation_psi=psi, noise_mode="const")
        torch.testing.assert_close(G.eval()(z, truncation_psi=psi, noise_mode="const"), wanted, atol=2e-5, rtol=1e-4)
    w = G.mapping(torch.randn(2000, 8))[:, 0]
    assert (G.mapping.w_avg - w.mean(0))[8:].abs().max() < 0.2 * w.std()


def test_what_is_new_in_a_widened_generator_can_learn(narrow):
    G, _, _ = build_networks(widened_config(narrow, w_dim=11))
    G.synthesis(G.mapping(torch.randn(2, 8))).square().sum().backward()
    for block in G.synthesis.blocks():
        assert (block.conv1.affine.weight.grad[:8, 8:] != 0).all()  # the new part of w reaches the old feature maps
        assert block.conv1.weight.grad[:8, 8:].abs().sum() > 0  # and so do the new ones
        assert (block.torgb.weight.grad[:, 8:] != 0).all()


def test_a_generator_is_widened_and_grown_at_once_beside_the_discriminator_that_it_had(narrow):
    start = checkpoints.load(narrow)
    G, D, _ = build_networks(widened_config(narrow, resolution=32))
    same, _, _ = build_networks(widened_config(narrow))
    w = same.mapping(torch.randn(2, 8))
    rows = w[:, :1].expand(-1, G.num_ws, -1)
    small = same.synthesis(w, noise_mode="none")
    large = torch.nn.functional.avg_pool2d(G.synthesis(rows, noise_mode="none"), 2)
    assert (large - small)[..., 2:-2, 2:-2].abs().mean() < 0.1 * small.abs().mean()
    assert D.img_resolution == 32 and torch.equal(D.b16.conv1.weight, start["D"].b16.conv1.weight)


def test_what_the_configuration_does_not_say_stays_as_it_was(file):
    """A public file may have other settings, which no key of the configuration names."""
    start = checkpoints.load(file)
    kwargs = start["G_ema"].config
    mapping = kwargs["mapping_kwargs"] | {"lr_multiplier": 1, "layer_features": 20}
    synthesis = kwargs["synthesis_kwargs"] | {"architecture": "resnet"}
    G = type(start["G_ema"])(**kwargs | {"mapping_kwargs": mapping, "synthesis_kwargs": synthesis}).eval()
    D = type(start["D"])(**start["D"].config | {"c_dim": 3})
    checkpoints.save(file, {"G_ema": G, "D": D})
    z = torch.randn(2, 8)
    for w_dim in (8, 11):
        same, D, _ = build_networks(widened_config(file, w_dim=w_dim))
        drawn = same.eval()(z, noise_mode="const")
        torch.testing.assert_close(drawn, G(z, noise_mode="const"), atol=2e-5, rtol=1e-4)
        assert D(drawn).shape == (2, 1)  # nobody gives it the labels that it had


def test_a_narrower_generator_is_refused(file):
    with pytest.raises(ValueError, match="g_real.safetensors: .*8, 8, 8 feature maps.*4, 4, 4.*raise them"):
        build_networks(widened_config(file, channel_max=4, channel_base=128))
    with pytest.raises(ValueError, match="g_real.safetensors: its generator has w_dim = 8.*--set w_dim=8"):
        build_networks(widened_config(file, w_dim=6))
