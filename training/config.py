"""A training run in one YAML file: every key is a field below, unknown ones are refused.

`base: other.yaml` (a path relative to the file) takes the keys of another file first, which the file's own replace.
"""

import dataclasses
import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from .ranges import OneOf, Within, converted, is_text

Count = Annotated[int, Within(1, 65536)]
Width = Annotated[int, Within(1, 4096)]
Weight = Annotated[float, Within(0)]
Positive = Annotated[float, Within(0, above=True)]
Share = Annotated[float, Within(0, 1)]
Side = Annotated[int, Within(8, 4096)]
Resolution = Annotated[int, OneOf((8, 16, 32, 64, 128, 256, 512, 1024, 2048))]
Pipeline = Annotated[
    str, OneOf(("blit", "geom", "color", "filter", "noise", "cutout", "bg", "bgc", "bgcf", "bgcfn", "bgcfnc"))
]


class ConfigError(Exception):
    """A configuration file is missing or holds a key or value that does not fit. The message names both."""


@dataclass(frozen=True)
class TrainingConfig:
    """Defaults are the paper's: the `stylegan2` preset of StyleGAN2-ADA, stopped at 40 kimg."""

    # Data
    data: str  # folder or zip of aligned square pictures
    exclude: str | None = None  # pictures whose name occurs in this folder are left out (evaluation identities)
    resolution: Resolution = 1024
    mirror: bool = True  # x-flips

    # Where the networks start
    g_real: str | None = None  # checkpoint: fine-tune its G_ema into g_rendering (Eq. 3); None = plain training
    discriminator: str | None = None  # fine-tuning: checkpoint whose D is taken; None = g_real's own file
    init: str | None = None  # checkpoint to start from: a plain run's (a smaller one is grown); fine-tuning: G_ema only
    warm_start_kimg: Weight = 0  # plain training: first this many thousand pictures as an autoencoder
    encoder_kimg: Weight = 0  # of them the first so many move the encoder only (a generator from `init` stays)
    warm_start_size: Resolution | None = None  # on pictures of this size, and blocks up to it; None = the resolution
    warm_start_kl: Weight = 1e-3  # its weight of the KL divergence, in nats
    reconstruction_weight: Weight = 0  # plain training: half of each batch is reconstructed from an encoder's w+
    encoder: str | None = None  # file that encoder starts from: start.safetensors of `init`; None = D's trunk

    w_plus: str | None = None  # fine-tuning: a file of latents; half of each batch is drawn from it, not from z

    # Networks; in fine-tuning the sizes are g_real's, and other ones are refused
    z_dim: Width = 512
    w_dim: Width = 512
    mapping_layers: Annotated[int, Within(1, 64)] = 8
    channel_base: Annotated[int, Within(8, 2**20)] | None = None  # None = 32768, in fine-tuning g_real's
    channel_max: Width | None = None  # None = 512, in fine-tuning g_real's
    num_fp16_res: Annotated[int, Within(0, 10)] = 4  # highest resolutions in half precision (on CUDA)
    conv_clamp: Positive | None = None  # convolutions' outputs stay within +- this; None = in fine-tuning g_real's,
    # else 256 where there are half-precision blocks and no limit where there are none
    cpu_bfloat16: bool = False  # the half-precision blocks in bfloat16 on the CPU, where that is the faster one

    # Adversarial training
    kimg: Weight = 40  # thousands of real pictures shown to D
    batch: Count = 32
    batch_gpu: Count | None = None  # pictures a process computes at a time; None = its whole part of the batch
    lr: Positive = 2e-3
    lr_rampdown: Share = 0  # the last share of the run in which lr falls to 0, linearly
    pairing: bool = False  # relativistic pairing loss in place of the logistic one
    r1_gamma: Weight = 10
    r1_interval: Count = 16
    pl_weight: Weight = 2
    pl_interval: Count = 4
    pl_batch_shrink: Count = 2
    pl_decay: Annotated[float, Within(0, 1, above=True)] = 0.01
    style_mixing: Share = 0.9
    ema_kimg: Weight = 10  # half-life
    ema_rampup: Weight | None = None  # limits the half-life to this share of the pictures seen so far
    ada_target: Annotated[float, Within(-1, 1)] | None = 0.6  # r_t of Karras et al. 2020b; None = no augmentation
    ada_kimg: Positive = 500  # thousands of pictures in which p can go from 0 to 1
    augment: Pipeline = "bgc"  # pipeline of Karras et al. 2020b: blitting, geometry, colour, filter, noise, cutout

    # Identity losses (fine-tuning only)
    sketch_weight: Weight = 5e-6  # Eq. 3, lambda_s
    sketch_size: Side = 512  # Eq. 1
    sketch_reduction: Annotated[str, OneOf(("sum", "mean"))] = "sum"  # L1 norm: sum over pixels, mean over the batch
    sketch_weights_file: str | None = None  # None = the embedded extractor
    color_weight: Weight = 3.75e3  # Eq. 3, lambda_c
    color_size: Side = 256  # Eq. 2
    color_kernel: Count = 13
    color_sigma: Positive = 10
    perceptual_weights_file: str | None = None  # None = the embedded network

    # The run
    seed: Annotated[int, Within(0, 2**31 - 1)] = 0
    tf32: bool = False  # on GPUs: float32 products with 10-bit mantissas, faster
    snapshot_kimg: Positive = 4  # a sample grid, metrics, a snapshot and a resumable state every so many kimg; files
    # are named by whole kimg, of which the last stays
    keep_snapshots: Count = 5  # the newest so many stay
    metrics_pictures: Annotated[int, Within(2, 65536, also=0)] = 64  # training/progress_metrics.py; 0 = none

    @property
    def sketch(self):
        """Eq. 1's part of the configuration, a SketchSpec."""
        return identity_specs(self.__dict__)[0]

    @property
    def color(self):
        """Eq. 2's part of the configuration, a ColorSpec."""
        return identity_specs(self.__dict__)[1]


