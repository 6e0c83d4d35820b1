"""No damaged file ends in anything but a picture or a PictureError; and those that once did."""

import struct

import numpy as np
import pytest
from picture_fuzz import damaged, run, seeds, trial

from alignment import (
    Original,
    PictureError,
    formats,
    open_image,
    originals,
    pictures,
    read_picture,
    tiff,
    write_original,
)


@pytest.mark.filterwarnings("ignore")  # of Pillow, which pytest shows whatever the program does
def test_damaged_files():
    wrong, outcomes, slowest = run(300)
    assert wrong == [] and slowest < 10
    assert outcomes["read"] > 50 and outcomes["refused"] > 100  # both ways are tried


def test_seeds_are_read_and_written_again(tmp_path):
    for name, data in seeds().items():
        assert trial(name, data, tmp_path) == "read", name


def test_too_large_for_the_memory_there_is(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(seeds()["rgb.png"])

    def none_left(samples):
        raise MemoryError

    monkeypatch.setattr(pictures, "to_rgb8", none_left)
    with pytest.raises(PictureError, match="a.png: too large for the memory"):
        read_picture(tmp_path / "a.png")


@pytest.mark.filterwarnings("error")
def test_one_limit_of_pixels_for_all_formats(tmp_path, monkeypatch):
    """Just below it every format is read, just above it none, whatever Pillow's own limit is."""
    for module in (formats,):
        monkeypatch.setattr(module, "MOST_PIXELS", 40 * 48)
    for name, data in seeds().items():
        path = tmp_path / f"a.{name.split('.')[1]}"
        path.write_bytes(data)
        read_picture(path)
    monkeypatch.setattr(formats, "MOST_PIXELS", 40 * 48 - 1)
    for name, data in seeds().items():
        path = tmp_path / f"a.{name.split('.')[1]}"
        path.write_bytes(data)
        with pytest.raises(PictureError, match="over 200 million"):
            read_picture(path)


def test_threads_do_not_change_the_limit_for_each_other(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    from PIL import Image

    limit = Image.MAX_IMAGE_PIXELS
    for index in range(8):
        (tmp_path / f"{index}.png").write_bytes(seeds()["rgb.png"])
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda i: read_picture(tmp_path / f"{i % 8}.png").pixels, range(64)))
    assert all(np.array_equal(pixels, found[0]) for pixels in found) and Image.MAX_IMAGE_PIXELS == limit


def test_formats_are_listed_wherever_a_picture_is_opened():
    """No Image.open without a list of formats in the code that reads foreign files."""
    from pathlib import Path

    root = Path(formats.__file__).parents[1]
    for folder in ("alignment", "training"):
        for path in (root / folder).rglob("*.py"):
            for line in path.read_text().splitlines():
                assert "Image.open(" not in line or "formats=" in line, f"{path}: {line}"


def test_only_the_header_is_read_to_know_the_size(tmp_path):
    (tmp_path / "a.png").write_bytes(seeds()["rgb.png"][:60] + bytes(100))
    with (tmp_path / "a.png").open("rb") as file, pytest.raises(PictureError):
        open_image(tmp_path / "a.png", file)
    assert damaged(b"x" * 100, __import__("random").Random(0)) != b"x" * 100


def test_an_animation_on_a_canvas_wider_than_webp_writes(tmp_path):
    """Found by damage: the canvas of an animation may have 2^24 pixels a side, a written picture 16383."""
    samples = np.zeros((32, 16384, 3), np.uint8)
    changed, notes = originals.sound(Original(samples, ".webp", {}, {"lossless": True, "exact": True}))
    assert changed.suffix == ".png" and "becomes a PNG" in notes[0]
    assert write_original(tmp_path / "a", changed, samples).name == "a.png"


@pytest.mark.parametrize("name", ["rgb.tiff", "palette.tiff", "deep.tiff"])
def test_a_tiff_whose_strips_do_not_cover_it_is_cut_short(tmp_path, name):
    """Found by damage: a height of a million rows, one strip of 40, and the rest came out black after minutes."""
    data = bytearray(seeds()[name])
    directory = tiff.read_directory(bytes(data))
    rows = directory.get(278, 40)
    for order in "<>":
        for kind, code in (("H", 3), ("I", 4)):
            place = data.find(struct.pack(f"{order}HHI{kind}", 257, code, 1, directory[257]))
            if place >= 0:
                struct.pack_into(f"{order}HHII", data, place, 257, 4, 1, 60_000)
    (tmp_path / "a.tiff").write_bytes(data)
    assert rows <= 48 and tiff.read_directory(bytes(data))[257] == 60_000
    with pytest.raises(PictureError, match="strips or tiles are there"):
        read_picture(tmp_path / "a.tiff")
