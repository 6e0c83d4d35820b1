"""Training sees the very pixels that project.py sees, of files of every kind, and names what it leaves out."""

import io
import os
import zipfile

import cv2
import numpy as np
import pytest
from PIL import Image

from alignment import read_picture
from training.dataset import DatasetError, Pictures, training_names

RNG = np.random.default_rng(0)
FLAT = RNG.integers(0, 256, (16, 16, 4), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (16, 16, 4), dtype=np.uint16)


def pillow(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def opencv(suffix, samples):
    return cv2.imencode(suffix, samples)[1].tobytes()


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


RGB = Image.fromarray(FLAT[..., :3])
FILES = {
    "grey16.png": pillow(Image.fromarray(np.ascontiguousarray(DEEP[..., 0])), "PNG"),
    "rgb16.png": opencv(".png", DEEP[..., :3]),
    "rgba16.tif": opencv(".tif", DEEP),
    "float.tif": opencv(".tif", (FLAT[..., :3] / np.float32(255))),
    "cut_out.png": pillow(Image.fromarray(FLAT), "PNG"),
    "palette.png": pillow(RGB.quantize(16), "PNG", transparency=3),
    "lying.jpg": pillow(RGB, "JPEG", exif=turned(6)),
    "lying.png": pillow(RGB, "PNG", exif=turned(3)),
    "ink.jpg": pillow(RGB.convert("CMYK"), "JPEG"),
    "inverted.tif": pillow(Image.fromarray(FLAT[..., 0]), "TIFF", tiffinfo={262: 0}),
    "plain.bmp": pillow(RGB, "BMP"),
    "new.webp": pillow(RGB, "WEBP", lossless=True),
    "browser.jfif": pillow(RGB, "JPEG"),
    "film.gif": pillow(RGB, "GIF"),
    "render.tga": pillow(RGB, "TGA"),
    "spoilt_text.png": pillow(RGB, "PNG")[:33] + b"\0\0\0\x04tEXta\0bc????" + pillow(RGB, "PNG")[33:],
}


@pytest.mark.parametrize("memory", [2**30, 0])
@pytest.mark.parametrize("zipped", [False, True])
def test_every_kind_of_file(tmp_path, zipped, memory):
    folder = tmp_path / "set"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    source = folder
    if zipped:
        source = tmp_path / "set.zip"
        with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in FILES.items():
                file.writestr(f"a/{name}", content)
    names = training_names(source)
    assert len(names) == len(FILES)
    pictures = Pictures(names, 16, memory)
    for index, path in enumerate(names):
        seen = read_picture(folder / path.name, smallest=1).pixels
        np.testing.assert_array_equal(pictures[[index]][0].permute(1, 2, 0).numpy(), seen, err_msg=path.name)


def test_litter_and_other_formats(tmp_path):
    with zipfile.ZipFile(tmp_path / "mac.zip", "w") as file:
        for name in ("a.png", "__MACOSX/._a.png", "._b.png", "Thumbs.db", "c.psd", "dataset.json", "folder.png/"):
            file.writestr(name, FILES["plain.bmp"])
    told = []
    assert [path.name for path in training_names(tmp_path / "mac.zip", tell=told.append)] == ["a.png"]
    assert len(told) == 1 and "c.psd" in told[0] and "._" not in told[0]


def test_pipes_links_and_missing_folders(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a.bmp").write_bytes(FILES["plain.bmp"])
    os.mkfifo(tmp_path / "set/b.png")
    (tmp_path / "set/c.png").symlink_to("/dev/zero")
    (tmp_path / "more").mkdir()
    (tmp_path / "more/d.bmp").write_bytes(FILES["plain.bmp"])
    (tmp_path / "set/link").symlink_to(tmp_path / "more")
    told = []
    names = training_names(tmp_path / "set", tell=told.append)
    assert sorted(path.name for path in names) == ["a.bmp", "d.bmp"] and "no regular file" in told[0]
    with pytest.raises(DatasetError, match="`exclude` is no folder"):
        training_names(tmp_path / "set", exclude=tmp_path / "missing")


def test_a_member_whose_size_lies(tmp_path):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.png", bytes(50_000_000))
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\1\2") + 24
    data[at : at + 4] = (1000).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(DatasetError, match="a.png: cannot be read"):
        Pictures(training_names(path), 16)
