"""Train the demo perceptual network on faces, then weigh its channels so that more distortion is farther.

    python -m scripts.demo.train_perceptual --data ../shared/avatars --out weights/demo/perceptual.safetensors

Step 1, features: from one picture the network tells everything the avatars' manifest knows (style, hair, colours, age,
gender, pose, face shape), the parsing, and how much blur and grain was added to it. The last task keeps fine detail
alive in the first stages, the parsing keeps places, the rest keeps the person. Step 2, channel weights: of two
disturbed pictures the more disturbed one must be farther; fitted weights are kept only if they beat uniform ones on
held-out pictures. Rendered and real pictures of one person are never compared with each other.
About six minutes on one core.
"""

import json
import time
from pathlib import Path

import click
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from scripts.demo.distortions import degrade, distort

SWAP = [0, 1, 3, 2, 5, 4, 6, 8, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]  # parsing classes after a flip
PAIRS = 1200, 720  # of disturbed pictures: to fit the channel weights, and held out
ANGLES = 2  # the first two numbers are yaw and tilt: a flip turns their sign


class Student(nn.Module):
    """The perceptual network with batch normalisation behind every convolution, and the heads it is trained by."""

    def __init__(self, network, n_hair, n_numbers):
        super().__init__()
        self.network = network
        self.norms = nn.ModuleList(nn.ModuleList(nn.BatchNorm2d(c.out_channels) for c in s) for s in network.stages)
        channels = network.config["channels"]
        self.lateral = nn.ModuleList(nn.Conv2d(width, 32, 1) for width in channels)
        self.parsing = nn.Conv2d(32, 19, 1)
        self.split = [2, n_hair, n_numbers, 2]  # style, hair, manifest numbers, (blur, grain)
        self.summary = nn.Linear(channels[-1] * 16 + 2 * sum(channels), sum(self.split))

    def forward(self, x):
        """[N, 3, H, W] -> parsing logits [N, 19, H/2, W/2] and the four heads."""
        taps = []
        for index, (convs, norms) in enumerate(zip(self.network.stages, self.norms, strict=True)):
            x = F.max_pool2d(x, 2) if index else x
            for conv, norm in zip(convs, norms, strict=True):
                x = torch.relu(norm(conv(x)))
            taps.append(x)
        size = taps[1].shape[2:]  # H/2
        maps = [F.avg_pool2d(taps[0], 2)] + [F.interpolate(t, size=size, mode="bilinear") for t in taps[1:]]
        merged = sum(lateral(m) for lateral, m in zip(self.lateral, maps, strict=True))
        pooled = [F.adaptive_avg_pool2d(taps[-1], 4).flatten(1)]
        pooled += [statistic for tap in taps for statistic in (tap.mean((2, 3)), tap.std((2, 3)))]
        return self.parsing(torch.relu(merged)), *self.summary(torch.cat(pooled, 1)).split(self.split, 1)

    @torch.no_grad()
    def fold(self):
        """Move the batch normalisations into the convolutions, which then stand alone."""
        for convs, norms in zip(self.network.stages, self.norms, strict=True):
            for conv, norm in zip(convs, norms, strict=True):
                gain = norm.weight / (norm.running_var + norm.eps).sqrt()
                conv.weight.mul_(gain.view(-1, 1, 1, 1))
                conv.bias.copy_((conv.bias - norm.running_mean) * gain + norm.bias)
        return self.network


def manifest_labels(data):
    """{id: (hair index, numbers)}, the numbers' names, the hairs' names; a number has deviation 1 over the set."""
    rows = [json.loads(line) for line in (data / "manifest.jsonl").read_text().splitlines()]
    hairs = sorted({row["hair"] for row in rows})
    counts = {}
    for row in rows:
        for name in row["targets"]:
            counts[name] = counts.get(name, 0) + 1
    targets = sorted(name for name, count in counts.items() if count > 0.2 * len(rows))
    colours = ["skin", "lip", "hair_colour"]
    plain = ["yaw", "tilt", "pitch", "age", "gender", "weight", "beard", "grey", "brow_width"]
    table = np.array(
        [
            [row[name] for name in plain]
            + [int(row[name][i : i + 2], 16) for name in colours for i in (0, 2, 4)]
            + [row["targets"].get(name, 0.0) for name in targets]
            for row in rows
        ],
        dtype=np.float32,
    )
    centre = table.mean(0)
    centre[:ANGLES] = 0  # so that a flip is a change of sign
    table = (table - centre) / np.sqrt(((table - centre) ** 2).mean(0))
    names = plain + [f"{name}_{channel}" for name in colours for channel in "rgb"] + targets
    labels = {row["id"]: (hairs.index(row["hair"]), table[i]) for i, row in enumerate(rows)}
    return labels, names, hairs


