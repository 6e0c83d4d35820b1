"""What is timed: each function builds its case and returns {"seconds", "peak_bytes"}, and "bytes" for operators."""

import statistics
import time
from pathlib import Path

from .plain import plain_bias_act, plain_upfirdn2d, use_plain_formulation


def measure_synthesis(variant, resolution, batch, repeats, device, dtype):
    """Forward, and backward to w+ only, as every inversion step does."""
    import torch

    G, w_plus = _generator(variant, resolution, batch, device, dtype)

    def step():
        image = G.synthesis(w_plus, noise_mode="const")
        (gradient,) = torch.autograd.grad(image.square().mean(), w_plus)
        return gradient

    return _timed(step, variant, repeats, device)


def measure_inversion(variant, resolution, batch, repeats, device, dtype):
    """One step of Eq. 4: synthesis, LPIPS-VGG16 at 256, noise regularisation, Adam."""
    import torch
    import torchvision

    from losses.noise import noise_regularization, normalize_noise
    from losses.perceptual import VGGPerceptual

    G, w_plus = _generator(variant, resolution, batch, device, dtype)
    perceptual = VGGPerceptual(torchvision.models.vgg16(weights=None).state_dict())
    layout = torch.contiguous_format if variant == "plain" else torch.channels_last
    perceptual = perceptual.eval().requires_grad_(False).to(device, memory_format=layout)
    area = dict(size=(min(256, resolution),) * 2, mode="area")
    target = torch.nn.functional.interpolate(torch.rand(batch, 3, resolution, resolution, device=device), **area)
    wanted = perceptual.features(target)
    noise = [torch.randn([batch, 1, *shape], device=device).requires_grad_() for shape in G.synthesis.noise_shapes()]
    optimizer = torch.optim.Adam([w_plus, *noise], lr=0.05, capturable=variant == "ours+graph")

    def step():
        image = torch.nn.functional.interpolate(G.synthesis(w_plus, noise=noise), **area)
        # The plain formulation asks the network for both pictures in every step.
        known = perceptual.features(target) if variant == "plain" else wanted
        loss = perceptual.distance(perceptual.features(image), known).sum()
        optimizer.zero_grad(set_to_none=True)
        (loss + 1e5 * noise_regularization(noise).sum()).backward()
        optimizer.step()
        with torch.no_grad():
            normalize_noise(noise)

    return _timed(step, variant, repeats, device)


def measure_training(variant, resolution, batch, repeats, device, dtype):
    """One step of Eq. 3 as train.py makes it: G with sketch and colour loss, D, ADA, and its share of R1."""
    import tempfile

    import torch

    from stylegan2 import Discriminator, Generator, checkpoints
    from training.config import TrainingConfig
    from training.phases import phases
    from training.run import Run
    from training.step import optimiser_step, train_step

    _set_precision(device, dtype)
    if variant == "plain":
        use_plain_formulation()
        torch.channels_last = torch.contiguous_format  # in this process only
    half = 4 if dtype in ("float16", "bfloat16") else 0
    kwargs = dict(num_fp16_res=half, conv_clamp=256 if half else None)
    with tempfile.TemporaryDirectory() as folder:
        settings = _training_settings(Path(folder), resolution)
        w_dim, layers = settings["w_dim"], settings["mapping_layers"]
        widths = kwargs | {key: settings.pop(key) for key in ("channel_base", "channel_max")}
        G = Generator(w_dim, 0, w_dim, resolution, 3, {"num_layers": layers}, widths)
        D = Discriminator(0, resolution, 3, **widths, epilogue_kwargs={"mbstd_group_size": 4})
        checkpoints.save(f"{folder}/g.safetensors", {"G_ema": G, "D": D})
        settings |= dict(data="", g_real=f"{folder}/g.safetensors", batch=batch, pl_weight=0, num_fp16_res=half)
        run = Run(TrainingConfig(resolution=resolution, z_dim=w_dim, **settings), device)
        del G, D
    real = torch.rand([batch, 3, resolution, resolution]) * 2 - 1

    def step():
        run.step = 1  # one of the steps without R1
        train_step(run, real)

    ordinary = _timed(step, variant, repeats, device)
    r1_phase = next(phase for phase in phases(run.config) if phase.name == "R1")
    r1 = _timed(lambda: optimiser_step(run, r1_phase, real), variant, repeats, device)
    return {
        "seconds": ordinary["seconds"] + r1["seconds"] / run.config.r1_interval,
        "peak_bytes": r1["peak_bytes"],
    }


