"""The compiled kernels: layouts, types and derivatives the golden cases do not reach, torch.compile, and the build."""

import multiprocessing
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

import weights
from stylegan2.ops import bias_act, build, native, setup_filter, upfirdn2d

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
ACTS = list(native.ACTS)


@pytest.fixture(params=DEVICES)
def device(request, monkeypatch):
    """A device on which the kernels run."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    try:
        native._library(request.param, 0 if request.param == "cuda" else None)
    except build.BuildError as error:
        pytest.skip(str(error))
    return request.param


def with_kernels(monkeypatch, used):
    monkeypatch.setattr(native, "available", lambda x: used)


def random(*shape, device, dtype=torch.float64, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(device, dtype)


BOTH = pytest.mark.parametrize("kernels", [False, True], ids=["reference", "kernels"])


@BOTH
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("clamp", [None, 0.7])
def test_bias_act_has_first_and_second_derivatives(act, clamp, kernels, device, monkeypatch):
    with_kernels(monkeypatch, kernels)
    x, b = random(2, 3, 5, device=device).requires_grad_(), random(3, device=device, seed=1).requires_grad_()
    args = (lambda x, b: bias_act(x, b, act=act, clamp=clamp, gain=1.3), (x, b))
    assert torch.autograd.gradcheck(*args)
    assert torch.autograd.gradgradcheck(*args)


@BOTH
@pytest.mark.parametrize("options", [
    dict(up=2, padding=(2, 1, 2, 1), gain=4),
    dict(down=2, padding=(1, 2, 0, 1)),
    dict(padding=(-1, 2, 3, 0), flip_filter=True),
    dict(up=(3, 1), down=(1, 2), padding=3),
])  # fmt: skip
@pytest.mark.parametrize("taps", [[1, 3, 3, 1], [[1.0, 2.0, 4.0], [0.0, 1.0, -1.0]]])
def test_upfirdn2d_has_first_and_second_derivatives(options, taps, kernels, device, monkeypatch):
    with_kernels(monkeypatch, kernels)
    x = random(1, 2, 6, 7, device=device).requires_grad_()
    f = setup_filter(taps, device=device)
    args = (lambda x: upfirdn2d(x, f, **options), (x,))
    assert torch.autograd.gradcheck(*args)
    assert torch.autograd.gradgradcheck(*args)


@pytest.mark.parametrize("channels", [3, 4, 8])
@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "transposed", "slice", "offset"])
def test_layouts(layout, channels, device, monkeypatch):
    """Every memory layout gives the reference's numbers; vectorised and scalar accesses agree."""
    x = random(2, channels, 10, 12, device=device, dtype=torch.float32)
    x = {
        "contiguous": lambda: x,
        "channels_last": lambda: x.to(memory_format=torch.channels_last),
        "transposed": lambda: x.transpose(2, 3),
        "slice": lambda: x[:, :, 1:-2, ::2],
        "offset": lambda: x.flatten()[1 : 1 + 2 * channels * 96].view(2, channels, 8, 12),
    }[layout]()
    b, f = random(channels, device=device, dtype=torch.float32, seed=1), setup_filter([1, 3, 3, 1], device=device)
    results = []
    for used in (False, True):
        with_kernels(monkeypatch, used)
        y = bias_act(x, b, act="lrelu", clamp=1.2)
        parts = [upfirdn2d(y, f, padding=(2, 1, 2, 1)), upfirdn2d(y, f, up=2), upfirdn2d(x, f, down=2, padding=1)]
        results.append([y, *parts])
    for reference, kernel in zip(*results, strict=True):
        assert torch.allclose(reference, kernel, rtol=1e-5, atol=1e-6)
    if layout == "channels_last":
        assert all(y.is_contiguous(memory_format=torch.channels_last) for y in results[1])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types(dtype, monkeypatch):
    x = random(2, 16, 32, 32, device="cuda", dtype=dtype).to(memory_format=torch.channels_last).requires_grad_()
    b, f = random(16, device="cuda", dtype=dtype, seed=1), setup_filter([1, 3, 3, 1], device="cuda")
    results = []
    for used in (False, True):
        with_kernels(monkeypatch, used)
        y = upfirdn2d(bias_act(x, b, act="lrelu", clamp=256), f, up=2, padding=(2, 1, 2, 1), gain=4)
        (dx,) = torch.autograd.grad(y.float().square().sum(), x)
        results.append((y.float(), dx.float()))
    for reference, kernel in zip(*results, strict=True):
        assert (reference - kernel).abs().max() < 2e-2 * reference.abs().max()


def test_operators_obey_the_library_contract(device):
    """Schema, fake kernel, autograd registration and torch.compile's tracing."""
    x, b = random(2, 4, 6, 6, device=device, dtype=torch.float32), random(4, device=device, dtype=torch.float32)
    f = setup_filter([1, 3, 3, 1], device=device)
    x.requires_grad_(), b.requires_grad_()
    torch.library.opcheck(native.bias_act, (x, b, 1, "lrelu", 0.2, 1.4, 256.0))
    torch.library.opcheck(native.bias_act, (x, None, 1, "swish", 0.0, 1.0, native.OFF))
    torch.library.opcheck(native.bias_act_grad, (x, x.detach(), b.detach(), 1, "tanh", 0.0, 1.0, native.OFF))
    torch.library.opcheck(native.upfirdn2d, (x, f, [2, 2], [1, 1], [2, 1, 2, 1], False, 4.0))


