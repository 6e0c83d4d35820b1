"""The two commands for inversion methods, end to end on tiny networks."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from inversion.encoder import Encoder
from scripts import run_system
from scripts.paper import ablation_inversion
from stylegan2 import Generator
from stylegan2.checkpoints.rosinality import save_rosinality


@pytest.fixture
def faces(tmp_path, samples):
    folder = tmp_path / "faces"
    folder.mkdir()
    with Image.open(samples / "avatar05_portrait.png") as image:
        for name, size in (("a", 64), ("b", 96), ("c", 64)):
            image.convert("RGB").resize((size, size)).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def encoder_file(tmp_path_factory):
    """A pSp file for a 32x32 generator with w_dim 128."""
    torch.manual_seed(4)
    path = tmp_path_factory.mktemp("encoder") / "psp.pt"
    small = {"channel_base": 128, "channel_max": 8}
    save_rosinality(path, Generator(128, 0, 128, 32, 3, {"num_layers": 1}, small).requires_grad_(False))
    content = torch.load(path, weights_only=True)
    state = {f"decoder.{name}": tensor for name, tensor in content["g_ema"].items()}
    state |= {f"encoder.{name}": tensor for name, tensor in Encoder(8, 16).state_dict().items()}
    opts = {"encoder_type": "GradualStyleEncoder", "start_from_latent_avg": True}
    torch.save({"state_dict": state, "latent_avg": content["latent_avg"], "opts": opts}, path)
    return path


def call(command, *arguments):
    return CliRunner().invoke(command, [*map(str, arguments), "--device", "cpu"])


def system(bundle, faces, out, *more, method="image2stylegan"):
    own = ["--generator", bundle / "g_real.safetensors", "--perceptual", bundle / "perceptual.safetensors"]
    return call(run_system.main, method, faces, "-o", out, "--steps", 2, *own, *more)


def test_run_system(faces, tiny_bundle, tmp_path):
    (faces / "d.png").write_bytes(b"nothing")
    result = system(tiny_bundle, faces, tmp_path / "out")
    assert result.exit_code == 1 and "3 of 4 pictures done" in result.output, result.output
    assert f"error: {faces / 'd.png'}" in result.output
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"a.png", "b.png", "c.png", "sheet.png"}
    card = json.loads((tmp_path / "out" / "system.json").read_text())
    assert card["checkpoint"].keys() == {"generator", "perceptual"} and card["seconds"] > 0


def test_run_system_with_an_encoder(faces, encoder_file, tiny_bundle, tmp_path):
    result = call(run_system.main, "psp", faces, "-o", tmp_path / "out", "--encoder", encoder_file)
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert image.size == (32, 32)  # of the file's own generator
    result = call(run_system.main, "psp", faces, "-o", tmp_path / "x", "--encoder", encoder_file,
                  "--generator", tiny_bundle / "g_real.safetensors")  # fmt: skip
    assert result.exit_code == 1 and "g_real.safetensors: takes w+ [8, 16]" in result.output


def test_run_system_refuses(faces, encoder_file, tiny_bundle, tmp_path):
    for arguments, said in (
        (["psp", faces, "-o", tmp_path / "x"], "needs an --encoder"),
        (["image2stylegan", faces, "-o", tmp_path / "x", "--encoder", encoder_file], "takes no --encoder"),
        (["psp", faces, "-o", tmp_path / "x", "--encoder", encoder_file, "--steps", 2], "one pass"),
        (["image2stylegan", faces, "-o", faces], "folder of the inputs"),
        (["e4e", faces, "-o", tmp_path / "x", "--encoder", encoder_file], "psp.pt: its encoder is a GradualStyle"),
        (["psp", faces, "-o", tmp_path / "x", "--encoder", tmp_path / "no.pt"], "no.pt: no such weight file"),
    ):
        result = call(run_system.main, *arguments)
        assert result.exit_code in (1, 2) and said in result.output, result.output
    assert not (tmp_path / "x").exists() and len(list(faces.iterdir())) == 3


def test_ablation(faces, tiny_bundle, tmp_path):
    other = tmp_path / "tool" / "inference_results"
    other.mkdir(parents=True)
    for name in ("a", "c"):  # exactly the input: distances of zero; no result for b
        Image.open(faces / f"{name}.png").reduce(2).save(other / f"{name}.png")
    arguments = [faces, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 2, "--results",
                 f"copy={tmp_path / 'tool'}"]  # fmt: skip
    result = call(ablation_inversion.main, *arguments)
    assert result.exit_code == 0, result.output
    table = {row[0]: row[1:] for row in csv.reader(open(tmp_path / "out" / "table.csv"))}
    ours = ["latent_optimization", "latent_optimization_w", "image2stylegan", "pivotal_tuning", "tuned_optimization"]
    assert list(table)[1:] == [*ours, "copy", "paper: latent_optimization"]
    assert float(table["paper: latent_optimization"][9]) == 27.6
    report = json.loads((tmp_path / "out" / "results.json").read_text())
    copy = report["values"]["copy"]
    assert copy["LPIPS"] == pytest.approx([0, 0], abs=1e-9) and copy["L2"] == copy["identity"] == [0, 0]
    assert copy["seconds"] == [] and all(len(report["values"][row]["L2"]) == 3 for row in ours)
    assert report["values"]["pivotal_tuning"]["identity"] == report["values"]["latent_optimization_w"]["identity"]
    assert report["values"]["image2stylegan"]["L2"] != report["values"]["latent_optimization"]["L2"]
    with Image.open(tmp_path / "out" / "sheet.png") as sheet:
        assert sheet.size == (3 * 168 + 8, 7 * 190 + 8)  # inputs in columns; input, five methods and the copy in rows
    stamp = (tmp_path / "out" / "image2stylegan" / "a.png").stat().st_mtime_ns
    assert call(ablation_inversion.main, *arguments).exit_code == 0
    assert (tmp_path / "out" / "image2stylegan" / "a.png").stat().st_mtime_ns == stamp


def test_ablation_measures_reconstruction_and_portrait_apart(faces, tiny_bundle, tmp_path):
    """L2 is that of g_rendering's picture, not of the portrait that g_real draws; a bad input is named once."""
    (faces / "bb.png").write_bytes(b"nothing")
    result = call(ablation_inversion.main, faces, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 2)
    assert result.exit_code == 1 and result.output.count(str(faces / "bb.png")) == 1, result.output
    report = json.loads((tmp_path / "out" / "results.json").read_text())

    def pixels(path):
        image = Image.open(path)
        return np.asarray(image.reduce(image.width // 32), float) / 127.5

    folder = tmp_path / "out" / "image2stylegan"
    expected = [
        ((pixels(faces / f"{n}.png") - pixels(folder / "reconstructions" / f"{n}.png")) ** 2).mean() for n in "abc"
    ]
    assert report["values"]["image2stylegan"]["L2"] == pytest.approx(expected, rel=1e-4)


def test_ablation_refuses(faces, encoder_file, tiny_bundle, tmp_path):
    for more, said in (
        (["--results", "image2stylegan=x"], "a row of that name"),
        (["--results", "x"], "NAME=FOLDER"),
        (["--results", "x=gone"], "gone: no such folder"),
        (["--encoder", "pps=x.pt"], "no encoder method"),
        (["--encoder", f"psp={encoder_file}"], "psp.pt: gives w+ [8, 128], g_rendering takes [8, 16]"),
    ):
        result = call(ablation_inversion.main, faces, "-o", tmp_path / "out", "--weights", tiny_bundle, *more)
        assert result.exit_code in (1, 2) and said in result.output, result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("script", [run_system, ablation_inversion])
def test_help_loads_nothing_heavy(script):
    code = f"import sys; sys.argv = ['x', '--help']\ntry:\n    import runpy; runpy.run_path({script.__file__!r}, "
    code += "run_name='__main__')\nfinally:\n    print('torch' in sys.modules, 'PIL' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ALIGNED_FOLDER" in done.stdout and "False False" in done.stdout, done.stdout + done.stderr
