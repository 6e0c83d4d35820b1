"""The style-transfer table: every file agrees, columns carry the right names, a second run measures nothing again."""

import csv
import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import weights
from metrics import curricularface, features, fid, likeness
from metrics.feature_distance import frechet_distance, pooled_features
from scripts.paper import table_style_transfer
from stylegan2 import Generator, checkpoints

FID_COLUMNS = ["FID to the rendered set", "FID to the real set", "identity similarity (CurricularFace)"]
OURS = [
    "feature distance (embedded) to the rendered set",
    "feature distance (embedded) to the real set",
    "identity distance (dlib)",
]


@pytest.fixture
def arguments(tiny_bundle, tmp_path, monkeypatch):
    """A run on random 32x32 networks and noise pictures, without downloaded weights and with a cache of its own."""
    monkeypatch.setenv("LIFELIKE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fid, "FILE", tmp_path / "absent.pth")
    monkeypatch.setattr(curricularface, "FILE", tmp_path / "absent.pth")
    monkeypatch.setattr(table_style_transfer, "RESAMPLES", {"feature distance (embedded)": 5, "FID": 3})
    for style, count in (("rendered", 9), ("real", 30)):
        (tmp_path / style).mkdir()
        for i in range(count):
            pixels = np.random.default_rng(i + len(style)).integers(0, 256, (32, 32, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / style / f"{i}.png")
    sets = [part for style in ("rendered", "real") for part in (f"--{style}", str(tmp_path / style))]
    networks = [
        "--g-real",
        str(tiny_bundle / "g_real.safetensors"),
        "--generator",
        f"tuned={tiny_bundle / 'g_rendering.safetensors'}",
    ]
    return [
        *sets,
        *networks,
        "--out",
        str(tmp_path / "out"),
        "--pictures",
        "12",
        "--identities",
        "2",
        "--device",
        "cpu",
    ]


def run(arguments):
    return CliRunner().invoke(table_style_transfer.main, arguments)


def test_table(arguments, tiny_bundle, tmp_path):
    result = run(arguments)
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out" / "results.json").read_text())
    assert list(report["rows"]) == ["g_real", "tuned"] and list(report["rows"]["tuned"]) == OURS
    assert (report["count"], report["identities"], report["seed"]) == (12, 2, 3)
    assert report["sets"]["rendered"]["pictures"] == 9 and report["sets"]["real"]["pictures"] == 24
    assert report["weights"]["tuned"]["sha256"] == weights.sha256(tiny_bundle / "g_rendering.safetensors")
    assert report["rows"]["g_real"][OURS[2]] == {"mean": 0, "low": 0, "high": 0, "count": 2}
    assert report["rows"]["tuned"][OURS[2]]["mean"] > 0

    table = list(csv.reader(open(tmp_path / "out" / "table.csv", newline="")))
    assert table[0][1::3] == [f"{heading} mean" for heading in OURS + FID_COLUMNS]
    published = {row[0]: row[-9::3] for row in table[3:]}
    assert published["paper: StyleGAN2-DRFHQ (Ours)"] == ["24.5", "16.3", "0.57"]
    assert published["paper: AgileGAN-DRFHQ"] == ["62.5", "83.5", "0.14"]
    assert all(row[1:10] == [""] * 9 for row in table[3:])  # never in the columns of another measure
    assert "FID" not in "".join(heading for heading in table[0] if table[1][table[0].index(heading)])

    sheet = np.asarray(Image.open(tmp_path / "out" / "sheet.png"))
    assert sheet.shape[1] == 8 * 168 + 8 and sheet.shape[0] == 2 * 190 + 8


def test_the_distance_is_that_of_the_drawn_pictures(arguments, tiny_bundle, tmp_path):
    """Against the same pictures drawn and compared by hand."""
    from losses.perceptual import load_perceptual

    assert run(arguments).exit_code == 0
    generators = [checkpoints.load_generator(tiny_bundle / f"{name}.safetensors") for name in ("g_real", "g_rendering")]
    z = torch.randn([12, 16], generator=torch.Generator().manual_seed(3))
    files = sorted((tmp_path / "rendered").iterdir(), key=str)
    rendered = torch.from_numpy(np.stack([np.asarray(Image.open(path)) for path in files])).permute(0, 3, 1, 2)
    network = load_perceptual()
    with torch.no_grad():
        y = generators[1].synthesis(generators[0].mapping(z), noise_mode="const")
        sets = [
            torch.nn.functional.interpolate(x, size=(64, 64), mode="bilinear", align_corners=False, antialias=True)
            for x in (y, rendered.float() / 127.5 - 1)
        ]
        expected = frechet_distance(*(pooled_features(network, x) for x in sets))
    found = json.loads((tmp_path / "out" / "results.json").read_text())["rows"]["tuned"][OURS[0]]
    assert found["mean"] == pytest.approx(expected, rel=1e-3) and found["low"] < found["mean"] < found["high"]


def test_a_second_run_measures_nothing_again(arguments, tmp_path, monkeypatch):
    assert run(arguments).exit_code == 0
    first = (tmp_path / "out" / "table.md").read_text()
    monkeypatch.setattr(features, "pooled_features", None)
    monkeypatch.setattr(likeness.identity, "embedding", None)
    assert run(arguments).exit_code == 0 and (tmp_path / "out" / "table.md").read_text() == first
    assert run([*arguments, "--seed", "4"]).exit_code != 0  # other latents are measured: the networks are missed


def test_with_the_papers_networks(arguments, tmp_path, monkeypatch):
    """FID, KID, precision, recall and similarity fill the paper's own columns (networks replaced by small ones)."""
    pytest.importorskip("torch_fidelity", reason="torch-fidelity is not installed")
    (tmp_path / "present.pth").write_bytes(b"weights")
    monkeypatch.setattr(fid, "FILE", tmp_path / "present.pth")
    monkeypatch.setattr(curricularface, "FILE", tmp_path / "present.pth")
    monkeypatch.setattr(fid, "load_inception", lambda path, device: lambda pixels: [pixels.float().mean(3).flatten(1)])
    monkeypatch.setattr(
        curricularface, "load_curricularface", lambda path, device: lambda x: x[:, :, 50, 40:60].flatten(1)
    )
    result = run(arguments)
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["rows"]
    assert list(rows["tuned"]) == [*FID_COLUMNS[:2], "KID x 1000", "precision", "recall", FID_COLUMNS[2]]
    similarity = {name: row[FID_COLUMNS[2]]["mean"] for name, row in rows.items()}
    assert similarity["g_real"] == pytest.approx(1) and similarity["tuned"] < 0.99
    table = list(csv.DictReader(open(tmp_path / "out" / "table.csv", newline="")))
    with_statistics = run([*arguments, "--rendered", str(tmp_path / "out" / "rendered.npz")])  # of pytorch-fid
    assert with_statistics.exit_code == 0, with_statistics.output
    again = json.loads((tmp_path / "out" / "results.json").read_text())["rows"]["tuned"]
    assert list(again) == FID_COLUMNS and again[FID_COLUMNS[0]] == pytest.approx(rows["tuned"][FID_COLUMNS[0]])
    assert table[2][f"{FID_COLUMNS[0]} mean"] == "24.5" and table[2]["precision mean"] == ""


def test_bad_input_is_one_line(arguments, tmp_path):
    (tmp_path / "broken.pkl").write_text("no pickle")
    fid.write_statistics(tmp_path / "set.npz", fid.statistics(torch.randn(5, 3)))
    other = Generator(16, 0, 16, 16, 3, {"num_layers": 2}, {"channel_base": 256, "channel_max": 16})
    checkpoints.save(tmp_path / "small.safetensors", {"G_ema": other})
    for extra, message in {
        ("--generator", f"x={tmp_path / 'broken.pkl'}"): "broken.pkl: not a checkpoint that can be read safely",
        ("--generator", f"x={tmp_path / 'small.safetensors'}"): "they must agree",
        ("--generator", "x"): "write it as NAME=FILE",
        ("--rendered", str(tmp_path / "nowhere")): "nowhere: no such folder or zip",
        ("--rendered", str(tmp_path / "set.npz")): "set.npz: statistics of Inception features, whose weights are",
    }.items():
        result = run([*arguments, *extra])
        assert result.exit_code in (1, 2) and message in result.output
        assert len(result.output.strip().splitlines()) == 1 and not (tmp_path / "out").exists()
