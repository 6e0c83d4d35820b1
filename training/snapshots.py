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
import weights
from inversion.start import KIND, latent_space
from machine import processes
from weights.files import first_line, written_atomically

GRID = (8, 6)  # columns, rows of the sample grid
STATE_FAILURES = (RuntimeError, KeyError, TypeError, ValueError, AttributeError, IndexError)  # of one that does not fit
NETWORK_KEYS = ("resolution", "z_dim", "w_dim", "mapping_layers", "channel_base", "channel_max")


class Log:
    """The run's diary: averages of many steps in `stats.jsonl`, metrics in `metrics.jsonl`, both in TensorBoard; events
    in `log.txt`; a progress bar."""

    def __init__(self, out, run, progress, every=50):
        from torch.utils.tensorboard import SummaryWriter
        from tqdm import tqdm

        self.out, self.every = Path(out), every
        for name in ("stats.jsonl", "metrics.jsonl"):  # a killed run got farther than its last state
            forget_after(self.out / name, run.seen / 1000)
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
        rate = {"seconds_per_kimg": 1000 * self.seconds / self.images, "peak_gib": peak_bytes(run.device) / 2**30}
        self.write(run, line | rate)
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


def forget_after(file, kimg):
    """Remove the lines of later moments from a diary of JSON lines."""

    def stays(line):
        try:
            return line.endswith("\n") and json.loads(line)["kimg"] <= kimg
        except (ValueError, KeyError, TypeError):  # cut off by the kill
            return False

    lines = file.read_text().splitlines(keepends=True) if file.is_file() else []
    kept = [line for line in lines if stays(line)]
    if len(kept) < len(lines):
        with written_atomically(file) as unfinished:
            unfinished.write_text("".join(kept))


def peak_bytes(device):
    """The most memory this process has held so far: of the GPU, or its own where it computes on the CPU."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource
    import sys

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


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
    with written_atomically(out / "state.pt") as unfinished:
        torch.save(run.state_dict() | {"config": card["config"], "fine_tuned": run.g_real is not None}, unfinished)
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


def write_start(run, out):
    """`start.safetensors`: the encoder, in half precision, for inversions into what is fine-tuned from this run's G."""
    encoder = run.reconstruction.encoder.start()
    card = {"kimg": run.seen / 1000, "latent_space": latent_space(run.G_ema)}
    file = Path(out) / "start.safetensors"
    weights.save(file, encoder.state_dict(), kind=KIND, config=encoder.config, card=card, half=True)


def write_config(config, out):
    """`config.yaml`: every key as the run uses it, ready for `train.py`."""
    with written_atomically(Path(out) / "config.yaml") as unfinished:
        unfinished.write_text(yaml.safe_dump(dict(config.__dict__), sort_keys=False))


def without_paths(settings):
    """The settings of a run that mean something on another machine: what goes into a model card."""
    files = ("sketch_weights_file", "perceptual_weights_file")
    paths = ("data", "exclude", "g_real", "discriminator", "init", "encoder", "w_plus", *files)
    return {name: value for name, value in settings.items() if name not in paths}


def restore(run, out):
    """Continue from `out/state.pt`; returns whether there was one. Raises ValueError when its networks have other sizes
    than the configuration's, when only one of the two fine-tunes, or when not every process finds the file."""
    path = Path(out) / "state.pt"
    found = processes.gathered([path.is_file()])
    if len(set(found)) > 1:
        missing = [rank for rank, there in enumerate(found) if not there]
        raise ValueError(f"{path}: not there for processes {missing}; --out must be one folder that all machines share")
    if not path.is_file():
        return False
    state = read_state(path, run.device)
    then_config = state.get("config")
    for key in NETWORK_KEYS:
        then, now = then_config.get(key) if isinstance(then_config, dict) else None, getattr(run.config, key)
        if then != now and then is not None and now is not None:
            raise ValueError(
                f"{path}: that run has {key} = {then}, the configuration says {now}; set {key}={then} to go on with "
                "it, or give another --out"
            )
    then, now = state.get("fine_tuned"), run.g_real is not None
    if then is not None and then != now:
        other = "has no g_real, the configuration names one" if now else "has a g_real, the configuration none"
        raise ValueError(f"{path}: that run {other}; give another --out")
    try:
        run.load_state_dict(state)
    except STATE_FAILURES as error:
        reason = first_line(error)
        raise ValueError(f"{path}: does not fit this configuration ({reason}); give another --out") from error
    return True


def read_state(path, device):
    """The dictionary of a state that a run saved, read as data. Raises ValueError, naming the file and the remedy, when
    it is damaged or something else."""
    remedy = "put a copy of it back, or delete it to start the run again"
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # damaged data can fail anywhere
        raise ValueError(f"{path}: is damaged or no state of a run ({first_line(error, 100)}); {remedy}") from error
    if not isinstance(state, dict):
        raise ValueError(f"{path}: holds a {type(state).__name__}, not the state of a run; {remedy}")
    return state


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