class Pictures:
    """Both styles of the given identities with their labels, in memory."""

    def __init__(self, data, paths, labels):
        from training.dataset import load_images

        self.images = load_images(paths, 128)
        maps = {p.stem: np.asarray(Image.open(data / "parsing" / f"{p.stem}.png")) for p in paths}
        self.parsing = torch.from_numpy(np.stack([maps[p.stem] for p in paths]))  # uint8 [N, 128, 128]
        self.style = torch.tensor([int(p.parent.name == "real") for p in paths])
        self.hair = torch.tensor([labels[p.stem][0] for p in paths])
        self.numbers = torch.from_numpy(np.stack([labels[p.stem][1] for p in paths]))

    def batch(self, chosen, half, flip):
        x = self.images[chosen].float() / 127.5 - 1
        parsing, numbers = self.parsing[chosen].long(), self.numbers[chosen].clone()
        if flip:
            x, parsing = x.flip(3), torch.tensor(SWAP)[parsing.flip(2)]
            numbers[:, :ANGLES] *= -1
        if half:
            x, parsing = F.avg_pool2d(x, 2), parsing[:, ::2, ::2]
        return x, parsing[:, ::2, ::2], self.style[chosen], self.hair[chosen], numbers


@torch.no_grad()
def ranking_pairs(network, pictures, count, generator):
    """Squared feature differences [count, channels] from a picture to a less and to a more disturbed one, and the kind.

    Kinds: 0 one distortion, and the same 1.1 to 1.5 times as strong; 1 one distortion, and another on top; 2 two strong
    distortions, and another person of the same style.
    """
    near, far, kinds = [], [], []
    per_style = len(pictures.images) // 2  # the rendered ones come first
    for index in range(count // 8):
        kind = index % 3
        first, second = torch.randint(4, [2], generator=generator).tolist()
        strength, more = 0.1 + 0.4 * torch.rand(2, 8, generator=generator)
        chosen = torch.randint(2 * per_style, [8], generator=generator)
        step = torch.randint(1, per_style, [8], generator=generator)
        others = chosen // per_style * per_style + (chosen % per_style + step) % per_style
        x, other = (pictures.images[rows].float() / 127.5 - 1 for rows in (chosen, others))
        if kind == 2:
            nearer = distort(distort(x, first, 0.2 + 1.6 * strength, generator), second, 0.2 + 1.6 * more, generator)
            farther = other
        else:
            nearer = distort(x, first, strength, generator)
            stronger = strength * (1.1 + 0.4 * torch.rand(8, generator=generator))
            farther = distort(*((x, first, stronger) if kind == 0 else (nearer, second, more)), generator)
        base, *rest = ([F.normalize(t, dim=1, eps=1e-10) for t in network.activations(i)] for i in (x, nearer, farther))
        for taps, rows in zip(rest, (near, far), strict=True):
            rows.append(torch.cat([(p - q).square().mean((2, 3)) for p, q in zip(base, taps, strict=True)], 1))
        kinds += [kind] * 8
    return torch.cat(near), torch.cat(far), torch.tensor(kinds)


def fit_linear(network, train, test, generator):
    """Set the channel weights to those that rank held-out pairs best, fitted or uniform; the accuracies as a dict."""
    near, far, _ = ranking_pairs(network, train, PAIRS[0], generator)
    near_test, far_test, kinds = ranking_pairs(network, test, PAIRS[1], generator)
    uniform = torch.cat([torch.full_like(linear, 1 / len(linear)) for linear in network.linear])
    logs = uniform.log().requires_grad_()  # weights = exp(logs): never negative
    optimizer = torch.optim.Adam([logs], lr=0.03)
    for _ in range(300):
        margin = (far @ logs.exp()).log() - (near @ logs.exp()).log()
        loss = F.softplus(-5 * margin).mean() + 1e-2 * (logs - uniform.log()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    report, names = {}, ("stronger", "one_more", "other_person")
    for name, linear in (("uniform", uniform), ("fitted", logs.detach().exp())):
        right = (far_test @ linear > near_test @ linear).float()
        report[name] = {n: round(float(right[kinds == k].mean()), 4) for k, n in enumerate(names)}
        report[name]["all"] = round(float(right.mean()), 4)
    kept = "fitted" if report["fitted"]["all"] > report["uniform"]["all"] else "uniform"
    linear = logs.detach().exp() if kept == "fitted" else uniform
    scale = 0.5 / (far_test[kinds == 2] @ linear).mean()  # two people of one style: 0.5 apart on average
    for parameter, part in zip(network.linear, (linear * scale).split([len(p) for p in network.linear]), strict=True):
        parameter.copy_(part)
    return report | {"kept": kept}


@torch.no_grad()
def contact_sheet(path, network, images, generator):
    """A row per picture: itself, the four distortions, the next picture; prints the distances to the first column."""
    from torchvision.utils import save_image

    x = images.float() / 127.5 - 1
    strength = torch.full([len(x)], 0.5)
    columns = [x] + [distort(x, kind, strength, generator) for kind in range(4)] + [x.roll(1, 0)]
    names = ("itself", "blur", "grain", "tint", "warp", "another")
    for name, column in zip(names, columns, strict=True):
        print(f"distance to {name}:", " ".join(f"{value:.3f}" for value in network(x, column)))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    save_image(torch.stack(columns, 1).flatten(0, 1) / 2 + 0.5, str(path), nrow=len(columns), padding=1)


@torch.no_grad()
def held_out(student, pictures, names):
    """Accuracies on pictures of people the network never saw, undisturbed, at 128 pixels."""
    parsed, styles, hairs, numbers = [], [], [], []
    for chosen in torch.arange(len(pictures.images)).split(16):
        x, parsing, _, _, _ = pictures.batch(chosen, False, False)
        logits, style, hair, number, _ = student(x)
        parsed.append((logits.argmax(1) == parsing).float().mean((1, 2)))
        styles.append(style.argmax(1)), hairs.append(hair.argmax(1)), numbers.append(number)
    explained = 1 - (torch.cat(numbers) - pictures.numbers).square().mean(0) / pictures.numbers.var(0)
    explained = {name: round(float(value), 3) for name, value in zip(names, explained, strict=True)}
    skin, lip = (np.mean([explained[f"{kind}_{c}"] for c in "rgb"]) for kind in ("skin", "lip"))
    return {
        "style": round(float((torch.cat(styles) == pictures.style).float().mean()), 4),
        "hair": round(float((torch.cat(hairs) == pictures.hair).float().mean()), 4),
        "parsing_pixels": round(float(torch.cat(parsed).mean()), 4),
        "explained_variance": {name: explained[name] for name in ("yaw", "pitch", "age", "gender", "weight", "beard")}
        | {"skin": round(float(skin), 3), "lip": round(float(lip), 3)}
        | {"face_targets": round(float(np.mean([v for n, v in explained.items() if "/" in n])), 3)},
    }


@click.command()
@click.option("--data", default="../shared/avatars", show_default=True, help="the avatars' folder")
@click.option("--out", default="weights/demo/perceptual.safetensors", show_default=True)
@click.option("--sheet", default="out/perceptual_sheet.png", show_default=True, help="distortions with their distances")
@click.option("--steps", default=700, show_default=True)
@click.option("--batch", default=20, show_default=True)
@click.option("--learning-rate", default=3e-3, show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(data, out, sheet, steps, batch, learning_rate, threads, seed):
    """Train the small perceptual network; matched identities are held out."""
    from tqdm import tqdm

    import weights
    from losses.perceptual import PerceptualNetwork
    from training.dataset import training_names

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    data = Path(data)
    labels, names, hairs = manifest_labels(data)
    stems = {path.stem for path in (data / "matched").iterdir()}
    styles = ("rendered", "real")
    train = Pictures(data, [p for s in styles for p in training_names(data / s, data / "matched")], labels)
    test = Pictures(data, [data / s / f"{stem}.jpg" for s in styles for stem in sorted(stems)], labels)

    network = PerceptualNetwork()
    student = Student(network, len(hairs), len(names)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(student.parameters(), lr=learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.15)
    started = time.time()
    progress = tqdm(range(steps), unit="step")
    for _ in progress:
        half, flip = (torch.rand(2, generator=generator) < torch.tensor([0.33, 0.5])).tolist()
        chosen = torch.randint(len(train.images), [batch], generator=generator)
        x, parsing, style, hair, numbers = train.batch(chosen, half, flip)
        x, strength = degrade(x, generator)
        x = x.contiguous(memory_format=torch.channels_last)
        logits, style_out, hair_out, numbers_out, strength_out = student(x)
        loss = F.cross_entropy(logits, parsing) + 0.5 * F.cross_entropy(style_out, style)
        loss = loss + 0.5 * F.cross_entropy(hair_out, hair) + F.mse_loss(numbers_out, numbers)
        loss = loss + 2 * F.mse_loss(strength_out, strength)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    student.eval()
    numbers = held_out(student, test, names)
    network = student.fold().eval().requires_grad_(False)
    seconds = round(time.time() - started)
    numbers["ranking"] = fit_linear(network, train, test, generator)

    tensors = {key: value.half() for key, value in network.state_dict().items()}
    card = {
        "data": f"{len(train.images)} pictures, rendered and real avatars; identities with a matched picture held out",
        "steps": steps,
        "seconds": seconds,
        "seed": seed,
        "command": f"python -m scripts.demo.train_perceptual --steps {steps} --batch {batch} --seed {seed}",
        "scale": "two people of one style are 0.5 apart on average",
        "held_out": numbers,
        "licence": "Apache-2.0; trained on CC0 renders",
    }
    weights.save(out, tensors, kind="perceptual", config=network.config, card=card)
    contact_sheet(sheet, network, test.images[[0, 1, -2, -1]], generator)
    print(f"{out}: {Path(out).stat().st_size} bytes, {seconds} s\n{json.dumps(numbers, indent=1)}")


if __name__ == "__main__":
    main()
