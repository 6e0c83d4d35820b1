"""What is taken for a picture, in folders and zips alike, and what is said of the rest."""

import os

import pytest
from PIL import Image

from alignment import PICTURE_SUFFIXES, PictureError, read_picture
from alignment.listing import frame_number, is_litter, left_out_line, natural_key, pictures_in, sort_names

FORK = b"\0\5\x16\7" + bytes(116)  # how a macOS resource fork begins


def test_every_suffix_on_the_list_is_read(tmp_path):
    image = Image.new("RGB", (40, 40), (200, 100, 50))
    formats = {".jpf": "JPEG2000", ".apng": "PNG", ".mpo": "MPO", ".pfm": None}
    for suffix in sorted(PICTURE_SUFFIXES):
        path = tmp_path / f"a{suffix}"
        form = formats.get(suffix, Image.EXTENSION[suffix])
        (image if form else image.convert("F")).save(path, form or "PPM")
        pixels = read_picture(path).pixels
        assert pixels.shape == (40, 40, 3) and (form is None or abs(int(pixels[20, 20, 0]) - 200) < 9), suffix
    taken, left_out = pictures_in(tmp_path)
    assert len(taken) == len(PICTURE_SUFFIXES) and left_out == []


def test_formats_off_the_list_are_named(tmp_path):
    names = ["a.png", "b.PSD", "c.heic", "d.exr", "e.svg", "f.dng", "notes.txt", "dataset.json", "mesh.glb", "film.mp4"]
    taken, left_out = sort_names(names)
    assert taken == ["a.png"] and [name for name, _ in left_out] == names[1:6]
    line = left_out_line(left_out)
    assert line.startswith("left out: b.PSD, c.heic, d.exr and 2 more: ") and "\n" not in line
    assert left_out_line([]) is None


@pytest.mark.parametrize(
    "name",
    [
        "._a.png",
        "x/._a.png",
        "__MACOSX/a.png",
        "x/__MACOSX/y/a.png",
        "Thumbs.db",
        ".DS_Store",
        ".cache/a.png",
        "@eaDir/a.png",
    ],
)
def test_litter_of_systems_is_passed_over_in_silence(name):
    assert is_litter(name) and sort_names([name]) == ([], [])


def test_folders_that_are_links_are_followed_once(tmp_path):
    (tmp_path / "set/deep").mkdir(parents=True)
    (tmp_path / "else").mkdir()
    for name in ("set/a.png", "set/deep/b.png", "else/c.png"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "set/link").symlink_to(tmp_path / "else")
    (tmp_path / "set/loop").symlink_to(tmp_path / "set")
    (tmp_path / "set/link2").symlink_to(tmp_path / "else")
    taken, left_out = pictures_in(tmp_path / "set", deep=True)
    assert sorted(path.name for path in taken) == ["a.png", "b.png", "c.png"]
    assert len(left_out) == 2 and all("listed already" in why for _, why in left_out)
    assert [path.name for path in pictures_in(tmp_path / "set")[0]] == ["a.png"]


def test_only_regular_files_are_pictures(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "good.png").write_bytes(b"x")
    taken, left_out = pictures_in(tmp_path)
    assert [path.name for path in taken] == ["good.png"]
    assert [path.name for path, _ in left_out] == ["gone.png", "pipe.png", "zero.png"]
    for name in ("pipe.png", "zero.png", "gone.png", "folder.png"):
        with pytest.raises(PictureError):
            read_picture(tmp_path / name)  # at once


def test_an_eps_called_png_goes_to_no_interpreter(tmp_path, monkeypatch):
    import subprocess

    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: pytest.fail("a program was started"))
    monkeypatch.setattr(os, "system", lambda *a: pytest.fail("a program was started"))
    files = {
        "eps.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 300 300\n%%EndComments\n{} loop\n%%EOF\n",
        "psd.png": b"8BPS\0\1" + bytes(6) + b"\0\3" + b"\0\0\0\x40" * 2 + b"\0\x08\0\3" + bytes(99),
        "wmf.png": b"\xd7\xcd\xc6\x9a\0\0" + bytes(90),
        "icns.png": b"icns\0\0\0\x10" + bytes(50),
        "fli.png": bytes(4) + b"\x11\xaf" + bytes(200),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PictureError, match="not a picture in a known format"):
            read_picture(tmp_path / name)


def test_numbers_in_names():
    frames = {"shot2_0017.png": 17, "a/007.png": 7, "a.0042.exr.png": 42, "face.png": None, "x9/face.png": None}
    assert {name: frame_number(name) for name in frames} == frames
    assert frame_number("9" * 400 + ".png") is None and frame_number("v2-frame10.jpg") == 10
    names = ["f10.png", "f2.png", "f1.png", "a.png", "10.png", "9.png", "²5.png"]
    assert sorted(names, key=natural_key) == ["9.png", "10.png", "a.png", "f1.png", "f2.png", "f10.png", "²5.png"]
    sorted(["9" * 9000 + ".png", "1.png"], key=natural_key)  # Python refuses to make numbers of so many digits
