"""A training run in one YAML file: every key is a field below, unknown ones are refused."""

import dataclasses
import difflib
from dataclasses import dataclass
from pathlib import Path


class ConfigError(Exception):
    """A configuration file is missing or holds a key or value that does not fit. The message names both."""


@dataclass(frozen=True)
class TrainingConfig:
    """Defaults are the paper's: the `stylegan2` preset of StyleGAN2-ADA, stopped at 40 kimg."""

    # Data
    data: str  # folder or zip of aligned square pictures
    exclude: str | None = None  # pictures whose name occurs in this folder are left out (evaluation identities)
    resolution: int = 1024
    mirror: bool = True  # x-flips

    # Where the networks start
    g_real: str | None = None  # checkpoint: fine-tune its G_ema into g_rendering (Eq. 3); None = plain training
    init: str | None = None  # checkpoint to start from: a plain run's (a smaller one is grown); fine-tuning: G_ema only
    warm_start_kimg: float = 0  # plain training: first this many thousand pictures as an autoencoder
    encoder_kimg: float = 0  # of them the first so many move the encoder only (a generator from `init` stays as it is)
    warm_start_size: int | None = None  # on pictures of this size, and blocks up to it; None = the resolution
    warm_start_kl: float = 1e-3  # its weight of the KL divergence, in nats
    reconstruction_weight: float = 0  # plain training: half of each batch is reconstructed from an encoder's w+

    w_plus: str | None = None  # fine-tuning: a file of latents; half of each batch is drawn from it, not from z

    # Networks (of a run that starts from nothing)
    z_dim: int = 512
    w_dim: int = 512
    mapping_layers: int = 8
    channel_base: int = 32768
    channel_max: int = 512
    num_fp16_res: int = 4  # highest resolutions in half precision
    conv_clamp: float | None = 256

    # Adversarial training
    kimg: float = 40  # thousands of real pictures shown to D
    batch: int = 32
    batch_gpu: int | None = None  # pictures a process computes at a time; None = its whole part of the batch
    lr: float = 2e-3
    lr_rampdown: float = 0  # the last share of the run in which lr falls to 0, linearly
    pairing: bool = False  # relativistic pairing loss in place of the logistic one
    r1_gamma: float = 10
    r1_interval: int = 16
    pl_weight: float = 2
    pl_interval: int = 4
    pl_batch_shrink: int = 2
    pl_decay: float = 0.01
    style_mixing: float = 0.9
    ema_kimg: float = 10  # half-life
    ema_rampup: float | None = None  # limits the half-life to this share of the pictures seen so far
    ada_target: float | None = 0.6  # r_t of Karras et al. 2020b; None = no augmentation
    ada_kimg: float = 500  # thousands of pictures in which p can go from 0 to 1

    # Identity losses (fine-tuning only)
    sketch_weight: float = 5e-6  # Eq. 3, lambda_s
    sketch_size: int = 512  # Eq. 1
    sketch_reduction: str = "sum"  # L1 norm: sum over pixels, mean over the batch
    sketch_weights_file: str | None = None  # None = the embedded extractor
    color_weight: float = 3.75e3  # Eq. 3, lambda_c
    color_size: int = 256  # Eq. 2
    color_kernel: int = 13
    color_sigma: float = 10
    perceptual_weights_file: str | None = None  # None = the embedded network

    # The run
    seed: int = 0
    tf32: bool = False  # on GPUs: float32 products with 10-bit mantissas, faster
    snapshot_kimg: float = 4  # a sample grid, metrics, a snapshot and a resumable state every so many kimg
    keep_snapshots: int = 5  # the newest so many stay
    metrics_pictures: int = 64  # training/progress_metrics.py; 0 = none


def load_config(path, overrides=()):
    """Read a YAML file into a TrainingConfig; `overrides` are "key=value" strings. Raises ConfigError."""
    import yaml

    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: no such configuration file; the ready ones are in configs/")
    try:
        values = yaml.safe_load(path.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML ({error})") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must hold `key: value` lines")
    for override in overrides:
        key, separator, value = override.partition("=")
        if not separator:
            raise ConfigError(f"--set {override}: write it as key=value")
        values[key] = yaml.safe_load(value)
    fields = {field.name: field for field in dataclasses.fields(TrainingConfig)}
    for key, value in values.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"{path}: unknown key {key!r}{hint}")
        values[key] = _typed(path, key, value, fields[key].type)
    try:
        return TrainingConfig(**values)
    except TypeError as error:
        raise ConfigError(f"{path}: {error}") from error


def _typed(path, key, value, annotation):
    """YAML reads 5e-6 as text and 10 as an int where a float is meant: bring the value to the field's type."""
    kind, optional = str(getattr(annotation, "__name__", annotation)), "None" in str(annotation)
    kind = kind.replace(" | None", "")
    if value is None and optional:
        return None
    try:
        if kind == "bool" and not isinstance(value, bool):
            raise ValueError
        if kind == "int" and int(value) != float(value):
            raise ValueError
        return {"bool": bool, "int": int, "float": float, "str": str}[kind](value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{path}: {key} must be {kind}{' or null' if optional else ''}, got {value!r}") from error
