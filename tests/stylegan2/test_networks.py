"""Generator and discriminator against the golden numbers of the reference implementation."""

import golden
import pytest
import torch

from stylegan2 import Discriminator, Generator, precision
from stylegan2.discriminator import MinibatchStdLayer


@pytest.fixture(scope="module")
def g64():
    facts = golden.facts("sg2ada_networks.json")[0]
    generator = Generator(**facts["init_kwargs"]).eval()
    generator.load_state_dict(golden.arrays("sg2ada_G64_skip_weights.npz"))
    return generator, facts, golden.arrays("sg2ada_G64_skip_io.npz")


@pytest.fixture(scope="module")
def d64():
    facts = golden.facts("sg2ada_networks.json")[1]
    discriminator = Discriminator(**facts["init_kwargs"]).eval()
    discriminator.load_state_dict(golden.arrays("sg2ada_D64_resnet_weights.npz"))
    return discriminator, facts, golden.arrays("sg2ada_D64_resnet_io.npz")


@pytest.mark.parametrize("which", ["g64", "d64"])
def test_state_dict_is_the_official_one(which, request):
    network, facts, _ = request.getfixturevalue(which)
    shapes = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    assert shapes == facts["state_dict"]
    assert sorted(name for name, _ in network.named_parameters()) == sorted(facts["parameters"])
    assert sum(p.numel() for p in network.parameters()) == facts["n_params"]


def test_ffhq_1024_layout():
    facts = golden.facts("ffhq_1024_facts.json")
    with torch.device("meta"):
        generator = Generator(512, 0, 512, 1024, 3)
        discriminator = Discriminator(0, 1024, 3)
    assert generator.num_ws == 18
    assert sum(p.numel() for p in generator.parameters()) == 30_370_060
    assert sum(p.numel() for p in discriminator.parameters()) == 29_012_513
    assert {k: list(v.shape) for k, v in generator.state_dict().items()} == facts["G"]["state_dict"]
    assert {k: list(v.shape) for k, v in discriminator.state_dict().items()} == facts["D"]["state_dict"]


def test_mapping_and_truncation(g64):
    generator, _, io = g64
    z = io["z"]
    golden.assert_close(generator.mapping(z), io["ws_psi1"])
    golden.assert_close(generator.mapping(z, truncation_psi=0.7), io["ws_psi0.7"])
    golden.assert_close(generator.mapping(z, truncation_psi=0.7, truncation_cutoff=4), io["ws_psi0.7_cutoff4"])


@pytest.mark.parametrize("fused", [False, True])
def test_images(g64, fused):
    generator, _, io = g64
    ws = io["ws_psi1"][:2]
    golden.assert_close(generator.synthesis(ws, noise_mode="const", fused_modconv=fused), io["img_const"])
    golden.assert_close(generator.synthesis(ws, noise_mode="none", fused_modconv=fused), io["img_none"])
    golden.assert_close(generator.synthesis(io["ws_mixed"], noise_mode="const"), io["img_mixed"])
    image = generator(io["z"][2:3], truncation_psi=0.7, truncation_cutoff=4, noise_mode="const")
    golden.assert_close(image, io["img_full_psi0.7_cutoff4"])


def test_given_noise_replaces_the_buffers(g64):
    generator, _, io = g64
    noise = [m.noise_const[None, None] for name, m in generator.synthesis.named_modules() if hasattr(m, "noise_const")]
    assert [tuple(t.shape[2:]) for t in noise] == generator.synthesis.noise_shapes()
    image = generator.synthesis(io["ws_psi1"][:2], noise_mode="random", noise=noise)
    golden.assert_close(image, io["img_const"])


def test_frozen_generator(g64):
    """Without gradients for its weights the generator takes another way through its layers, to the same numbers."""
    generator, facts, io = g64
    frozen = Generator(**facts["init_kwargs"]).eval().requires_grad_(False)
    frozen.load_state_dict(generator.state_dict())
    ws = io["ws_psi1"][:2].clone().requires_grad_()
    image = frozen.synthesis(ws, noise_mode="const")
    golden.assert_close(image, io["img_const"])
    golden.assert_close(frozen.synthesis(io["ws_mixed"], noise_mode="const"), io["img_mixed"])
    golden.assert_close(frozen.synthesis(ws[:1], noise_mode="none"), io["img_none"][:1])
    r = golden.n("sg2ada_G64_skip:r", image.shape) if "r" not in io else io["r"]
    (grad,) = torch.autograd.grad((image * r).sum(), ws, retain_graph=True)
    golden.assert_close(grad, io["grad_ws"])
    (grad,) = torch.autograd.grad((image * r).sum(), ws, create_graph=True)
    golden.assert_close(grad.square().mean(), io["grad_ws_sq_mean"])
    (second,) = torch.autograd.grad(grad.square().mean(), ws)
    assert second.abs().max() > 0


def test_conv_clamp(g64):
    _, facts, io = g64
    kwargs = dict(facts["init_kwargs"])
    kwargs["synthesis_kwargs"] = {**kwargs["synthesis_kwargs"], "conv_clamp": 0.5}
    clamped = Generator(**kwargs).eval()
    clamped.load_state_dict(golden.arrays("sg2ada_G64_skip_weights.npz"))
    golden.assert_close(clamped.synthesis(io["ws_psi1"][:2], noise_mode="const"), io["img_const_conv_clamp0.5"])


