"""Results folders: made once, gone on with, and made anew for other weights, settings or inputs."""

import shutil
from dataclasses import replace

import click
import numpy as np
import pytest
from PIL import Image

from compare.paired.data import Portraits, evenly, read_results
from compare.paired.make import make
from compare.paired.methods import (
    Method,
    ablation_methods,
    framework_methods,
    identity_settings,
)
from compare.systems import read_system
from pipeline import load_bundle
from weights import WeightsError


@pytest.fixture
def portraits():
    return Portraits(["a", "b", "c"], np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8))


class Counted:
    """A method that darkens; it counts the portraits it was given."""

    def __init__(self, file, steps=2):
        file.write_text("weights")
        self.drawn = 0
        self.method = Method("dark", f"darker; {steps} steps", self.draw, {"g_real": file}, steps)

    def draw(self, target, on_step):
        self.drawn += len(target)
        on_step(0, None)
        return target - 0.1


def test_a_folder_is_made_once_and_gone_on_with(tmp_path, portraits):
    counted, folder = Counted(tmp_path / "weights"), tmp_path / "dark"
    system = make(counted.method, folder, portraits, 2, "cpu")
    assert counted.drawn == 3 and system.seconds > 0 and read_system(folder, ["a", "b", "c"])[0] == system
    expected = np.clip(portraits.inputs.astype(float) - 12.75, 0, 255)
    assert np.abs(read_results(folder, portraits.names, 32) - expected).max() <= 0.76
    assert make(counted.method, folder, portraits, 2, "cpu") == system and counted.drawn == 3
    (folder / "b.png").unlink()
    make(counted.method, folder, portraits, 2, "cpu")
    assert counted.drawn == 4


def test_a_changed_weight_setting_or_input_is_noticed(tmp_path, portraits):
    counted, folder = Counted(tmp_path / "weights"), tmp_path / "dark"
    first = make(counted.method, folder, portraits, 2, "cpu")
    (tmp_path / "weights").write_text("other weights")
    second = make(counted.method, folder, portraits, 2, "cpu")
    assert counted.drawn == 6 and second.checkpoint != first.checkpoint
    make(replace(counted.method, source="darker; 3 steps"), folder, portraits, 2, "cpu")
    assert counted.drawn == 9 and read_system(folder, ["a", "b", "c"])[0].source == "darker; 3 steps"
    brighter = portraits.inputs.copy()
    brighter[1] = 255
    make(replace(counted.method, source="darker; 3 steps"), folder, replace(portraits, inputs=brighter), 2, "cpu")
    assert counted.drawn == 10


def test_a_call_that_stops_keeps_its_batches(tmp_path, portraits):
    counted, folder = Counted(tmp_path / "weights"), tmp_path / "dark"

    def failing(target, on_step):
        if counted.drawn == 2:
            raise KeyboardInterrupt
        return counted.draw(target, on_step)

    with pytest.raises(KeyboardInterrupt):
        make(replace(counted.method, draw=failing), folder, portraits, 2, "cpu")
    make(counted.method, folder, portraits, 2, "cpu")
    assert counted.drawn == 3


def test_our_methods_differ(tiny_bundle, portraits, tmp_path):
    bundle = load_bundle(tiny_bundle)
    settings = dict(sketch_size=32, color_size=32, color_kernel=3)
    original = identity_settings(bundle.files["g_rendering"])
    assert original["sketch_weight"] == 5e-6 and original["color_size"] == 256  # the paper's: the file says nothing
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("compare.paired.methods.identity_settings", lambda path: original | settings)
        methods = framework_methods(bundle, 2)
    results = {}
    for method in methods:
        make(method, tmp_path / method.name, portraits, 3, "cpu")
        results[method.name] = read_results(tmp_path / method.name, portraits.names, 32)
    assert list(results) == ["ours", "direct", "guided"]
    assert (results["ours"] != results["direct"]).any() and (results["guided"] != results["direct"]).any()


def test_an_ablation_of_another_generator_is_refused(tiny_bundle, tmp_path):
    bundle = load_bundle(tiny_bundle)
    with pytest.raises(WeightsError, match="holds no full/snapshot.safetensors"):
        ablation_methods(bundle, 2, tmp_path)
    for name in ("full", "no_sketch", "no_color", "no_identity"):
        (tmp_path / name).mkdir()
        shutil.copy(tiny_bundle / "g_real.safetensors", tmp_path / name / "snapshot.safetensors")
    assert [method.name for method in ablation_methods(bundle, 2, tmp_path)][1:] == [
        "no_sketch",
        "no_color",
        "no_identity",
    ]
    shutil.copy(tiny_bundle / "g_rendering.safetensors", tmp_path / "no_color" / "snapshot.safetensors")
    with pytest.raises(WeightsError, match="no_color/snapshot.safetensors: was not fine-tuned from"):
        ablation_methods(bundle, 2, tmp_path)


def test_results_are_named_when_they_cannot_be_used(tmp_path):
    with pytest.raises(click.ClickException, match="b.png: no such picture"):
        read_results(tmp_path, ["b"], 32)
    Image.new("RGB", (40, 30)).save(tmp_path / "b.png")
    with pytest.raises(click.ClickException, match="b.png: 40 x 30; an aligned square"):
        read_results(tmp_path, ["b"], 32)


def test_evenly():
    assert evenly(list("abcde"), 3) == ["a", "c", "e"] and evenly(["a"], None) == ["a"] == evenly(["a"], 5)


def test_the_batch_does_not_matter(tiny_bundle, portraits, tmp_path):
    """Up to rounding, which Adam magnifies where gradients are near zero."""
    ours = framework_methods(load_bundle(tiny_bundle), 2)[0]
    make(ours, tmp_path / "together", portraits, 3, "cpu")
    make(ours, tmp_path / "alone", portraits, 1, "cpu")
    a, b = (read_results(tmp_path / name, portraits.names, 32).astype(int) for name in ("together", "alone"))
    assert np.abs(a - b).mean() < 2