def identity_specs(values):
    """(SketchSpec, ColorSpec) of a mapping with the keys of a configuration, as a snapshot's card has them; what it
    does not say is the paper's."""
    from losses.color import ColorSpec
    from losses.sketch import SketchSpec

    def spec(kind, prefix):
        names = [field.name for field in dataclasses.fields(kind)]
        return kind(**{name: values[prefix + name] for name in names if prefix + name in values})

    return spec(SketchSpec, "sketch_"), spec(ColorSpec, "color_")


def load_config(path, overrides=()):
    """Read a YAML file into a TrainingConfig; `overrides` are "key=value" strings, in which the text of a key that
    takes text is meant literally (only `null` is None). Raises ConfigError: one line with file, key, value, range."""
    path = Path(path)
    values = read_yaml(path)
    fields = {field.name: field for field in dataclasses.fields(TrainingConfig)}
    for override in overrides:
        key, separator, value = override.partition("=")
        if not separator:
            raise ConfigError(f"--set {override}: write it as key=value")
        literal = value == "null" or key in fields and is_text(fields[key].type)
        values[key] = (None if value == "null" else value) if literal else parsed(value, f"--set {key}")
    for key, value in values.items():
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"{path}: unknown key {key!r}{hint}")
        try:
            values[key] = converted(value, fields[key].type)
        except ValueError as error:
            raise ConfigError(f"{path}: {key} {error}") from error
    if "data" not in values:
        raise ConfigError(f"{path}: data is missing; it names the folder or zip of training pictures")
    config = TrainingConfig(**values)
    for wrong in contradictions(config):
        raise ConfigError(f"{path}: {wrong}")
    return config


def contradictions(config):
    """What in a configuration does not go together; a list of sentences that name the keys."""
    c, found = config, []
    if c.channel_base is not None and c.channel_base < c.resolution:
        found.append(f"channel_base must be at least the resolution, {c.resolution}, got {c.channel_base}")
    if c.color_kernel % 2 == 0 or c.color_kernel // 2 >= c.color_size:
        found.append(f"color_kernel must be odd and less than twice color_size ({c.color_size}), got {c.color_kernel}")
    if c.augment in ("filter", "bgcf", "bgcfn", "bgcfnc") and c.ada_target is not None and c.resolution < 32:
        found.append(f"augment = {c.augment} filters, which needs a resolution of 32 or more, got {c.resolution}")
    if c.g_real:
        for key in ("warm_start_kimg", "reconstruction_weight"):
            if getattr(c, key):
                found.append(f"{key} = {getattr(c, key)} is for plain training; leave out {key} or g_real")
    if c.encoder and (c.g_real or not c.init or not (c.warm_start_kimg or c.reconstruction_weight)):
        found.append("encoder is for plain training from init, beside warm_start_kimg or reconstruction_weight")
    if c.discriminator and not c.g_real:
        found.append("discriminator is for fine-tuning, beside g_real; plain training takes D from init")
    return found


def read_yaml(path, above=()):
    """The keys of a YAML file, those of its `base` first. Raises ConfigError."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such configuration file; the ready ones are in configs/")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from error
    values = parsed(text, path)
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must hold `key: value` lines")
    base = values.pop("base", None)
    if base is None:
        return values
    if not isinstance(base, str) or Path(base).is_absolute():
        raise ConfigError(f"{path}: base must be the path of another configuration, relative to this one, got {base!r}")
    if path.resolve() in above:
        raise ConfigError(f"{path}: base = {base} leads back to itself")
    return read_yaml(path.parent / base, (*above, path.resolve())) | values


def parsed(text, where):
    """What YAML makes of `text`. Raises ConfigError, naming `where` and the line."""
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        lines = text.splitlines()
        at = f"line {mark.line + 1}, {lines[mark.line].strip()!r}: " if mark and mark.line < len(lines) else ""
        raise ConfigError(f"{where}: not valid YAML; {at}{reason} (put such text in quotes)") from error
    except (ValueError, OverflowError, RecursionError) as error:  # dates that are none, numbers without end
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError(f"{where}: not valid YAML; {reason} (put such text in quotes)") from error
