"""The commands that train parser, sketch extractor and perceptual network, for two steps on a handful of pictures: what
they leave is what the pipeline loads, and says what it was made from."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import weights
from losses.perceptual import load_perceptual
from postprocess.parsing import load_parser, parse
from scripts.demo import train_parser, train_perceptual, train_sketch
from sketch.checkpoints import load_sketch_extractor

SIZE = 128


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Eight people of the avatars' layout, two of them held out: coloured ovals with eyes, hair and labels."""
    folder, random = tmp_path_factory.mktemp("people"), np.random.default_rng(0)
    y, x = np.mgrid[:SIZE, :SIZE]
    lines = []
    for look in ("rendered", "real", "parsing", "matched"):
        (folder / look).mkdir()
    for number in range(8):
        name, hair, skin, colours = (
            f"{number:06d}",
            "ab"[number % 2],
            random.integers(60, 220, 3),
            random.integers(0, 255, 3),
        )
        labels = np.zeros([SIZE, SIZE], np.uint8)
        labels[(x - 64) ** 2 + (y - 50) ** 2 < 40**2] = 17
        labels[(x - 64) ** 2 / 30**2 + (y - 64) ** 2 / 40**2 < 1] = 1
        labels[52:58, 46:56], labels[52:58, 72:82] = 4, 5
        Image.fromarray(labels).save(folder / "parsing" / f"{name}.png")
        for look in ("rendered", "real"):
            pixels = np.where(labels[..., None] == 17, colours, np.where(labels[..., None] > 0, skin, 200))
            pixels = pixels + random.normal(0, 12, pixels.shape) - 40 * (labels[..., None] > 1)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / look / f"{name}.jpg")
        if number > 5:
            (folder / "matched" / f"{name}.jpg").write_bytes((folder / "real" / f"{name}.jpg").read_bytes())
        numbers = {
            key: float(random.normal()) for key in ("yaw", "tilt", "pitch", "age", "gender", "weight", "beard", "grey")
        }
        hexes = {key: bytes(skin.astype(np.uint8)).hex() for key in ("skin", "lip", "hair_colour")}
        lines.append(
            {"id": name, "hair": hair, "targets": {"nose": float(random.normal())}, "brow_width": 1.0} | numbers | hexes
        )
    lines[0]["brow_width"] = 2.0  # a number that never differs says nothing
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def trained(command, people, out, *options):
    """The file that two steps leave."""
    file = out / "network.safetensors"
    options = ["--data", people, "--out", file, "--sheet", out / "sheet.png", "--steps", 2, "--batch", 2, *options]
    threads = torch.get_num_threads()
    result = CliRunner().invoke(command, [str(option) for option in options])
    torch.set_num_threads(threads)
    assert result.exit_code == 0, result.output
    assert " pictures, rendered and real" in weights.card(file)["data"] and Image.open(out / "sheet.png").width > SIZE
    return file


def test_parser(people, tmp_path):
    size = ("--width", 4, "--resolution", 64)
    parser = load_parser(trained(train_parser.main, people, tmp_path, *size, "--things", 1.0))
    assert parse(parser, torch.zeros(1, 3, 32, 32)).shape == (1, 32, 32)
    alone = weights.card(tmp_path / "network.safetensors")
    result = trained(train_parser.main, people, tmp_path, *size, "--things", 0, "--also", people)
    assert weights.card(result)["command"] != alone["command"] and "24 pictures" in weights.card(result)["data"]


def test_sketch_extractor(people, tmp_path):
    extractor = load_sketch_extractor(trained(train_sketch.main, people, tmp_path, "--ngf", 2, "--blocks", 1))
    assert extractor(torch.zeros(1, 3, 64, 64)).shape[2:] == (64, 64)


def test_perceptual_network(people, tmp_path, monkeypatch):
    monkeypatch.setattr(train_perceptual, "PAIRS", (24, 24))
    network = load_perceptual(trained(train_perceptual.main, people, tmp_path))
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    assert (network(x, x) == 0).all() and (network(x, -x) > 0).all()