def test_torch_compile_sees_one_graph(device, monkeypatch):
    """Forward and backward without a graph break, with the numbers of the eager operators."""
    with_kernels(monkeypatch, True)
    b, f = random(4, device=device, dtype=torch.float32, seed=1), setup_filter([1, 3, 3, 1], device=device)

    def layer(x):
        return bias_act(upfirdn2d(x, f, up=2, padding=(2, 1, 2, 1), gain=4), b, act="lrelu", clamp=2)

    results = []
    for function in (layer, torch.compile(layer, backend="aot_eager", fullgraph=True)):
        x = random(2, 4, 6, 6, device=device, dtype=torch.float32).requires_grad_()
        y = function(x)
        results.append((y, *torch.autograd.grad(y.square().sum(), x)))
    for eager, compiled in zip(*results, strict=True):
        assert torch.allclose(eager, compiled, rtol=1e-5, atol=1e-6)


def test_nan_and_infinity_pass(device, monkeypatch):
    with_kernels(monkeypatch, True)
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), 1.0], device=device)
    y = bias_act(x, act="lrelu", clamp=2, gain=1).tolist()
    assert y[0] != y[0] and y[1:] == [2.0, -2.0, 1.0]


def test_empty_batch(device, monkeypatch):
    with_kernels(monkeypatch, True)
    x = torch.zeros(0, 3, 8, 8, device=device)
    assert bias_act(x, torch.zeros(3, device=device), act="lrelu").shape == x.shape
    assert upfirdn2d(x, setup_filter([1, 3, 3, 1], device=device), up=2).shape == (0, 3, 13, 13)


# -- the build


def _build_and_time(_):
    before = build.cache_folder()
    build.host_library()
    return sorted(path.name for path in before.iterdir())


def test_processes_that_start_together_build_once(tmp_path, monkeypatch):
    """Three processes ask at once: one compiles, nobody sees half a library."""
    if not (shutil.which("g++") or shutil.which("c++")):
        pytest.skip("needs a C++ compiler")
    log, real = tmp_path / "calls", shutil.which("g++") or shutil.which("c++")
    wrapper = tmp_path / "cxx"
    wrapper.write_text(f'#!/bin/sh\ncase "$*" in *--version*) ;; *) echo x >> {log} ;; esac\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("CXX", str(wrapper))
    monkeypatch.setenv("LIFELIKE_CACHE", str(tmp_path / "cache"))
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert len({tuple(names) for names in pool.map(_build_and_time, range(3))}) == 1
    assert len(log.read_text().splitlines()) == len(build.SOURCES) + 1  # each source once, one link


@pytest.mark.parametrize("damage", ["cut", "empty", "other bytes", "no record", "cut objects"])
def test_a_damaged_library_is_built_again(tmp_path, monkeypatch, damage):
    """Loading one as it is would end the process by a signal."""
    if not (shutil.which("g++") or shutil.which("c++")):
        pytest.skip("needs a C++ compiler")
    monkeypatch.setenv("LIFELIKE_CACHE", str(tmp_path))
    whole = Path(build.host_library()._name)
    data = whole.read_bytes()
    aside = whole.rename(tmp_path / "loaded here")  # this process goes on using it
    assert aside.is_file()
    if damage == "no record":
        whole.with_suffix(".sha256").unlink()
    if damage != "cut objects":
        whole.write_bytes({"cut": data[:5000], "empty": b"", "other bytes": data[:-9] + b"\0" * 9}.get(damage, data))
    else:
        for path in whole.parent.glob("*.o"):
            path.write_bytes(path.read_bytes()[:300])
    assert Path(build.host_library()._name) == whole and whole.read_bytes()[:4] == b"\x7fELF"
    assert whole.with_suffix(".sha256").read_text() == weights.sha256(whole)


def test_without_a_compiler_one_warning_and_the_reference(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    with pytest.raises(build.BuildError, match="nvcc not found.*CUDA_HOME"):
        build.nvcc()
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (9, 0))
    native._loads.cache_clear()
    native._warn_once.cache_clear()
    native._library.cache_clear()
    with pytest.warns(RuntimeWarning, match="nvcc not found.*CUDA_HOME") as seen:
        assert not native._loads(0) and not native._loads(1)
    assert len(seen) == 1
    for function in (native._loads, native._warn_once, native._library):
        function.cache_clear()


def test_a_failed_compilation_names_its_log(tmp_path, monkeypatch):
    broken = tmp_path / "cxx"
    broken.write_text('#!/bin/sh\n[ "$1" = --version ] && exit 0\necho "something is wrong" >&2\nexit 1\n')
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    monkeypatch.setenv("LIFELIKE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(build.BuildError, match="build.log") as error:
        build.host_library()
    assert "something is wrong" in open(str(error.value).rsplit(" ", 1)[1]).read()


@pytest.mark.slow
def test_cuda_sources_compile_for_every_target(tmp_path):
    """For each architecture from sm_70 to sm_90 that the installed nvcc knows, with its kernels inside."""
    try:
        nvcc = build.nvcc()
    except build.BuildError as error:
        pytest.skip(str(error))
    known = subprocess.run([nvcc, "--list-gpu-arch"], capture_output=True, text=True, check=True).stdout.split()
    targets = [t for t in ("70", "75", "80", "86", "90") if f"compute_{t}" in known]
    assert targets
    arguments = [f"-gencode=arch=compute_{t},code=sm_{t}" for t in targets]
    library = tmp_path / "all.so"
    sources = [build.CSRC / source for source in build.SOURCES]
    command = [nvcc, "-std=c++17", "-O1", "--shared", "-Xcompiler", "-fPIC", *arguments, *sources, "-o", library]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "warning" not in done.stderr, done.stderr
    symbols = library.read_bytes()
    assert b"lifelike_bias_act" in symbols and all(f"sm_{t}".encode() in symbols for t in targets)
