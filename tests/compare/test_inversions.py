"""A folder through a method: the results, whose latents and whose pictures, what a rerun does, and bad pictures."""

import json

import click
import numpy as np
import pytest
import torch
from PIL import Image

from compare.inversions import METHODS, Inverter, aligned_pictures, invert_folder, read_aligned
from compare.systems import read_system
from inversion.encoder import Encoder
from losses.perceptual import PerceptualNetwork
from stylegan2 import Generator


@pytest.fixture(scope="module")
def networks():
    """Two generators of 32x32 with the same mapping, a perceptual network and two encoders."""
    torch.manual_seed(2)
    make = lambda: Generator(16, 0, 128, 32, 3, {"num_layers": 1}, {"channel_base": 128, "channel_max": 8})  # noqa: E731
    rendering, real = make(), make()
    real.mapping.load_state_dict(rendering.mapping.state_dict())
    for generator in (rendering, real):
        for name, parameter in generator.named_parameters():
            if name.endswith("noise_strength"):
                parameter.data.fill_(0.3)
    perceptual = PerceptualNetwork([4, 4], [1, 1])
    encoders = {"psp": Encoder(8, 16), "e4e": Encoder(8, 16, cumulative=True), "restyle": Encoder(8, 16, True)}
    everything = [rendering, real, perceptual, *encoders.values()]
    for network in everything:
        network.eval().requires_grad_(False)
    return rendering, real, perceptual, encoders


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "faces"
    folder.mkdir()
    for index, name in enumerate(("b", "a")):
        pixels = np.random.default_rng(index).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def run(networks, folder, out, method="image2stylegan", steps=2, draw=None, checkpoint=None):
    rendering, real, perceptual, encoders = networks
    checkpoint = checkpoint or {"generator": "0" * 64}
    network = encoders.get(method, perceptual)
    return invert_folder(Inverter(method, rendering, network, checkpoint, steps, draw), aligned_pictures(folder), out)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_leaves_the_common_form(networks, folder, tmp_path, method):
    steps = 2 if METHODS[method].steps > 1 else 1
    entries = run(networks, folder, tmp_path / "out", method, steps)
    system, found = read_system(tmp_path / "out", [path for path, _ in aligned_pictures(folder)])
    assert list(found) == ["a", "b"] and system.system == method and system.checkpoint == {"generator": "0" * 64}
    assert system.seconds == pytest.approx(np.mean([entry["seconds"] for entry in entries])) and system.source
    result, again = (read_aligned(path) for path in (found["a"], found["a"].parent / "reconstructions" / "a.png"))
    assert result.shape == again.shape == (32, 32, 3)
    # only the optimisation of Eq. 4 has noise of its own, which the result must not use
    assert np.array_equal(result, again) == (not method.startswith("latent_optimization"))


def test_methods_differ_as_their_names_say(networks):
    rendering, _, perceptual, encoders = networks
    with torch.no_grad():  # a target that is reached at once
        x = rendering.synthesis(rendering.mapping(torch.zeros([1, 16])), noise_mode="const")
    found = {
        name: method.invert(rendering, x, encoders.get(name, perceptual), steps=min(method.steps, 3), on_step=None)
        for name, method in METHODS.items()
    }
    spread = {name: float(inversion.w_plus.std(1).max()) for name, inversion in found.items()}
    assert spread["latent_optimization_w"] == spread["pivotal_tuning"] == 0 < spread["latent_optimization"]
    tuned = {name for name, inversion in found.items() if inversion.generators}
    assert tuned == {"pivotal_tuning", "tuned_optimization"}
    assert len(found["restyle"].history) == 3 and len(found["psp"].history) == 1
    assert len(found["pivotal_tuning"].history) == 3  # no early end by a threshold of another network


