"""The augmentation pipeline against the golden numbers of the reference at fixed percentiles."""

import golden
import pytest
import torch

from training.augment import PIPELINES, AugmentPipe

CASES = golden.facts("ada_64.json")
FNC = golden.facts("ada_fnc_64.json")


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_golden(case):
    data = golden.arrays("ada_64.npz")
    images = data["images"].requires_grad_()
    out = AugmentPipe(**case["kwargs"])(images, debug_percentile=case["debug_percentile"])
    golden.assert_close(out, data[case["case"]], absolute=1e-4)
    if case["gradient"]:
        r = golden.n(f"ada_64:{case['case']}:r", images.shape)
        (dx,) = torch.autograd.grad((out * r).sum(), images)
        golden.assert_close(dx, data[case["case"] + ".dx"], absolute=3e-4)


@pytest.mark.parametrize("case", FNC["cases"], ids=[case["case"] for case in FNC["cases"]])
def test_golden_filtering_and_cutout(case):
    data = golden.arrays("ada_fnc_64.npz")
    out = AugmentPipe(**case["kwargs"])(data["images"], debug_percentile=case["debug_percentile"])
    golden.assert_close(out, data[case["case"]], absolute=1e-4)


@pytest.mark.parametrize("case", [name for name in FNC["noise"] if name != "undebugged"])
def test_golden_noise(case):
    facts = FNC["noise"][case]
    zeros = torch.zeros(facts["batch"], 3, 64, 64)
    out = AugmentPipe(**facts["kwargs"])(zeros, debug_percentile=facts["debug_percentile"])
    assert out.std().item() == pytest.approx(facts["measured_std"], rel=5e-3)


@pytest.mark.parametrize("bands", [(1, 1, 1), (1, 1, 1, 1, 1)])
def test_every_band_has_a_multiplier(bands):
    with pytest.raises(ValueError, match="imgfilter_bands are 4 multipliers"):
        AugmentPipe(imgfilter=1, imgfilter_bands=bands)


def test_noise_is_half_normal_from_picture_to_picture():
    facts = FNC["noise"]["undebugged"]
    std = AugmentPipe(noise=1)(torch.zeros(4000, 3, 8, 8)).std(dim=(1, 2, 3))
    assert std.mean().item() == pytest.approx(facts["mean_of_std"], rel=0.04)
    assert std.std().item() == pytest.approx(facts["std_of_std"], rel=0.06)


def test_filter_bank_is_the_references_and_divides_the_signal():
    bank = AugmentPipe().Hz_fbank
    golden.assert_close(bank, golden.arrays("ada_buffers.npz")["Hz_fbank"], absolute=1e-6)
    whole = torch.zeros(43)
    whole[21] = 1
    torch.testing.assert_close(bank.sum(0), whole, rtol=0, atol=1e-6)


def test_pipelines_by_name():
    assert list(PIPELINES) == [
        "blit",
        "geom",
        "color",
        "filter",
        "noise",
        "cutout",
        "bg",
        "bgc",
        "bgcf",
        "bgcfn",
        "bgcfnc",
    ]
    assert len(PIPELINES["bgc"]) == 12 and set(PIPELINES["bgcfnc"]) == set(AugmentPipe().multiplier)
    images = torch.rand(2, 3, 32, 32)
    for name, switched_on in PIPELINES.items():
        assert not torch.equal(AugmentPipe(**switched_on)(images), images), name


@pytest.mark.parametrize("name", ["bgc", "filter", "cutout", "noise"])
def test_second_derivatives_are_there(name):
    """What R1 needs. The pipeline is affine in the pictures, x -> A x + b: the derivative of <A^T v, u> by v is A u."""
    x, u = torch.rand(2, 2, 3, 32, 32)
    pipe = AugmentPipe(**PIPELINES[name])

    def augmented(x):
        torch.manual_seed(1)
        return pipe(x)

    x.requires_grad_()
    v = torch.randn(2, 3, 32, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad((augmented(x) * v).sum(), x, create_graph=True)  # A^T v
    (back,) = torch.autograd.grad((gradient * u).sum(), v)
    with torch.no_grad():
        torch.testing.assert_close(back, augmented(x + u) - augmented(x), rtol=1e-3, atol=1e-4)


def test_p_zero_changes_nothing_and_p_is_the_share_changed():
    torch.manual_seed(0)
    images = torch.rand(400, 3, 8, 8)
    pipe = AugmentPipe(brightness=1)
    pipe.p.fill_(0)
    assert torch.equal(pipe(images), images)
    pipe.p.fill_(0.3)
    changed = (pipe(images) != images).flatten(1).any(1).float().mean()
    assert 0.2 < changed < 0.4