def _training_settings(folder, resolution):
    """Keys of a TrainingConfig and of widths: the paper's from 512 pixels on, with random weights in files of the
    published layouts, the demo's below."""
    from scripts.rehearsal.files import save, vgg16, write_sketch
    from scripts.rehearsal.sizes import sizes_of

    if resolution < 512:
        demo = dict(channel_base=2048, channel_max=128, w_dim=128, mapping_layers=4)
        losses = dict(sketch_size=resolution, sketch_weight=1e-5, color_size=resolution, color_kernel=7, color_sigma=5)
        return demo | losses
    size = sizes_of(1024)
    save(folder / "vgg16.pth", vgg16(whole=False))
    write_sketch(folder / "sketch.pkl", size)
    files = dict(perceptual_weights_file=f"{folder}/vgg16.pth", sketch_weights_file=f"{folder}/sketch.pkl")
    widths = dict(channel_base=size.channel_base, channel_max=size.channel_max, w_dim=size.dimensions)
    return files | widths | dict(mapping_layers=8)


OPS = [
    {"op": "upfirdn2d up 2", "channels": 32},
    {"op": "upfirdn2d filter", "channels": 32},
    {"op": "upfirdn2d down 2", "channels": 32},
    {"op": "bias_act lrelu", "channels": 32},
    {"op": "modulated_conv2d 3x3", "channels": 32},
]


def measure_op(op, channels, variant, resolution, batch, repeats, device, dtype):
    """One operator at the generator's largest size, forward and backward. `bytes`: read and written once each."""
    import torch

    from stylegan2 import ops

    _set_precision(device, dtype)
    kind = getattr(torch, "float32" if dtype == "tf32" else dtype)
    layout = torch.contiguous_format if variant == "plain" else torch.channels_last
    f = ops.setup_filter([1, 3, 3, 1], device=device)
    upfirdn2d = plain_upfirdn2d if variant == "plain" else ops.upfirdn2d
    bias_act = plain_bias_act if variant == "plain" else ops.bias_act
    size = resolution // 2 if op == "upfirdn2d up 2" else resolution
    x = torch.randn(batch, channels, size, size, device=device, dtype=kind).to(memory_format=layout).requires_grad_()
    b = torch.randn(channels, device=device, dtype=kind)
    weight = torch.randn(channels, channels, 3, 3, device=device)
    styles = torch.randn(batch, channels, device=device).requires_grad_()
    call = {
        "upfirdn2d up 2": lambda: upfirdn2d(x, f, up=2, padding=(2, 1, 2, 1), gain=4),
        "upfirdn2d filter": lambda: upfirdn2d(x, f, padding=(2, 1, 2, 1)),
        "upfirdn2d down 2": lambda: upfirdn2d(x, f, down=2, padding=1),
        "bias_act lrelu": lambda: bias_act(x, b, act="lrelu", clamp=256),
        "modulated_conv2d 3x3": lambda: ops.modulated_conv2d(
            x, weight, styles, padding=1, fused_modconv=variant == "plain"
        ),
    }[op]
    upstream = torch.randn_like(call())

    def step():
        return torch.autograd.grad(call(), x, upstream)

    moved = 2 * (x.numel() + upstream.numel()) * x.element_size()
    return _timed(step, variant, repeats, device) | {"bytes": moved}


def _set_precision(device, dtype):
    """Of float32 products on the GPU, and which half precision the half-precision blocks use."""
    import torch

    import stylegan2.discriminator
    import stylegan2.generator
    from stylegan2 import layers

    if device == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = dtype == "tf32"
    if dtype in ("float16", "bfloat16"):
        for module in (stylegan2.generator, stylegan2.discriminator, layers):
            module.half_dtype = lambda device: getattr(torch, dtype)


