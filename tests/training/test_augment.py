"""The augmentation pipeline against the golden numbers of the reference at fixed percentiles."""

import golden
import pytest
import torch

from training.augment import AugmentPipe

CASES = golden.facts("ada_64.json")


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


def test_buffers():
    pipe = AugmentPipe()
    golden.assert_close(pipe.Hz_geom, golden.arrays("ada_buffers.npz")["Hz_geom"], relative=1e-6)


def test_p_zero_changes_nothing_and_p_is_the_share_changed():
    torch.manual_seed(0)
    images = torch.rand(400, 3, 8, 8)
    pipe = AugmentPipe(brightness=1)
    pipe.p.fill_(0)
    assert torch.equal(pipe(images), images)
    pipe.p.fill_(0.3)
    changed = (pipe(images) != images).flatten(1).any(1).float().mean()
    assert 0.2 < changed < 0.4
