"""What a run leaves on disk: statistics, sample grids, snapshots for inference, and the state to resume from."""

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image

import stylegan2.checkpoints
from weights.files import written_atomically

GRID = (8, 6)  # columns, rows of the sample grid
NETWORK_KEYS = ("resolution", "z_dim", "w_dim", "mapping_layers", "channel_base", "channel_max")


class Log:
    """The run's diary: averages of many steps in `stats.jsonl`, metrics in `metrics.jsonl`, both in TensorBoard; events
    in `log.txt`; a progress bar."""

    def __init__(self, out, run, progress, every=50):
        from torch.utils.tensorboard import SummaryWriter
        from tqdm import tqdm

        self.out, self.every = Path(out), every
        self.writer = SummaryWriter(out)
        total = int(1000 * run.config.kimg)
        self.bar = tqdm(total=total, initial=run.seen, unit="img", disable=not progress, mininterval=10)
        self._clear()

    def _clear(self):
        self.sums, self.counts, self.seconds, self.images = {}, {}, 0.0, 0

    def add(self, run, statistics, seconds):
        for name, value in statistics.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1
        self.seconds += seconds
        self.images += run.config.batch
        self.bar.update(run.config.batch)
        if run.step % self.every:
            return
        line = {name: self.sums[name] / self.counts[name] for name in self.sums}
        self.write(run, line | {"images_per_second": self.images / self.seconds})
        self.bar.set_postfix({k: f"{v:.3g}" for k, v in line.items() if k in ("loss_G", "loss_D", "augment_p")})
        for sign in signs_of_collapse(line):
            self.note(run, f"warning: {sign}")
        self._clear()

    def write(self, run, values, file="stats.jsonl"):
        """{name: float} of this moment to `file`, TensorBoard and `log.txt`."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, run.seen)
        with open(self.out / file, "a") as lines:
            lines.write(json.dumps({"kimg": run.seen / 1000, "time": time.time()} | values) + "\n")
        self.note(run, "  ".join(f"{name} {value:.4g}" for name, value in values.items()), shown=False)

    def note(self, run, text, shown=True):
        """One line of `log.txt`, also on the screen if `shown`."""
        with open(self.out / "log.txt", "a") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {run.seen / 1000:8.3f} kimg  {text}\n")
        if shown and not self.bar.disable:
            self.bar.write(text)


def signs_of_collapse(statistics):
    """What in the averages of some steps says that a run has gone wrong; a list of sentences."""
    signs = []
    if statistics["signs_real"] > 0.95 and statistics["signs_fake"] < -0.95:
        signs.append(
            "D tells almost every picture apart, so G learns nothing from it; raise r1_gamma, or start again from an "
            "earlier snapshot with a lower lr"
        )
    if statistics["spread_fake"] < 0.01 * statistics["spread_real"]:
        signs.append("D sees no difference among generated pictures: G has collapsed; go back to an earlier snapshot")
    return signs


def write(run, out):
    """Sample grid, `snapshot-KIMG.safetensors` (G_ema, D; the newest also as `snapshot.safetensors`) and `state.pt`,
    each written atomically; of the snapshots the newest `keep_snapshots` stay."""
    out = Path(out)
    sample_grid(run).save(out / f"samples-{run.seen // 1000:06d}.png")
    card = {"kimg": run.seen / 1000, "config": without_paths(run.config.__dict__)}
    snapshot = out / f"snapshot-{run.seen // 1000:06d}.safetensors"
    stylegan2.checkpoints.save(snapshot, {"G_ema": run.G_ema, "D": run.D}, card)
    with written_atomically(out / "snapshot.safetensors") as unfinished:
        _same_file(snapshot, unfinished)
    state = {
        "G": run.G.state_dict(),
        "D": run.D.state_dict(),
        "G_ema": run.G_ema.state_dict(),
        "G_optimizer": run.G_optimizer.state_dict(),
        "D_optimizer": run.D_optimizer.state_dict(),
        "pl_mean": run.pl_mean,
        "augment_p": float(run.augment.p) if run.augment is not None else 0.0,
        "sign": [run.sign_sum, run.sign_count],
        "reconstruction": run.reconstruction.state_dict() if run.reconstruction is not None else None,
        "config": without_paths(run.config.__dict__),
        "step": run.step,
        "seen": run.seen,
    }
    with written_atomically(out / "state.pt") as unfinished:
        torch.save(state, unfinished)
    for old in sorted(out.glob("snapshot-*.safetensors"))[: -run.config.keep_snapshots]:
        old.unlink()


def _same_file(source, target):
    """A second name for a file; a copy where the file system knows no such thing."""
    try:
        target.unlink(missing_ok=True)
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


@torch.no_grad()
def write_w_plus(run, images, out):
    """`w_plus.npz`: the encoder's w+ of every training picture, float16 [N, num_ws, w_dim]."""
    parts = []
    for part in torch.arange(len(images)).split(64):
        x = (images[part.tolist()].float() / 127.5 - 1).to(run.device, memory_format=torch.channels_last)
        parts.append(run.reconstruction.encode(x, run.G_ema.mapping.w_avg).half().cpu())
    with written_atomically(Path(out) / "w_plus.npz") as unfinished:
        np.savez(unfinished, w_plus=torch.cat(parts).numpy())