TEXTURE = [
    {"op": "iteration, embedded", "resolution": 512},
    {"op": "iteration, embedded", "resolution": 1024},
    {"op": "iteration, vgg16", "resolution": 512},
    {"op": "iteration, vgg16", "resolution": 1024},
    {"op": "pairwise, 2048 x 5000 x 2179"},
]


def measure_texture(op, variant, resolution, batch, repeats, device, dtype):
    """One iteration of the refinement: texture features at `resolution`, all three losses, a picture of 512 x 512. Or
    the style loss alone. On the CPU processor time: other jobs on the machine hardly change it."""
    import numpy as np
    import torch
    import torchvision

    from losses.perceptual import VGGPerceptual, load_perceptual
    from losses.style_transfer import Samples, style_loss
    from texture.optimise import Problem, optimise_scale
    from texture.rasterize import make_view

    clock = time.process_time if device == "cpu" else time.perf_counter
    if op.startswith("pairwise"):
        a, b = (torch.randn(count, 2179, device=device) for count in (2048, 5000))
        a.requires_grad_()

        def step():
            return torch.autograd.grad(style_loss(Samples(a, a[:, :3]), Samples(b, b[:, :3]), 8.0), a)

        return _timed(step, variant, repeats, device, clock)
    vgg = op.endswith("vgg16")
    network = VGGPerceptual(torchvision.models.vgg16(weights=None).state_dict()) if vgg else load_perceptual()
    network = network.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
    inside = np.random.default_rng(0).random([512, 512]) < 0.3  # about what a face covers
    count = int(inside.sum())
    view = make_view(inside, np.random.default_rng(1).random([count, 2]), np.full(count, 1 / 1024)).to(device)
    texels = np.argwhere(np.ones([resolution, resolution], bool))
    texture, target = (torch.rand(*shape, device=device) for shape in ((1, 3, resolution, resolution), (3, count)))
    even = np.ones(len(texels))
    problem = Problem(start=texture, target=target, view=view, points=texels, chances=even, style_points=texels)
    marks = []

    def mark(losses):  # reading the losses has waited for the device
        marks.append(clock())

    optimise_scale(problem, network, texture, (8.0, 1.7, 20.0), repeats + 1, seed=0, on_step=mark)
    return {"seconds": statistics.median(np.diff(marks).tolist()), "peak_bytes": _peak_bytes(device)}


def _generator(variant, resolution, batch, device, dtype):
    """A config-F generator with random weights, frozen, and random w+."""
    import torch

    from stylegan2 import Generator

    if variant == "plain":
        use_plain_formulation()
    _set_precision(device, dtype)
    half = dtype in ("float16", "bfloat16")
    torch.manual_seed(0)
    widths = dict(channel_base=32768, channel_max=512, num_fp16_res=4 if half else 0, conv_clamp=256 if half else None)
    G = Generator(512, 0, 512, resolution, 3, {"num_layers": 8}, widths).eval().requires_grad_(False)
    G = G.to(device, memory_format=torch.contiguous_format if variant == "plain" else torch.channels_last)
    w_plus = torch.randn([batch, G.num_ws, 512], device=device).requires_grad_()
    return G, w_plus


def _timed(step, variant, repeats, device, clock=time.perf_counter):
    """{"seconds": median, "peak_bytes": of the whole process on the CPU, of torch on the GPU}."""
    import torch

    if device == "cuda":
        step()
        torch.cuda.synchronize()
    run = _graphed(step) if variant == "ours+graph" else step
    seconds = []
    for _ in range(repeats + 1):
        started = clock()
        run()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(clock() - started)
    return {"seconds": statistics.median(seconds[1:]), "peak_bytes": _peak_bytes(device)}


def _peak_bytes(device):
    import resource

    import torch

    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _graphed(step):
    """`step` recorded once and replayed."""
    import torch

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


MEASURES = {
    "synthesis": measure_synthesis,
    "inversion": measure_inversion,
    "training": measure_training,
    "ops": measure_op,
    "texture": measure_texture,
}
