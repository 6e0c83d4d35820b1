"""A weights folder may hold native files or the public ones, under the names they are published by."""

import pytest
import torch

from losses.perceptual import VGGPerceptual, load_perceptual
from postprocess.parsing import load_parser
from stylegan2.checkpoints import load_generator
from weights import DEMO, WeightsError, roles


def put(folder, *names):
    for name in names:
        (folder / name).write_bytes(b"")


@pytest.mark.parametrize(
    "role, public",
    [
        ("g_real", "ffhq.pkl"),
        ("g_real", "stylegan2-ffhq-config-f.pt"),
        ("g_real", "stylegan2-ffhq-1024x1024.pkl"),
        ("perceptual", "vgg16-397923af.pth"),
        ("parser", "79999_iter.pth"),
        ("sketch", "sketch_generator.pkl"),
    ],
)
def test_public_names_are_found_and_native_ones_come_first(tmp_path, role, public):
    put(tmp_path, public, "unrelated.pth", "vgg19-dcbb9e9d.pth")
    assert roles.find(tmp_path, role) == tmp_path / public
    put(tmp_path, f"{role}.safetensors")
    assert roles.find(tmp_path, role) == tmp_path / f"{role}.safetensors"


def test_the_names_of_the_manifest_are_those_looked_for(tmp_path):
    import yaml

    entries = yaml.safe_load((DEMO.parent / "manifest.yaml").read_text())
    put(tmp_path, *(entry["file"] for entry in entries.values()))
    for role in ("g_real", "perceptual", "parser", "sketch"):
        roles.find(tmp_path, role)


def test_a_given_file_or_run_folder_comes_before_the_folder(tmp_path):
    (tmp_path / "run").mkdir()
    put(tmp_path, "g_rendering.safetensors", "run/snapshot.safetensors", "tuned.pt")
    assert roles.find(tmp_path, "g_rendering", tmp_path / "tuned.pt") == tmp_path / "tuned.pt"
    assert roles.find(tmp_path, "g_rendering", str(tmp_path / "run")) == tmp_path / "run/snapshot.safetensors"
    with pytest.raises(WeightsError, match="none.pt: no such .*g_rendering"):
        roles.find(tmp_path, "g_rendering", tmp_path / "none.pt")


def test_without_a_folder_it_is_the_embedded_bundle():
    for role in roles.ROLES:
        assert roles.find(None, role) == DEMO / f"{role}.safetensors"


def test_an_absent_file_says_names_folder_and_remedy(tmp_path):
    with pytest.raises(WeightsError) as error:
        roles.find(tmp_path, "g_rendering")
    message = str(error.value)
    for said in (str(tmp_path), "g_rendering.safetensors", "g_rendering.pkl", "train.py", "--g-rendering"):
        assert said in message
    with pytest.raises(WeightsError, match="vgg16-.*download_weights.py vgg16"):
        roles.find(tmp_path, "perceptual")
    with pytest.raises(WeightsError, match="no such folder"):
        roles.find(tmp_path / "none", "parser")
    (tmp_path / "79999_iter.pth").mkdir()  # a folder is no weight file
    with pytest.raises(WeightsError, match="no file for parser"):
        roles.find(tmp_path, "parser")


def test_a_g_rendering_of_other_widths_is_refused_before_anything_is_done(tiny_bundle, tmp_path):
    from pipeline import load_bundle
    from stylegan2 import Generator, checkpoints

    narrow = Generator(16, 0, 16, 32, 3, {"num_layers": 2}, {"channel_base": 256, "channel_max": 8})
    checkpoints.save(tmp_path / "narrow.safetensors", {"G_ema": narrow})
    with pytest.raises(WeightsError, match="narrow.safetensors: g_rendering has other layers or feature maps"):
        load_bundle(tiny_bundle, g_rendering=tmp_path / "narrow.safetensors")


def test_a_folder_of_public_files_loads(tmp_path, small_generator):
    """What download_weights.py leaves, and a snapshot beside it, become networks."""
    import torchvision

    from postprocess.parsing import BiSeNet
    from scripts.rehearsal import official
    from stylegan2 import checkpoints

    snapshot = {"G_ema": official.Saved(small_generator, small_generator.config)}
    official.write(tmp_path / "ffhq.pkl", snapshot)
    with torch.device("meta"):
        shapes = torchvision.models.vgg16(weights=None).features.state_dict()
    vgg = {f"features.{name}": torch.zeros(t.shape) for name, t in shapes.items()}
    torch.save(vgg | {"classifier.6.bias": torch.zeros(1000)}, tmp_path / "vgg16-397923af.pth")
    torch.save(BiSeNet().state_dict(), tmp_path / "79999_iter.pth")
    checkpoints.save(tmp_path / "snapshot.safetensors", {"G_ema": small_generator})

    g_real = load_generator(roles.find(tmp_path, "g_real"))
    g_rendering = load_generator(roles.find(tmp_path, "g_rendering", tmp_path / "snapshot.safetensors"))
    z = torch.randn(1, 16)
    assert torch.equal(g_real(z, noise_mode="const"), g_rendering(z, noise_mode="const"))
    assert isinstance(load_perceptual(roles.find(tmp_path, "perceptual")), VGGPerceptual)
    assert load_parser(roles.find(tmp_path, "parser")).resolution == 512