def write_config(config, out):
    """`config.yaml`: every key as the run uses it, ready for `train.py`."""
    with written_atomically(Path(out) / "config.yaml") as unfinished:
        unfinished.write_text(yaml.safe_dump(dict(config.__dict__), sort_keys=False))


def without_paths(settings):
    """The settings of a run that mean something on another machine: what goes into a model card."""
    paths = ("data", "exclude", "g_real", "init", "w_plus", "sketch_weights_file", "perceptual_weights_file")
    return {name: value for name, value in settings.items() if name not in paths}


def restore(run, out):
    """Continue from `out/state.pt`; returns whether there was one. Raises ValueError when its networks have other sizes
    than the configuration's."""
    path = Path(out) / "state.pt"
    if not path.is_file():
        return False
    state = torch.load(path, map_location=run.device, weights_only=True)
    for key in NETWORK_KEYS:
        then, now = state["config"].get(key), getattr(run.config, key)
        if then != now:
            raise ValueError(
                f"{path}: that run has {key} = {then}, the configuration says {now}; set {key}={then} to go on with "
                "it, or give another --out"
            )
    for name in ("G", "D", "G_ema"):
        getattr(run, name).load_state_dict(state[name])
    for optimizer, saved in ((run.G_optimizer, state["G_optimizer"]), (run.D_optimizer, state["D_optimizer"])):
        settings = optimizer.state_dict()["param_groups"]  # of the configuration: moments are resumed, settings are not
        optimizer.load_state_dict(saved | {"param_groups": settings})
    if run.reconstruction is not None:
        run.reconstruction.load_state_dict(state["reconstruction"])
    run.pl_mean = state["pl_mean"]
    run.sign_sum, run.sign_count = state["sign"]
    run.step, run.seen = state["step"], state["seen"]
    if run.augment is not None:
        run.augment.p.fill_(state["augment_p"])
    return True


@torch.no_grad()
def sample_grid(run):
    """Fixed latents through G_ema; in fine-tuning every second row shows g_real on the latents of the row above."""
    columns, rows = GRID
    generator = torch.Generator().manual_seed(1)
    rows = rows // 2 if run.g_real is not None else rows
    z = torch.randn([columns * rows, run.G.z_dim], generator=generator).to(run.device)
    w_plus = run.G_ema.mapping(z)
    strips = []
    for row in w_plus.split(columns):
        strips.append(run.G_ema.synthesis(row, noise_mode="const"))
        if run.g_real is not None:
            strips.append(run.g_real.synthesis(row, noise_mode="const"))
    return to_grid(strips)


def to_grid(strips):
    """Rows of pictures, a list of [columns, 3, R, R] in [-1, 1] -> one PIL image."""
    grid = torch.cat([torch.cat(list(strip), dim=2) for strip in strips], dim=1)  # [3, rows * R, columns * R]
    pixels = ((grid + 1) * 127.5).round().clamp(0, 255).byte().cpu().numpy()
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
