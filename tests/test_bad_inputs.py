"""A hundred pictures that cannot be used, in one folder with good ones: each is named in a line, the good ones done."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import project

SIZES = (40, 97, 160, 256)


def encoded(format, size, mode="RGB", **options):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(size).integers(0, 256, (size, size, 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(buffer, format, **options)
    return buffer.getvalue()


def png_of_size(width, height):
    """A PNG whose header claims any size, with next to no data."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def tiff_of(values):
    buffer = io.BytesIO()
    Image.fromarray(values.astype(np.float32), mode="F").save(buffer, "TIFF")
    return buffer.getvalue()


def bad_files():
    """[(name, bytes)]."""
    files = [("empty.png", b""), ("empty.jpg", b""), ("zeros.png", bytes(5000)), ("zeros.webp", bytes(5000))]
    files += [(f"text.{suffix}", b"this is not a picture\n" * 20) for suffix in ("png", "jpg", "tif", "bmp", "webp")]
    files += [("page.jpg", b"<html><body>404</body></html>"), ("script.png", b"#!/bin/sh\nrm -rf /\n"),
              ("archive.png", b"PK\x03\x04" + bytes(100)), ("pickle.png", b"\x80\x04cos\nsystem\nR.")]  # fmt: skip
    for size in SIZES:
        for format, suffix in (("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp"), ("TIFF", "tif"), ("BMP", "bmp")):
            data = encoded(format, size)
            for share in (0.02, 0.4, 0.9):
                if format != "BMP" or share < 0.9:
                    files.append((f"cut_{size}_{int(100 * share)}.{suffix}", data[: max(int(share * len(data)), 9)]))
        data = bytearray(encoded("PNG", size))
        data[60:90] = bytes(30)
        files.append((f"broken_{size}.png", bytes(data)))
        cmyk = encoded("JPEG", size, "CMYK")
        files.append((f"cmyk_cut_{size}.jpg", cmyk[: len(cmyk) // 3]))
    for width, height in ((1, 1), (1, 500), (500, 1), (31, 31), (31, 400)):
        buffer = io.BytesIO()
        Image.new("RGB", (width, height)).save(buffer, "PNG")
        files.append((f"small_{width}x{height}.png", buffer.getvalue()))
    files += [(f"claims_{w}x{h}.png", png_of_size(w, h)) for w, h in
              ((60000, 60000), (2**31 - 1, 2**31 - 1), (400000, 900), (0, 10), (64, 64), (15000, 14000))]  # fmt: skip
    nan, infinite, negative = np.zeros((64, 64)), np.zeros((64, 64)), np.full((64, 64), -3.0)
    nan[5, 5], infinite[5, 5] = np.nan, np.inf
    files += [(f"{name}.tif", tiff_of(values)) for name, values in
              (("nan", nan), ("infinite", infinite), ("negative", negative), ("large", nan * 0 + 1e9))]  # fmt: skip
    for size in (40, 64):  # pictures, but of nobody
        files.append((f"noise_{size}.png", encoded("PNG", size)))
        for mode in ("L", "LA", "RGBA", "P", "1", "I;16"):
            buffer = io.BytesIO()
            image = Image.new("L", (size, size), 100)
            (
                image.convert("I").point(lambda v: v * 257).convert("I;16") if mode == "I;16" else image.convert(mode)
            ).save(buffer, "PNG")
            files.append((f"flat_{size}_{mode.replace(';', '')}.png", buffer.getvalue()))
    return files


@pytest.mark.slow
def test_a_hundred_bad_inputs(samples, tiny_bundle, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    files = bad_files()
    for name, data in files:
        (folder / name).write_bytes(data)
    (folder / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (folder / "folder.png").mkdir()
    bad = {name for name, _ in files}
    assert len(bad) >= 98
    good = Image.open(samples / "avatar05_portrait.png").convert("RGB").resize((300, 300))
    for name in ("aaa.png", "zzz.png"):  # before and after them all
        good.save(folder / name)
    arguments = [folder, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1, "--device", "cpu"]
    result = CliRunner().invoke(project.main, list(map(str, arguments)))
    assert result.exit_code == 1, result.output[-2000:]
    entries = json.loads((tmp_path / "out" / "report.json").read_text())["pictures"]
    failed = {entry["input"]: entry["error"] for entry in entries if "error" in entry}
    assert failed.keys() == {str(folder / name) for name in bad}
    assert "left out: gone.png: leads nowhere" in result.output
    for path, message in failed.items():
        assert message.startswith(path) and "\n" not in message and len(message) < 400
        assert ";" in message  # what is wrong; what to do
    assert {entry["output"] for entry in entries if "faces" in entry} == {"aaa", "zzz"}
    assert {p.name for p in (tmp_path / "out").iterdir() if p.is_dir()} == {"aaa", "zzz"}