def test_gradients_to_the_latent(g64):
    generator, facts, io = g64
    ws = io["ws_psi1"][:2].clone().requires_grad_()
    image = generator.synthesis(ws, noise_mode="const")
    r = golden.n("sg2ada_G64_skip:r", image.shape) if "r" not in io else io["r"]
    (grad,) = torch.autograd.grad((image * r).sum(), ws, create_graph=True)
    golden.assert_close(grad, io["grad_ws"])
    lengths = (grad / 64).square().sum(2).mean(1).sqrt()  # path lengths use noise of 1 / sqrt(H W)
    golden.assert_close(lengths, io["pl_lengths"])
    penalty = grad.square().mean()
    golden.assert_close(penalty, io["grad_ws_sq_mean"])
    weight = generator.get_parameter(facts["grad_weight"])
    (second,) = torch.autograd.grad(penalty, weight, retain_graph=True)
    golden.assert_close(second, io["d_grad_ws_sq_mean_dweight"], relative=1e-4)
    (first,) = torch.autograd.grad((image * r).sum(), weight)
    golden.assert_close(first, io["dweight_first_order"])


def test_w_avg_follows_training_calls(g64):
    generator, facts, io = g64
    copy = Generator(**facts["init_kwargs"])
    copy.load_state_dict(generator.state_dict())
    copy.train().mapping(io["z"])
    golden.assert_close(copy.mapping.w_avg, io["w_avg_after_train_call"])


def test_discriminator(d64):
    discriminator, facts, io = d64
    img = io["img"]
    golden.assert_close(discriminator(img), io["logits_8"])
    first = img[:4].clone().requires_grad_()
    logits = discriminator(first)
    golden.assert_close(logits, io["logits_4"])
    (grad,) = torch.autograd.grad(logits.sum(), first, create_graph=True)
    golden.assert_close(grad, io["grad_img_4"])
    penalty = grad.square().sum([1, 2, 3])
    golden.assert_close(penalty, io["r1_penalty"])
    weights = [discriminator.get_parameter(name) for name in facts["grad_weights"]]
    for name, second in zip(facts["grad_weights"], torch.autograd.grad(penalty.mean(), weights), strict=True):
        golden.assert_close(second, io[f"d_r1_mean/{name}"], relative=1e-4)


def test_minibatch_standard_deviation():
    data = golden.arrays("sg2ada_mbstd.npz")
    for case in golden.facts("sg2ada_mbstd.json"):
        name = case["case"]
        x = data[name + ".x"].requires_grad_()
        y = MinibatchStdLayer(case["group_size"], case["num_channels"])(x)
        golden.assert_close(y, data[name + ".y"])
        (dx,) = torch.autograd.grad((y * data[name + ".r"]).sum(), x, create_graph=True)
        golden.assert_close(dx, data[name + ".dx"])
        (d2x,) = torch.autograd.grad(dx.square().sum(), x)
        golden.assert_close(d2x, data[name + ".d2x"], relative=1e-4, absolute=1e-7)


@pytest.mark.parametrize("g_arch,d_arch,c_dim", [("skip", "resnet", 3), ("resnet", "skip", 0), ("orig", "orig", 2)])
def test_other_architectures_run_and_learn(g_arch, d_arch, c_dim):
    torch.manual_seed(0)
    generator = Generator(
        8, c_dim, 8, 16, 3, synthesis_kwargs={"channel_base": 128, "channel_max": 8, "architecture": g_arch}
    )
    discriminator = Discriminator(c_dim, 16, 3, architecture=d_arch, channel_base=128, channel_max=8)
    c = torch.eye(c_dim)[[0, 1, 0, 1]] if c_dim else None
    image = generator(torch.randn(4, 8), c)
    assert image.shape == (4, 3, 16, 16)
    discriminator(image, c).sum().backward()
    silent = [n for n, p in generator.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


def test_half_precision_is_off_on_the_cpu_unless_asked_for(g64, monkeypatch):
    """A checkpoint with half-precision blocks gives float32's pictures; in bfloat16 it stays close to them."""
    generator, facts, io = g64
    kwargs = dict(facts["init_kwargs"])
    kwargs["synthesis_kwargs"] = {**kwargs["synthesis_kwargs"], "num_fp16_res": 3, "conv_clamp": 256}
    half = Generator(**kwargs).eval()
    half.load_state_dict(generator.state_dict())
    ws = io["ws_psi1"][:2]
    golden.assert_close(half.synthesis(ws, noise_mode="const"), io["img_const"])
    monkeypatch.setattr(precision, "_cpu", torch.bfloat16)
    image = half.synthesis(ws, noise_mode="const")
    difference = (image - io["img_const"]).norm() / io["img_const"].norm()
    assert 0 < difference < 2e-2  # half precision was really used, and is close

    monkeypatch.setattr(precision, "_seconds", lambda dtype: 2.0 if dtype == torch.bfloat16 else 1.0)
    with pytest.raises(ValueError, match="slower in bfloat16"):
        precision.bfloat16_on_cpu()


def test_wrong_shapes_are_named(g64, d64):
    with pytest.raises(ValueError, match="w_plus must be"):
        g64[0].synthesis(torch.zeros(1, 3, 32))
    with pytest.raises(ValueError, match="image must be"):
        d64[0](torch.zeros(1, 3, 32, 32))
    with pytest.raises(ValueError, match="power of two"):
        Generator(8, 0, 8, 48, 3)
