"""Configurations: what a file may say, and that whatever it says wrongly ends in one line naming key and value."""

import dataclasses
import math
import string
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training.augment import PIPELINES
from training.config import ConfigError, TrainingConfig, load_config
from training.loop import train
from training.ranges import converted, is_text
from training.snapshots import write_config

FIELDS = {field.name: field for field in dataclasses.fields(TrainingConfig)}
ROOT = Path(__file__).resolve().parents[2]


def test_config_file(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("data: x\nsketch_weight: 5e-6\nbatch: 8\n")
    config = load_config(path, ["kimg=2"])
    assert (config.sketch_weight, config.batch, config.kimg, config.r1_gamma) == (5e-6, 8, 2.0, 10)
    wrong = {
        "dat: x": "did you mean data",
        "data: x\nbatch: many": "batch must be int from 1 to 65536, got 'many'",
        "data: x\n1: 2": "unknown key 1",
        "data: x\nmetrics_pictures: 1": "metrics_pictures must be int 0 or from 2 to 65536, got 1",
        "data: x\nbatch: true": "batch must be int .* got True",
        "data: x\nresolution: 100": "resolution must be int one of 8, 16, .* got 100",
        "data: x\naugment: bcg": "augment must be str one of blit, .* got 'bcg'",
        "data: 007": "data must be text .*quotes.*, got 7",
        "data: 2024-13-45": "not valid YAML; month must be in 1..12",
        "data: @x": "line 1, 'data: @x'.*quotes",
        "- 1": "key: value",
        "{": "not valid YAML",
        "batch: 2": "data is missing",
        "data: x\ncolor_kernel: 6": "color_kernel must be odd",
        "data: x\nresolution: 64\nchannel_base: 32": "channel_base must be at least the resolution, 64, got 32",
        "data: x\nresolution: 16\naugment: bgcf": "augment = bgcf filters.* resolution of 32",
        "data: x\ng_real: y\nwarm_start_kimg: 1": "warm_start_kimg = 1.0 is for plain training",
        "data: x\ndiscriminator: y": "discriminator is for fine-tuning",
        "data: x\nencoder: y\nreconstruction_weight: 1": "encoder is for plain training from init",
        "data: x\nencoder: y\ninit: z": "encoder is for plain training from init",
        "data: x\nencoder: y\ng_real: z": "encoder is for plain training from init",
    }
    for text, message in wrong.items():
        path.write_text(text)
        with pytest.raises(ConfigError, match=message) as caught:
            load_config(path)
        assert len(str(caught.value).splitlines()) == 1


def test_fine_tuning_may_start_from_another_checkpoint(tmp_path):
    (tmp_path / "x.yaml").write_text("data: x\ng_real: y\ninit: z")
    assert load_config(tmp_path / "x.yaml").init == "z"


def test_all_configs_load():
    configs = sorted((ROOT / "configs").glob("*.yaml"))
    assert configs
    for path in configs:
        load_config(path)


def test_a_base_gives_the_keys_that_a_file_does_not(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "base.yaml").write_text("data: x\nbatch: 8\nkimg: 3\n")
    path = tmp_path / "sub/run.yaml"
    path.write_text("base: ../base.yaml\nkimg: 5\n")
    config = load_config(path, ["batch=16"])
    assert (config.data, config.batch, config.kimg) == ("x", 16, 5)
    for text, message in {
        "base: other.yaml": "other.yaml: no such configuration",
        "base: run.yaml": "run.yaml: base = run.yaml leads back to itself",
        "base: /etc/passwd": "base must be .* relative",
        "base: [1]": "base must be",
    }.items():
        path.write_text(text)
        with pytest.raises(ConfigError, match=message):
            load_config(path)


@pytest.mark.parametrize("folder", ["photos #2", "@photos", "[a] b", "a: b", "~", "007", "null and void", "x=y", "'q'"])
def test_text_after_set_is_meant_literally(tmp_path, folder):
    path = tmp_path / "run.yaml"
    path.write_text("data: x\n")
    config = load_config(path, [f"data={folder}", f"exclude={folder}", "w_plus=null"])
    assert config.data == config.exclude == folder and config.w_plus is None
    write_config(config, tmp_path / "out")
    assert load_config(tmp_path / "out/config.yaml") == config


def test_pipelines_are_those_of_the_augmentation():
    for name in PIPELINES:
        assert converted(name, FIELDS["augment"].type) == name


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-3, 70),
    st.floats(),
    st.floats(-2, 2),
    st.text(max_size=12),
    st.text(string.printable, max_size=12),
    st.sampled_from(["sum", "mean", "bgcf", ".inf", "1e400", "nan", "0", "-1", "[", "@x", "#", "{}", "yes", "1:30"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(key=st.sampled_from(sorted(FIELDS)), value=anything, in_file=st.booleans())
def test_every_value_of_every_key_is_taken_or_refused_by_name(tmp_path, key, value, in_file):
    """Taken: it is of the key's type, finite, within its range, and survives being written. Refused: in one line."""
    path = tmp_path / "run.yaml"
    if in_file:
        path.write_text(yaml.safe_dump({"data": "x"} | {key: value}), encoding="utf-8")
        overrides = []
    else:
        path.write_text("data: x\n")
        overrides = [f"{key}={value}"]
    try:
        config = load_config(path, overrides)
    except ConfigError as error:
        assert key in str(error) and len(str(error).splitlines()) == 1, str(error)
        return
    taken = getattr(config, key)
    assert converted(taken, FIELDS[key].type) == taken
    if isinstance(taken, float):
        assert math.isfinite(taken)
    if is_text(FIELDS[key].type) and taken is not None:
        assert taken == str(value)
    write_config(config, tmp_path / "out")
    assert load_config(tmp_path / "out/config.yaml") == config


@pytest.mark.slow
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    changes=st.fixed_dictionaries(
        {},
        optional={
            "resolution": st.sampled_from([8, 16]),
            "batch": st.integers(1, 9),
            "batch_gpu": st.integers(1, 9),
            "pl_batch_shrink": st.integers(1, 9),
            "pl_interval": st.integers(1, 3),
            "pl_weight": st.sampled_from([0.0, 2.0]),
            "r1_interval": st.integers(1, 3),
            "style_mixing": st.floats(0, 1),
            "lr_rampdown": st.floats(0, 1),
            "ema_kimg": st.floats(0, 1),
            "ema_rampup": st.floats(0, 1),
            "ada_target": st.floats(-1, 1) | st.none(),
            "ada_kimg": st.floats(1e-6, 1),
            "augment": st.sampled_from(sorted(PIPELINES)),
            "conv_clamp": st.floats(1e-3, 300) | st.none(),
            "num_fp16_res": st.integers(0, 10),
            "snapshot_kimg": st.floats(1e-4, 1),
            "keep_snapshots": st.integers(1, 3),
            "mapping_layers": st.integers(1, 3),
            "channel_base": st.integers(8, 64),
            "channel_max": st.integers(1, 8),
            "seed": st.integers(0, 2**31 - 1),
            "mirror": st.booleans(),
            "metrics_pictures": st.sampled_from([0, 2]),
            "reconstruction_weight": st.sampled_from([0.0, 1.0]),
            "lr": st.floats(1e-9, 1e9),
        },
    )
)
def test_a_configuration_that_is_taken_trains_or_is_refused_in_a_line(pictures, tmp_path_factory, changes):
    """Two steps. A run may end because its settings diverge (an enormous learning rate), in no other way."""
    tiny = (
        dict(
            resolution=16,
            z_dim=8,
            w_dim=8,
            mapping_layers=1,
            channel_base=64,
            channel_max=8,
            num_fp16_res=0,
            batch=4,
            metrics_pictures=0,
            kimg=0.008,
        )
        | changes
    )
    out = tmp_path_factory.mktemp("run")
    (out / "run.yaml").write_text(yaml.safe_dump({"data": str(pictures)} | tiny))
    try:
        train(load_config(out / "run.yaml"), out, progress=False)
    except (ConfigError, ValueError) as error:
        assert len(str(error).splitlines()) == 1 and any(key in str(error) for key in tiny), str(error)
    except FloatingPointError:
        assert "lr" in changes
