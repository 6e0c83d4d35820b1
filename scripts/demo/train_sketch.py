"""Train the demo sketch extractor: photo or render -> the XDoG line drawing of sketch/lines.py.

    python -m scripts.demo.train_sketch --data ../shared/avatars --out weights/demo/sketch.safetensors

The input is disturbed (grain, brightness, colour) while the target is drawn from the clean picture, so the network
learns outlines and not skin noise. About five minutes on one core.
"""

import time
from pathlib import Path

import click
import torch

CONTRAST = 0.9  # targets span [-0.9, 0.9]: the final tanh never saturates, so the loss has a gradient on blank paper


def disturb(x, generator):
    """Grain of a random strength, gain and offset per colour channel; [N, 3, H, W] in [-1, 1]."""
    count = len(x)
    grain = 0.12 * torch.rand(count, 1, 1, 1, generator=generator) ** 2 * torch.randn(x.shape, generator=generator)
    gain = 1 + 0.15 * torch.randn(count, 1, 1, 1, generator=generator)
    tint = 0.06 * torch.randn(count, 3, 1, 1, generator=generator)
    return (x * gain + tint + grain).clamp(-1, 1)


def slopes(x):
    """Horizontal and vertical differences of neighbouring pixels, flattened to one vector."""
    return torch.cat([(x[..., 1:] - x[..., :-1]).flatten(), (x[..., 1:, :] - x[..., :-1, :]).flatten()])


def picture_batch(images, chosen, half):
    """Rows of a uint8 set as float32 [-1, 1], halved in size when asked."""
    x = images[chosen].float() / 127.5 - 1
    return torch.nn.functional.avg_pool2d(x, 2) if half else x


@torch.no_grad()
def held_out(network, images, generator):
    """Mean absolute error against XDoG, and how much grain of standard deviation 0.06 moves both drawings."""
    from sketch.lines import xdog

    sums = torch.zeros(5)
    for part in images.split(16):
        x = part.float() / 127.5 - 1
        noisy = (x + 0.06 * torch.randn(x.shape, generator=generator)).clamp(-1, 1)
        target, target_noisy = xdog(x) * CONTRAST, xdog(noisy) * CONTRAST
        drawn, drawn_noisy = network(x), network(noisy)
        values = [
            (drawn - target).abs(),
            (CONTRAST - target).abs(),
            (drawn_noisy - drawn).abs(),
            (target_noisy - target).abs(),
            (drawn.amax(1) - drawn.amin(1)),
        ]
        sums += torch.stack([value.mean() for value in values]) * len(x) / len(images)
    names = ["error", "error_of_blank_paper", "moved_by_grain", "xdog_moved_by_grain", "colour_spread"]
    return dict(zip(names, [round(float(value), 4) for value in sums], strict=True))


@torch.no_grad()
def contact_sheet(path, network, images):
    """Rows of picture, XDoG target and prediction."""
    from torchvision.utils import save_image

    from sketch.lines import xdog

    x = images.float() / 127.5 - 1
    rows = torch.cat([x, xdog(x).expand(-1, 3, -1, -1), network(x)])
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    save_image((rows + 1) / 2, str(path), nrow=len(images), padding=1)


@click.command()
@click.option("--data", default="../shared/avatars", show_default=True, help="folder with rendered/, real/, matched/")
@click.option("--out", default="weights/demo/sketch.safetensors", show_default=True)
@click.option("--sheet", default="out/sketch_sheet.png", show_default=True, help="contact sheet of held-out pictures")
@click.option("--resolution", default=128, show_default=True, help="half of the batches are at half of this")
@click.option("--steps", default=1000, show_default=True)
@click.option("--batch", default=8, show_default=True)
@click.option("--ngf", default=8, show_default=True)
@click.option("--downsamplings", default=2, show_default=True)
@click.option("--blocks", default=3, show_default=True)
@click.option("--learning-rate", default=2e-3, show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(data, out, sheet, resolution, steps, batch, ngf, downsamplings, blocks, learning_rate, threads, seed):
    """Train a small sketch extractor on both styles; matched identities are held out."""
    from tqdm import tqdm

    import weights
    from sketch.lines import xdog
    from sketch.network import SketchExtractor
    from training.dataset import load_images, training_names

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    data = Path(data)
    train_paths, test_paths = [], {}
    for style in ("rendered", "real"):
        train_paths += training_names(data / style, exclude=data / "matched")
        stems = sorted(path.stem for path in (data / "matched").iterdir())
        test_paths[style] = [data / style / f"{stem}.jpg" for stem in stems]
    images = load_images(train_paths, resolution)  # uint8 [N, 3, R, R]

    network = SketchExtractor(ngf, downsamplings, blocks).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.1)
    started = time.time()
    progress = tqdm(range(steps), unit="step")
    for _ in progress:
        half = torch.rand([], generator=generator) < 0.5
        chosen = torch.randint(len(images), [batch * 2 if half else batch], generator=generator)
        clean = picture_batch(images, chosen, half)
        if torch.rand([], generator=generator) < 0.5:
            clean = clean.flip(3)
        target = xdog(clean).expand(-1, 3, -1, -1) * CONTRAST
        drawn = network(disturb(clean, generator).contiguous(memory_format=torch.channels_last))
        error = (drawn - target).abs()
        ink = (CONTRAST - target) / CONTRAST  # 0 on paper, 2 on a stroke: unweighted, blank paper wins at the start
        loss = ((error + error.square()) * (1 + ink)).mean() + (slopes(drawn) - slopes(target)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        progress.set_postfix(error=f"{error.mean().item():.3f}", refresh=False)
    seconds = round(time.time() - started)

    network.eval().requires_grad_(False)
    tensors = {key: value.half() for key, value in network.state_dict().items()}
    network.load_state_dict(tensors)  # measured as stored
    numbers = {}
    for style, paths in test_paths.items():
        pictures = load_images(paths, resolution)
        numbers[f"{style}_{resolution}"] = held_out(network, pictures, generator)
        smaller = load_images(paths, resolution // 2)
        numbers[f"{style}_{resolution // 2}"] = held_out(network, smaller, generator)
    card = {
        "data": f"{len(images)} pictures, rendered and real avatars; identities with a matched picture held out",
        "steps": steps,
        "seconds": seconds,
        "seed": seed,
        "command": f"python -m scripts.demo.train_sketch --steps {steps} --batch {batch} --ngf {ngf} "
        f"--downsamplings {downsamplings} --blocks {blocks} --learning-rate {learning_rate} --seed {seed}",
        "held_out": numbers,
        "licence": "Apache-2.0; trained on CC0 renders",
    }
    weights.save(out, tensors, kind="sketch_extractor", config=network.config, card=card)
    contact_sheet(sheet, network, torch.cat([load_images(paths[:6], resolution) for paths in test_paths.values()]))
    print(f"{out}: {Path(out).stat().st_size} bytes, {seconds} s")
    for name, row in numbers.items():
        print(name, row)


if __name__ == "__main__":
    main()
