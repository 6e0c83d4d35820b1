"""The encoder that says where Eq. 4 starts: what it gives, who uses it, and files that do not fit."""

import shutil

import numpy as np
import pytest
import torch

import inversion
import pipeline
import weights
from alignment import Found, as_picture, crop_face, write_png
from alignment.tensors import to_tensor
from inversion.common import starting_latents
from inversion.start import KIND, StartEncoder, latent_space, load_start
from jobs.folder import Options, run
from pipeline import PRESETS, load_bundle
from pipeline.bundle import START
from pipeline.presets import chosen
from stylegan2 import checkpoints

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


def kept(folder, settings=SETTINGS, size=16, card=None, scale=1, **claimed):
    """Keep an encoder of other settings, or of other claims, in the folder."""
    encoder = StartEncoder(folder_ws(folder), 16, size, settings, extra=claimed.get("extra", 0))
    tensors = {name: scale * tensor for name, tensor in encoder.state_dict().items()}
    weights.save(folder / START, tensors, kind=KIND, config=encoder.config | claimed, card=card)


def folder_ws(folder):
    return checkpoints.load_generator(folder / "g_rendering.safetensors").num_ws


@pytest.mark.parametrize(
    "other",
    [
        {"extra": 3},  # outputs that are not of w+
        {"settings": SETTINGS | {"c_dim": 2}},  # asks for a label
        {"settings": SETTINGS | {"img_channels": 1}},
        {"settings": SETTINGS | {"conv_clamp": "low"}},  # would fail at the first picture
        {"size": 64},  # the picture would be enlarged for it: of a huge size to no end
    ],
)
def test_an_encoder_that_cannot_read_a_portrait_is_refused_before_there_is_one(folder, other):
    built = {key: value for key, value in other.items() if "conv_clamp" not in str(value)}
    kept(folder, **built | {key: value for key, value in other.items() if key not in built})
    with pytest.raises(weights.WeightsError, match="start.safetensors: .*description.*; or remove it: the inversion"):
        load_bundle(folder)


def test_the_encoder_of_another_latent_space_is_refused(folder):
    G = checkpoints.load_generator(folder / "g_rendering.safetensors")
    kept(folder, card={"latent_space": latent_space(G)})
    assert load_bundle(folder).start is not None
    with torch.no_grad():
        G.synthesis.b4.const.add_(1)  # fine-tuning leaves W+ what it is
        kept(folder, card={"latent_space": latent_space(G)})
        assert load_bundle(folder).start is not None
        G.mapping.w_avg.add_(0.1)
    for card in (
        {"latent_space": latent_space(G)},
        {"trained_for": weights.sha256(folder / "g_rendering.safetensors")},
    ):
        kept(folder, card=card)
        with pytest.raises(weights.WeightsError, match="start.safetensors: reads off the w.* of another .*remove it"):
            load_bundle(folder)


def test_an_encoder_that_gives_no_numbers_is_named(folder):
    kept(folder, scale=1e12)
    bundle = load_bundle(folder)
    with pytest.raises(pipeline.NotFinite, match="start.safetensors: gives w.* not finite; .*remove it"):
        bundle.begin(torch.rand(1, 3, 32, 32), PRESETS["fast"].schedule)


def test_a_face_that_comes_later_in_a_sequence_starts_where_the_encoder_says(folder):
    bundle, x = load_bundle(folder), torch.rand(2, 3, 32, 32)
    known = torch.zeros(bundle.g_rendering.num_ws, bundle.g_rendering.w_dim)
    start, schedule = bundle.begin(x, PRESETS["fast"].schedule, [known, None])
    assert torch.equal(start[0], known) and schedule.lr == 0.04
    torch.testing.assert_close(start[1:], bundle.start.w_plus(x[1:], bundle.g_rendering))
    start, schedule = bundle.begin(x, PRESETS["paper"].schedule, [known, None])  # which does not ask it
    assert torch.equal(start[0], known) and schedule == PRESETS["paper"].schedule
    assert torch.equal(start[1:], starting_latents(bundle.g_rendering, 1))


@pytest.mark.parametrize("preset, init, inverted_anew", [("paper", False, 0), ("fast", True, 0), ("fast", False, 1)])
def test_only_what_the_encoder_began_is_inverted_anew_without_it(folder, preset, init, inverted_anew, monkeypatch):
    calls, invert = [], inversion.invert
    monkeypatch.setattr(inversion, "invert", lambda *given, **named: calls.append(1) or invert(*given, **named))
    picture, latents, out = folder / "picture.png", folder / "w.npz", folder / "out"
    write_png(picture, np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8))
    np.savez(latents, w_plus=np.zeros((1, folder_ws(folder), 16), np.float32))
    quad = np.array([[8, 8], [8, 40], [40, 40], [40, 8]], float)
    options = Options(chosen(preset, 1), preset, given=lambda path: {"quad": quad}, init=latents if init else None)
    assert run([(picture, "picture")], out, load_bundle(folder), options, workers=0).exit_code == 0
    (folder / START).unlink()
    assert run([(picture, "picture")], out, load_bundle(folder), options, workers=0).exit_code == 0
    assert len(calls) == 1 + inverted_anew


def test_it_takes_pictures_of_any_size_and_is_kept_as_it_was(tmp_path):
    G = type("G", (), {"num_ws": 4, "w_dim": 6, "img_resolution": 16})
    encoder = StartEncoder(4, 6, 16, SETTINGS)
    weights.save(tmp_path / "start.safetensors", encoder.state_dict(), kind=KIND, config=encoder.config)
    same = load_start(tmp_path / "start.safetensors", G)
    for side in (8, 16, 64):
        x = torch.rand(2, 3, side, side) * 2 - 1
        assert same(x).shape == (2, 4, 6) and torch.equal(same(x), encoder(x))
    x = torch.rand(2, 3, 16, 16).repeat_interleave(4, 2).repeat_interleave(4, 3)
    torch.testing.assert_close(encoder(x), encoder(x[..., ::4, ::4]))  # a larger picture is averaged
