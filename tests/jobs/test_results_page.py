"""The page of a run: complete in one file, safe with any file name, and usable where a browser is at hand."""

import html.parser
import shutil
import subprocess

import numpy as np
import pytest

from alignment import write_png
from jobs.results_page import results_page


@pytest.fixture
def run(tmp_path):
    """A run's folder and report: one picture done, one failed, one whose files are gone."""
    out = tmp_path / "out"
    red, green = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)
    red[..., 0], green[..., 1] = 255, 255
    write_png(tmp_path / "a.png", red)
    write_png(out / "a" / "composite.png", green)
    for kind in ("crop", "inversion", "portrait"):
        write_png(out / "a" / f"face0_{kind}.png", green)
    face = {"face": 0, "lpips": 0.0123, "seconds": 2.0, "warnings": ["poor <b>"]}
    entries = [
        {"input": str(tmp_path / "a.png"), "output": "a", "composite": "composite.png", "faces": [face], "notes": []},
        {"input": "b.png", "output": "<script>alert(1)</script>", "error": "b.png: not a picture & no more"},
        {"input": "c.png", "output": "c", "composite": "composite.png", "faces": []},
    ]
    return out, {"pictures": entries, "settings": {"steps": 3}, "seconds": 4.2}


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen, self.sources = [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href")]


def test_page_is_complete_and_safe(run):
    page = results_page(*run)
    tags = Tags()
    tags.feed(page)
    assert all(source.startswith("data:image/jpeg;base64,") for source in tags.sources)  # nothing from elsewhere
    assert len(tags.sources) == 2 + 3 and tags.seen.count("script") == 1  # the mask's file is missing
    assert "&lt;script&gt;" in page and "poor &lt;b&gt;" in page and "not a picture &amp; no more" in page
    assert "2 of 3 pictures done" in page and "c.png is no longer there" in page and "LPIPS 0.012" in page


@pytest.mark.skipif(not shutil.which("chromium"), reason="no headless Chromium here")
def test_slider_shows_input_left_and_result_right(run, tmp_path):
    page, shot = tmp_path / "results.html", tmp_path / "shot.png"
    page.write_text(results_page(*run))
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--window-size=500,400"]
    subprocess.run([*command, f"--screenshot={shot}", page.as_uri()], check=True, capture_output=True, timeout=120)
    from PIL import Image

    pixels = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    red = (pixels[..., 0] > 200) & (pixels[..., 1] < 60)
    green = (pixels[..., 1] > 200) & (pixels[..., 0] < 60)
    line = np.flatnonzero(red.any(1) & green.any(1))  # rows of the slider
    assert len(line) > 40 and red[line].nonzero()[1].max() <= green[line].nonzero()[1].min()
