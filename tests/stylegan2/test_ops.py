"""The operators against the golden numbers of the reference implementation, derivatives included.

Every case runs three times: in the reference formulation, with the kernels compiled for the CPU, and, where there is a
GPU, with the CUDA kernels.
"""

import golden
import pytest
import torch

from stylegan2 import ops
from stylegan2.ops import build, native
from stylegan2.ops.upfirdn2d import parse_padding

CASES = golden.facts("ops_cases.json")


@pytest.fixture(params=["reference", "kernels", pytest.param("cuda", marks=pytest.mark.gpu)], autouse=True)
def backend(request, monkeypatch):
    if request.param == "cuda":
        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")
        monkeypatch.setattr(golden, "device", "cuda")
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
        assert native.available(torch.zeros(1, device="cuda")), "the CUDA kernels could not be built"
    elif request.param == "kernels":
        try:
            build.host_library()
        except build.BuildError as error:
            pytest.skip(str(error))
        monkeypatch.setattr(native, "available", lambda x: True)
    return request.param


def cases(op):
    return [pytest.param(case, id=case["case"]) for case in CASES.get(op, [])]


def close_second_order(actual, expected):
    golden.assert_close(actual, expected, relative=1e-4)


@pytest.mark.parametrize("case", cases("setup_filter"))
def test_setup_filter(case):
    expected = golden.arrays("ops_setup_filter.npz")[case["case"] + ".out"]
    golden.assert_close(ops.setup_filter(case["f"], **case["args"]), expected, relative=1e-6)


@pytest.mark.parametrize("case", cases("upfirdn2d"))
def test_upfirdn2d(case):
    data = golden.arrays("ops_upfirdn2d.npz")
    name = case["case"]
    f = None if case["filter"] is None else data["filter." + case["filter"]]
    x = data[name + ".x"].requires_grad_()
    function, options = case["function"], case["args"]
    if function == "filter2d":  # upfirdn2d, padded so that the size stays
        width, height = (1, 1) if f is None else (f.shape[-1], f.shape[0])
        same = [width // 2, (width - 1) // 2, height // 2, (height - 1) // 2]
        given = parse_padding(options.get("padding", 0))
        function, options = "upfirdn2d", options | {"padding": [a + b for a, b in zip(same, given, strict=True)]}
    y = getattr(ops, function)(x, f, **options)
    golden.assert_close(y, data[name + ".y"])
    (dx,) = torch.autograd.grad((y * data[name + ".r"]).sum(), x)
    golden.assert_close(dx, data[name + ".dx"])


@pytest.mark.parametrize("case", cases("bias_act"))
def test_bias_act(case):
    data = golden.arrays("ops_bias_act.npz")
    name = case["case"]
    x, r = data[name + ".x"].requires_grad_(), data[name + ".r"].requires_grad_()
    b = data[name + ".b"].requires_grad_() if case["has_bias"] else None
    inputs = [x] if b is None else [x, b]
    y = ops.bias_act(x, b, **case["args"])
    golden.assert_close(y, data[name + ".y"])
    gradients = torch.autograd.grad((y * r).sum(), inputs, create_graph=True)
    golden.assert_close(gradients[0], data[name + ".dx"])
    if b is not None:
        golden.assert_close(gradients[1], data[name + ".db"])
    penalty = gradients[0].square().sum()
    golden.assert_close(penalty, data[name + ".pen"])
    second = torch.autograd.grad(penalty, [*inputs, r], allow_unused=True)
    for key, value in zip(["d2x", "d2r"] if b is None else ["d2x", "d2b", "d2r"], second, strict=True):
        expected = data[f"{name}.{key}"]
        close_second_order(torch.zeros_like(expected) if value is None else value, expected)


@pytest.mark.parametrize("case", cases("conv2d_resample"))
def test_conv2d_resample(case):
    data = golden.arrays("ops_conv2d_resample.npz")
    name = case["case"]
    f = None if case["filter"] is None else data["filter." + case["filter"]]
    x, w = data[name + ".x"].requires_grad_(), data[name + ".w"].requires_grad_()
    y = ops.conv2d_resample(x, w, f, **case["args"])
    golden.assert_close(y, data[name + ".y"])
    dx, dw = torch.autograd.grad((y * data[name + ".r"]).sum(), [x, w])
    golden.assert_close(dx, data[name + ".dx"])
    golden.assert_close(dw, data[name + ".dw"])


@pytest.mark.parametrize("fused", [False, True], ids=["activation-scaled", "fused"])
@pytest.mark.parametrize("case", cases("modulated_conv2d"))
def test_modulated_conv2d(case, fused):
    data = golden.arrays("ops_modulated_conv2d.npz")
    name = case["case"]
    f = None if case["filter"] is None else data["filter." + case["filter"]]
    x, w, s = (data[f"{name}.{k}"].requires_grad_() for k in "xws")
    noise = data[name + ".noise"] if case["noise"] else None
    y = ops.modulated_conv2d(x, w, s, noise=noise, resample_filter=f, fused_modconv=fused, **case["args"])
    golden.assert_close(y, data[name + ".y"])
    dx, dw, ds = torch.autograd.grad((y * data[name + ".r"]).sum(), [x, w, s], create_graph=True)
    for key, value in (("dx", dx), ("dw", dw), ("ds", ds)):
        golden.assert_close(value, data[f"{name}.{key}"])
    penalty = ds.square().mean()
    golden.assert_close(penalty, data[name + ".ds_sq_mean"])
    if not penalty.requires_grad:
        return
    (second,) = torch.autograd.grad(penalty, w)
    close_second_order(second, data[name + ".d_ds_sq_mean_dw"])


@pytest.mark.parametrize("call", [
    lambda: ops.bias_act(torch.zeros(1, 2), act="mish"),
    lambda: ops.bias_act(torch.zeros(1, 2), torch.zeros(3)),
    lambda: ops.bias_act(torch.zeros(1, 2), clamp=-1),
    lambda: ops.upfirdn2d(torch.zeros(1, 1, 4, 4), None, up=0),
    lambda: ops.setup_filter([[[1.0]]]),
])  # fmt: skip
def test_wrong_arguments_are_refused(call):
    with pytest.raises(ValueError):
        call()
