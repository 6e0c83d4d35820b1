"""Train the demo face parser (BiSeNet) on the labels of both styles.

    python -m scripts.demo.train_parser --data ../shared/avatars --out weights/demo/parser.safetensors

Over the faces of half of the pictures things are drawn (things.py), so that it knows what is no face; `--also` adds
sets drawn with glasses and hats (docs/data.md). Cross entropy on the main and both auxiliary heads (BiSeNet, Eq. 1 and
2), thin classes weighted up. The pictures have 128 pixels and are enlarged to `--resolution` first: the network's
output has an eighth of its input's side. About seven minutes for 1000 steps on one core.
"""

import json
import time
from pathlib import Path

import click
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

SWAP = [0, 1, 3, 2, 5, 4, 6, 8, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]  # classes after a flip: l_ is image-left


def load_labels(folder, paths):
    """Class images of the given pictures, uint8 [N, H, W]."""
    maps = {path.stem: None for path in paths}
    for stem in maps:
        maps[stem] = np.asarray(Image.open(folder / f"{stem}.png"))
    return torch.from_numpy(np.stack([maps[path.stem] for path in paths]))


def augment(x, labels, resolution, generator):
    """Pictures [N, 3, H, W] in [-1, 1] and labels [N, H, W] -> disturbed, the pictures enlarged to `resolution`.

    Geometry: flip (with the sides' classes swapped), zoom, turn, shift. Colour: gain, tint, grey. Then blur or grain.
    """
    count = len(x)

    def uniform(low, high, *shape):
        return low + (high - low) * torch.rand(count, *shape, generator=generator)

    flip = torch.rand([], generator=generator) < 0.5
    if flip:
        x, labels = x.flip(3), torch.tensor(SWAP, dtype=torch.uint8)[labels.flip(2).long()]
    zoom, angle = torch.exp(uniform(-0.25, 0.25)), uniform(-0.3, 0.3)
    cos, sin, shift = zoom * angle.cos(), zoom * angle.sin(), uniform(-0.12, 0.12, 2)
    matrix = torch.stack([cos, -sin, shift[:, 0], sin, cos, shift[:, 1]], 1).view(count, 2, 3)
    grid = F.affine_grid(matrix, [count, 3, resolution, resolution], align_corners=False)
    x = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    grid = F.affine_grid(matrix, [count, 3, *labels.shape[1:]], align_corners=False)
    labels = F.grid_sample(labels[:, None].float(), grid, mode="nearest", padding_mode="border", align_corners=False)

    x = (x + uniform(-0.2, 0.2, 1, 1, 1)) * uniform(0.75, 1.25, 1, 1, 1) + uniform(-0.1, 0.1, 3, 1, 1)
    colourless = (torch.rand(count, 1, 1, 1, generator=generator) < 0.1).float()
    x = x + colourless * (x.mean(1, keepdim=True) - x)
    if torch.rand([], generator=generator) < 0.25:
        size = int(torch.randint(resolution // 5, resolution // 2, [1], generator=generator))
        x = F.interpolate(x, size=(size, size), mode="bilinear", antialias=True)
        x = F.interpolate(x, size=(resolution, resolution), mode="bilinear")
    x = x + uniform(0, 1, 1, 1, 1) ** 3 * 0.3 * torch.randn(x.shape, generator=generator)
    return x.clamp(-1, 1), labels[:, 0].long()


@torch.no_grad()
def held_out(parser, images, labels):
    """Intersection over union per class that occurs, counted over the whole set; pictures at their own size."""
    from postprocess.parsing import CLASSES, parse

    confusion = torch.zeros(19, 19, dtype=torch.long)
    for part, truth in zip(images.split(16), labels.split(16), strict=True):
        found = parse(parser, part.float() / 127.5 - 1)
        confusion += torch.bincount((truth.long() * 19 + found).flatten(), minlength=361).view(19, 19)
    both, truth, found = confusion.diag().float(), confusion.sum(1).float(), confusion.sum(0).float()
    iou = {CLASSES[i]: round(float(both[i] / (truth[i] + found[i] - both[i])), 4) for i in range(19) if truth[i]}
    kept = torch.tensor([1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 17])  # what Eq. 5 pastes: face and hair
    mask = confusion[kept][:, kept].sum()
    union = confusion[kept].sum() + confusion[:, kept].sum() - mask
    return iou | {
        "mean": round(float(np.mean(list(iou.values()))), 4),
        "face_and_hair": round(float(mask / union), 4),
        "pixels_right": round(float(both.sum() / truth.sum()), 4),
    }


def contact_sheet(path, parser, images, labels):
    """Rows of picture, label and prediction."""
    from torchvision.utils import save_image

    from postprocess.parsing import parse

    x = images.float() / 127.5 - 1
    palette = torch.rand(19, 3, generator=torch.Generator().manual_seed(7))
    palette[0] = 0
    rows = [x / 2 + 0.5] + [palette[m.long()].permute(0, 3, 1, 2) for m in (labels, parse(parser, x))]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    save_image(torch.cat(rows), str(path), nrow=len(x), padding=1)


@click.command()
@click.option("--data", default="../shared/avatars", show_default=True, help="the avatars' folder")
@click.option("--out", default="weights/demo/parser.safetensors", show_default=True)
@click.option("--sheet", default="out/parser_sheet.png", show_default=True, help="contact sheet of held-out pictures")
@click.option("--also", multiple=True, help="another set of the same form, with labels of its own; repeatable")
@click.option("--things", default=0.5, show_default=True, help="share of pictures with things drawn over the face")
@click.option("--steps", default=1000, show_default=True)
@click.option("--batch", default=10, show_default=True)
@click.option("--width", default=16, show_default=True)
@click.option("--resolution", default=256, show_default=True, help="the size the pictures are enlarged to")
@click.option("--learning-rate", default=4e-3, show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(data, out, sheet, also, things, steps, batch, width, resolution, learning_rate, threads, seed):
    """Train a small face parser; matched identities are held out."""
    from tqdm import tqdm

    import weights
    from postprocess.parsing import CLASSES, BiSeNet, normalize
    from training.dataset import load_images, training_names

    from .things import with_things

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    generator, random = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    data = Path(data)
    stems = sorted(path.stem for path in (data / "matched").iterdir())
    paths = [path for style in ("rendered", "real") for path in training_names(data / style, data / "matched")]
    sets = [(load_images(paths, 128), load_labels(data / "parsing", paths))]
    for more in map(Path, also):
        paths = [path for style in ("rendered", "real") for path in training_names(more / style, data / "matched")]
        sets.append((load_images(paths, 128), load_labels(more / "parsing", paths)))
    images, labels = (torch.cat(parts) for parts in zip(*sets, strict=True))
    others = images.permute(0, 2, 3, 1).numpy()

    share = torch.bincount(labels.flatten(), minlength=19).float() / labels.numel()
    class_weight = torch.where(share > 0, share.clamp_min(1e-4) ** -0.25, 0.0)
    class_weight /= (class_weight * share).sum()  # a pixel counts 1 on average
    network = BiSeNet(width=width, resolution=resolution).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.1)
    started = time.time()
    progress = tqdm(range(steps), unit="step")
    for _ in progress:
        chosen = torch.randint(len(images), [batch], generator=generator)
        x, truth = images[chosen], labels[chosen]
        for i in (random.random(batch) < things).nonzero()[0]:
            covered = with_things(others[chosen[i]], truth[i].numpy(), others, random)
            x[i], truth[i] = torch.from_numpy(covered[0]).permute(2, 0, 1), torch.from_numpy(covered[1])
        x, truth = augment(x.float() / 127.5 - 1, truth, resolution, generator)
        heads = network(normalize(x).contiguous(memory_format=torch.channels_last), size=truth.shape[1:])
        losses = [F.cross_entropy(head, truth, class_weight) for head in heads]
        optimizer.zero_grad()
        sum(losses).backward()
        optimizer.step()
        schedule.step()
        progress.set_postfix(loss=f"{losses[0].item():.3f}", refresh=False)
    seconds = round(time.time() - started)

    network.eval().requires_grad_(False)
    tensors = {key: v.half() if v.is_floating_point() else v for key, v in network.state_dict().items()}
    network.load_state_dict(tensors)  # measured as stored
    numbers, shown = {}, []
    for style in ("rendered", "real"):
        paths = [data / style / f"{stem}.jpg" for stem in stems]
        test = load_images(paths, 128), load_labels(data / "parsing", paths)
        numbers[style] = held_out(network, *test)
        shown.append([part[:6] for part in test])
    card = {
        "data": f"{len(images)} pictures, rendered and real avatars, {len(images) - len(sets[0][0])} of them with "
        f"glasses and hats, {things:.0%} with things drawn over them; identities with a matched picture held out",
        "steps": steps,
        "seconds": seconds,
        "seed": seed,
        "command": f"python -m scripts.demo.train_parser --steps {steps} --batch {batch} --width {width} "
        f"--resolution {resolution} --learning-rate {learning_rate} --seed {seed} --things {things}"
        + "".join(f" --also {Path(more).name}" for more in also),
        "held_out_iou": numbers,
        "classes_without_data": [CLASSES[i] for i in range(19) if not share[i] and not things],
        "licence": "Apache-2.0; trained on CC0 renders",
    }
    weights.save(out, tensors, kind="parser", config=network.config, card=card)
    contact_sheet(sheet, network, *(torch.cat(parts) for parts in zip(*shown, strict=True)))
    print(f"{out}: {Path(out).stat().st_size} bytes, {seconds} s")
    for name in numbers["real"]:
        print(f"{name:14}" + "".join(f"{style:>10} {row[name]:.4f}" for style, row in numbers.items()))
    print(json.dumps(numbers))


if __name__ == "__main__":
    main()
