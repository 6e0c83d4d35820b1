"""Face parsing: BiSeNet against the numbers of the public implementation, and the demo parser on the avatars."""

import json
from pathlib import Path

import golden
import numpy as np
import pytest
import torch
from PIL import Image

import weights
from postprocess.parsing import CLASSES, BiSeNet, load_parser, normalize, parse
from weights import WeightsError

DATA = Path(__file__).resolve().parents[1] / "data/bisenet"
AVATARS = Path(__file__).resolve().parents[2] / "../shared/avatars"


def recipe_f(key, shape):
    """Recipe F of the golden set with c = sqrt(2)."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.long)
    values = golden.n(key, shape)
    if key.endswith("running_mean") or key.endswith(".bias"):
        return 0.1 * values
    if key.endswith("running_var"):
        return 0.5 + values.abs()
    if len(shape) == 4:
        return values * float(np.float32(2**0.5 / np.prod(shape[1:]) ** 0.5))
    return 1 + 0.1 * values


@pytest.fixture(scope="module")
def public():
    keys = json.loads((DATA / "bisenet_keys.json").read_text())
    return {key: recipe_f(key, shape) for key, shape in keys.items()}


def test_keys_and_shapes_are_the_public_ones(public):
    state = BiSeNet().state_dict()
    assert len(state) == 191
    assert {key: value.shape for key, value in state.items()} == {key: value.shape for key, value in public.items()}


def test_all_three_outputs_reproduce_the_golden_numbers(public):
    network = BiSeNet().eval()
    network.load_state_dict(public)
    with np.load(DATA / "bisenet_128_small.npz") as file:
        expected = {key: torch.from_numpy(file[key]) for key in file.files}
    x = normalize(expected["image_u8"].float() / 127.5 - 1)
    with torch.no_grad():
        outputs = network(x)
    for name, output, limit in zip(("out", "out16", "out32"), outputs, (6.1e-4, 4.3e-4, 3.5e-4), strict=True):
        golden.assert_close(output[:, :, ::4, ::4], expected[f"{name}_stride4"], absolute=limit)
        assert torch.equal(output.argmax(1), expected[name.replace("out", "label")].long())


def test_public_file_is_read_without_executing_it(tmp_path, public):
    torch.save(public, tmp_path / "79999_iter.pth")
    parser = load_parser(tmp_path / "79999_iter.pth")
    assert parser.resolution == 512 and not parser.training
    assert torch.equal(parser.ffm.conv1.weight, public["ffm.conv1.weight"])
    torch.save(torch.nn.Linear(1, 1), tmp_path / "code.pth")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    for name in ("code.pth", "other.pth", "missing.pth", "missing.safetensors"):
        with pytest.raises(WeightsError, match=name):
            load_parser(tmp_path / name)


def test_native_file_keeps_width_and_resolution(tmp_path):
    network = BiSeNet(width=4, resolution=64)
    weights.save(tmp_path / "p.safetensors", network.state_dict(), kind="parser", config=network.config)
    assert load_parser(tmp_path / "p.safetensors").config == {"n_classes": 19, "width": 4, "resolution": 64}


class Echo(torch.nn.Module):
    """A parser whose class 0 / 17 logits follow the red channel, so that parse's own work can be checked."""

    resolution = 32

    def forward(self, x, size):
        self.seen = x
        logits = torch.zeros(len(x), 19, *size)
        logits[:, 17] = torch.nn.functional.interpolate(x, size=size, mode="bilinear")[:, 0]
        return logits, None, None


def test_parse_resizes_normalises_and_labels_at_the_pictures_own_size():
    image = torch.full([2, 3, 48, 80], -1.0)
    image[0, :, :, 40:] = 1
    parser = Echo()
    labels = parse(parser, image)
    assert labels.dtype == torch.int64 and labels.shape == (2, 48, 80)
    assert (labels[0, :, 41:] == CLASSES.index("hair")).all() and (labels[0, :, :38] == 0).all()
    assert (labels[1] == 0).all()
    assert parser.seen.shape == (2, 3, 32, 32)
    white = torch.tensor([(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225])
    assert torch.allclose(parser.seen[0, :, 0, -1], white, atol=1e-5)


@pytest.mark.parametrize("style", ["rendered", "real"])
def test_demo_parser_finds_face_and_hair_of_people_it_never_saw(style):
    if not (AVATARS / "matched").is_dir():
        pytest.skip("the avatars lie in the shared folder, which is not here")
    stems = sorted(path.stem for path in (AVATARS / "matched").iterdir())[5:29:3]
    images = np.stack([np.asarray(Image.open(AVATARS / style / f"{stem}.jpg")) for stem in stems])
    truth = np.stack([np.asarray(Image.open(AVATARS / "parsing" / f"{stem}.png")) for stem in stems])
    found = parse(load_parser(), torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1).numpy()
    for name, least in (("skin", 0.85), ("hair", 0.8), ("nose", 0.75), ("l_eye", 0.35), ("r_brow", 0.3)):
        index = CLASSES.index(name)
        iou = ((found == index) & (truth == index)).sum() / ((found == index) | (truth == index)).sum()
        assert iou > least, f"{style} {name}: {iou:.3f}"
