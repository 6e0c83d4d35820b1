"""project.py --portrait: which portrait belongs to which picture, and what is written."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import project
from jobs.portraits import partners


def run(*arguments):
    return CliRunner().invoke(project.main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def image(samples):
    return Image.open(samples / "avatar05_portrait.png").convert("RGB").resize((360, 360))


def test_a_folder_is_matched_by_stem(image, tiny_bundle, tmp_path):
    for folder in ("in", "edited"):
        (tmp_path / folder).mkdir()
    for name in ("a", "b", "c"):
        image.save(tmp_path / "in" / f"{name}.png")
    warmer = Image.fromarray((np.asarray(image) * np.array([1, 0.95, 0.9])).astype(np.uint8))
    warmer.save(tmp_path / "edited" / "a.webp", lossless=True)
    Image.new("RGB", (200, 200)).save(tmp_path / "edited" / "c.png")
    out = tmp_path / "out"
    options = (tmp_path / "in", "-o", out, "--weights", tiny_bundle, "--portrait", tmp_path / "edited")
    result = run(*options)
    assert result.exit_code == 1 and "Traceback" not in result.output, result.output
    report = {e["output"]: e for e in json.loads((out / "report.json").read_text())["pictures"]}
    assert "no portrait in" in report["b"]["error"] and "is called b" in report["b"]["error"]
    assert "c.png: no face found in this edited picture" in report["c"]["error"]
    (face,) = report["a"]["faces"]
    assert face["edited"].endswith("a.webp") and face["lpips"] is None
    assert not list((out / "a").glob("*w_plus*"))
    paths = (tmp_path / "in" / "a.png", out / "a" / "composite.png", out / "a" / "face0_mask.png")
    before, after, mask = (np.asarray(Image.open(path)) for path in paths)
    assert np.array_equal(before[mask == 0], after[mask == 0])
    assert "a.webp" in (out / "results.html").read_text()

    written = (out / "a" / "composite.png").stat().st_mtime_ns
    run(*options)
    assert (out / "a" / "composite.png").stat().st_mtime_ns == written  # done already
    image.save(tmp_path / "edited" / "a.webp", lossless=True)
    run(*options)
    assert np.array_equal(np.asarray(Image.open(out / "a" / "composite.png")), before)  # another portrait, anew


def test_what_is_refused(image, tmp_path):
    for name in ("a.png", "b.png"):
        image.save(tmp_path / name)
    options = (tmp_path / "a.png", "-o", tmp_path / "out")
    result = run(*options, "--portrait", tmp_path / "none.png")
    assert result.exit_code == 2 and "none.png: no such file or folder" in result.output
    result = run(tmp_path / "b.png", *options, "--portrait", tmp_path / "b.png")
    assert result.exit_code == 2 and "one file, but there are 2 pictures" in result.output
    result = run(*options, "--portrait", tmp_path / "b.png", "--sequence")
    assert result.exit_code == 2 and "not to a sequence" in result.output


def test_two_of_one_stem_are_named(image, tmp_path):
    for name in ("a.png", "a.bmp", "B.png"):
        image.save(tmp_path / name)
    found = partners(tmp_path, [(tmp_path / "x" / "a.png", "a"), (tmp_path / "x" / "b.png", "b")])
    assert "a.bmp, a.png" in found[tmp_path / "x" / "a.png"]
    assert found[tmp_path / "x" / "b.png"] == tmp_path / "B.png"