def test_another_generator_draws_the_same_latents(networks, folder, tmp_path):
    rendering, real, perceptual, _ = networks
    run(networks, folder, tmp_path / "out", draw=real)
    x = torch.from_numpy(read_aligned(folder / "a.png", 32)).permute(2, 0, 1)[None].float() / 127.5 - 1
    inversion = METHODS["image2stylegan"].invert(rendering, x, perceptual, steps=2)
    with torch.no_grad():
        drawn = real.synthesis(inversion.w_plus, noise_mode="const")
    for file, image in (("a.png", drawn), ("reconstructions/a.png", inversion.image)):
        expected = ((image[0] + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
        assert np.abs(read_aligned(tmp_path / "out" / file).astype(int) - expected).max() <= 1


def test_rerun_makes_only_what_is_missing_or_changed(networks, folder, tmp_path):
    out = tmp_path / "out"
    run(networks, folder, out)
    stamp = {name: (out / f"{name}.png").stat().st_mtime_ns for name in "ab"}

    def changed(**settings):
        run(networks, folder, out, **settings)
        before, stamp_now = dict(stamp), {name: (out / f"{name}.png").stat().st_mtime_ns for name in "ab"}
        stamp.update(stamp_now)
        return [name for name in "ab" if stamp_now[name] != before[name]]

    assert changed() == []
    (out / "reconstructions" / "b.png").unlink()
    assert changed() == ["b"]
    Image.open(folder / "a.png").rotate(90).save(folder / "a.png")
    assert changed() == ["a"]
    assert changed(steps=3) == ["a", "b"]
    assert changed(steps=3, checkpoint={"generator": "1" * 64}) == ["a", "b"]
    assert len(json.loads((out / "report.json").read_text())["pictures"]) == 2


def test_fewer_pictures_keep_the_others_only_with_the_same_settings(networks, folder, tmp_path):
    rendering, _, perceptual, _ = networks
    out, pictures = tmp_path / "out", aligned_pictures(folder)

    def some(pictures, steps):
        invert_folder(Inverter("image2stylegan", rendering, perceptual, {}, steps), pictures, out)
        return sorted(path.name for path in out.glob("*.png"))

    some(pictures, 1)
    (out / "a.png").unlink()
    assert some(pictures[:1], 1) == ["a.png", "b.png"]
    assert len(json.loads((out / "report.json").read_text())["pictures"]) == 2
    assert some(pictures[:1], 2) == ["a.png"]


def test_stopped_run_goes_on(networks, folder, tmp_path, monkeypatch):
    """A run that ends in the middle, then one that ends at once, then the rest: nothing is made twice."""
    import compare.inversions as module

    made, out = [], tmp_path / "out"
    real_invert = module._invert

    def stopping(method, path, *rest):
        if stop_at and path.stem == stop_at[0]:
            raise KeyboardInterrupt
        made.append(path.stem)
        return real_invert(method, path, *rest)

    monkeypatch.setattr(module, "_invert", stopping)
    stop_at = ["b"]
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(networks, folder, out)
    stop_at.clear()
    run(networks, folder, out)
    assert made == ["a", "b"]


def test_bad_pictures_are_named_and_the_rest_is_done(networks, folder, tmp_path):
    (folder / "0.png").write_bytes(b"no picture")
    Image.new("RGB", (64, 80)).save(folder / "c.png")
    entries = run(networks, folder, tmp_path / "out")
    errors = {entry["output"]: entry["error"] for entry in entries if "error" in entry}
    assert errors.keys() == {"0", "c"} and "64 x 80" in errors["c"]
    assert all(str(folder) in message and "; " in message and "\n" not in message for message in errors.values())
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["a.png", "b.png"]


def test_folder_of_nothing_or_of_two_alike(folder, tmp_path):
    with pytest.raises(click.ClickException, match="gone: no such folder; "):
        aligned_pictures(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(click.ClickException, match="empty: holds no pictures"):
        aligned_pictures(tmp_path / "empty")
    Image.new("RGB", (64, 64)).save(folder / "a.jpg")
    with pytest.raises(click.ClickException, match="a.jpg: its results cannot have its name"):
        aligned_pictures(folder)
    (folder / "a.jpg").rename(folder / "sheet.jpg")
    with pytest.raises(click.ClickException, match="sheet.jpg: its results cannot have its name"):
        aligned_pictures(folder)


def test_reduction_is_by_means_of_blocks(folder):
    pixels = read_aligned(folder / "a.png")
    blocks = pixels.reshape(16, 4, 16, 4, 3).mean((1, 3))
    assert np.abs(read_aligned(folder / "a.png", 16) - blocks).max() <= 0.51


def test_inputs_are_not_written_over(networks, folder):
    with pytest.raises(click.ClickException, match="lies where results are written"):
        run(networks, folder, folder)
    below = folder.rename(folder.parent / "reconstructions")
    with pytest.raises(click.ClickException, match="lies where results are written"):
        run(networks, below, below.parent)
    assert len(list(below.iterdir())) == 2
