"""The encoder that says where Eq. 4 starts: what it gives, who uses it, and files that do not fit."""

import copy
import shutil

import numpy as np
import pytest
import torch

import pipeline
import weights
from alignment import Found, as_picture, crop_face
from alignment.tensors import to_tensor
from inversion.start import KIND, StartEncoder, load_start
from pipeline import PRESETS, load_bundle
from pipeline.bundle import START
from scripts.demo.train_start import follow, new_encoder, reconstruction_error
from stylegan2 import Discriminator, checkpoints

SETTINGS = {"channel_base": 128, "channel_max": 8}


@pytest.fixture
def folder(tiny_bundle, tmp_path):
    """The tiny bundle with an encoder whose shifts are not zero."""
    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    torch.manual_seed(2)
    G = checkpoints.load_generator(tiny_bundle / "g_rendering.safetensors")
    encoder = StartEncoder(G.num_ws, G.w_dim, 16, SETTINGS)
    weights.save(tmp_path / "bundle" / START, encoder.state_dict(), kind=KIND, config=encoder.config)
    return tmp_path / "bundle"


def begun(bundle, preset, monkeypatch, start=None):
    """(the `start` that invert_faces hands to the inversion of a picture, the picture's crop)."""
    given = {}

    def invert(generator, target, perceptual, schedule, *, start, on_step):
        given.update(start=start, lr=schedule.lr)
        raise StopIteration

    monkeypatch.setattr("inversion.invert", invert)
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    whole = np.array([[0, 0], [0, 32], [32, 32], [32, 0]]) - 0.5
    with pytest.raises(StopIteration):
        pipeline.invert_faces(as_picture(pixels), [Found(0, None, whole)], bundle, PRESETS[preset].schedule, start)
    assert given["lr"] == (0.1 if start is not None or given["start"] is None else 0.04)
    return given["start"], to_tensor(crop_face(pixels, whole, bundle.size)[None], "cpu")


def test_the_default_starts_where_the_encoder_says_and_the_paper_does_not(folder, monkeypatch):
    bundle = load_bundle(folder)
    assert bundle.files["start"] == folder / START  # in the fingerprints of what was inverted
    start, x = begun(bundle, "fast", monkeypatch)
    torch.testing.assert_close(start, bundle.g_rendering.mapping.w_avg + bundle.start(x))
    assert (start - bundle.g_rendering.mapping.w_avg).abs().mean() > 0.01
    for preset in ("paper", "best"):
        assert begun(bundle, preset, monkeypatch)[0] is None
    own = torch.zeros(1, bundle.g_rendering.num_ws, bundle.g_rendering.w_dim)
    assert begun(bundle, "fast", monkeypatch, own)[0] is own


def test_another_g_rendering_starts_at_the_mean(folder, tiny_bundle, monkeypatch):
    for bundle in (load_bundle(folder, g_rendering=folder / "g_rendering.safetensors"), load_bundle(tiny_bundle)):
        assert bundle.start is None and "start" not in bundle.files
        assert begun(bundle, "fast", monkeypatch)[0] is None


def test_an_encoder_of_other_latents_is_refused(folder):
    G = checkpoints.load_generator(folder / "g_rendering.safetensors")
    encoder = StartEncoder(G.num_ws, G.w_dim + 1, 16, SETTINGS)
    weights.save(folder / START, encoder.state_dict(), kind=KIND, config=encoder.config)
    with pytest.raises(weights.WeightsError, match="start.safetensors: gives w\\+ of .*17.*or remove it"):
        load_bundle(folder)


def test_it_takes_pictures_of_any_size_and_is_kept_as_it_was(tmp_path):
    G = type("G", (), {"num_ws": 4, "w_dim": 6})
    encoder = StartEncoder(4, 6, 16, SETTINGS)
    weights.save(tmp_path / "start.safetensors", encoder.state_dict(), kind=KIND, config=encoder.config)
    same = load_start(tmp_path / "start.safetensors", G)
    for side in (8, 16, 64):
        x = torch.rand(2, 3, side, side) * 2 - 1
        assert same(x).shape == (2, 4, 6) and torch.equal(same(x), encoder(x))
    x = torch.rand(2, 3, 16, 16).repeat_interleave(4, 2).repeat_interleave(4, 3)
    torch.testing.assert_close(encoder(x), encoder(x[..., ::4, ::4]))  # a larger picture is averaged


def test_training_it_brings_its_drawings_nearer(tiny_bundle):
    from losses.perceptual import load_perceptual

    torch.manual_seed(3)
    pair = [checkpoints.load_generator(tiny_bundle / f"{name}.safetensors") for name in ("g_rendering", "g_real")]
    pair[1].mapping.load_state_dict(pair[0].mapping.state_dict())
    perceptual = load_perceptual(tiny_bundle / "perceptual.safetensors")
    with torch.no_grad():
        pictures = [G(torch.randn(4, 16), noise_mode="const") for G in pair]
    encoder = new_encoder(pair[0], Discriminator(0, 32, 3, **SETTINGS), None)
    average, optimizer = copy.deepcopy(encoder), torch.optim.Adam(encoder.parameters(), lr=3e-3)
    errors = []
    for _ in range(40):
        loss = reconstruction_error(encoder, pair, perceptual, pictures)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        follow(average, encoder, 0.5)
        errors.append(loss.item())
    assert errors[-1] < 0.7 * errors[0]
    assert reconstruction_error(average, pair, perceptual, pictures) < 0.8 * errors[0]
