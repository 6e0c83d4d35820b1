"""Damaged picture files, made from small seeds by a generator of random numbers: bits flipped, parts cut, doubled,
moved or overwritten with telling values. Read and written again, each may only end as a picture or in one PictureError.

    PYTHONPATH=. python tests/alignment/picture_fuzz.py 5000 7     # how many, first seed
"""

import io
import random
import resource
import struct
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from alignment import PictureError, read_picture, write_original
from alignment.tiff import tiff_bytes

TELLING = [0, 1, 2, 7, 8, 15, 16, 127, 128, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1]


def seeds():
    """{name: bytes} of small pictures of every kind that is written back."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (6, 7, 4), dtype=np.uint8)
    flat = np.asarray(Image.fromarray(small).resize((48, 40), Image.Resampling.BICUBIC))
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6
    exif[0x8769] = {0x9003: "2026:01:02 03:04:05", 37500: bytes(40)}
    common = {"exif": exif.tobytes(), "icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()}
    rgb, rgba, grey = Image.fromarray(flat[..., :3]), Image.fromarray(flat), Image.fromarray(flat[..., 0])
    made = {}

    def save(name, image, **options):
        file = io.BytesIO()
        image.save(file, name.split(".")[1], **options)
        made[name] = file.getvalue()

    save("rgb.png", rgb, **common)
    save("rgba.png", rgba, **common)
    save("palette.png", rgb.quantize(16), transparency=3)
    save("deep.png", Image.fromarray(flat[..., 0].astype(np.uint16) * 257))
    save("rgb.jpeg", rgb, comment=b"hello", xmp=b"<x/>", progressive=True, **common)
    save("grey.jpeg", grey, dpi=(72, 72))
    save("cmyk.jpeg", rgb.convert("CMYK"))
    save("rgb.tiff", rgb, icc_profile=common["icc_profile"], tiffinfo={274: 6, 305: "made here"})
    save("lzw.tiff", rgb, compression="tiff_lzw", tiffinfo={317: 2})
    save("jpeg.tiff", rgb, compression="jpeg")
    save("two.tiff", rgb.convert("1"), compression="group4")
    save("palette.tiff", rgb.quantize(16))
    made["deep.tiff"] = tiff_bytes(flat.astype(np.uint16) * 257, {305: "made here"}, alpha=True)
    made["float.tiff"] = tiff_bytes(
        flat[..., :3].astype(np.float32) / 255, {}, alpha=False, beside=flat[..., 3:] / np.float32(9)
    )
    save("rgb.webp", rgb, lossless=True, **common)
    save("lossy.webp", rgba, quality=50)
    save("film.webp", rgb, save_all=True, append_images=[rgb.rotate(90), rgb.rotate(180)])
    save("rgb.bmp", rgb)
    save("palette.bmp", rgb.quantize(16))
    save("film.gif", rgb.quantize(16), save_all=True, append_images=[rgb.rotate(90).quantize(16)], transparency=2)
    for name, form in (
        ("rgb.jp2", "jpeg2000"),
        ("rgb.avif", "avif"),
        ("rgb.tga", "tga"),
        ("rgb.ppm", "ppm"),
        ("rgb.qoi", "qoi"),
    ):
        file = io.BytesIO()
        rgb.save(file, form)
        made[name] = file.getvalue()
    file = io.BytesIO()
    grey.convert("F").save(file, "PPM")
    made["float.pfm"] = file.getvalue()
    return made


def damaged(data, rng):
    """`data` with one to four random faults."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at, kind = rng.randrange(len(data)), rng.randrange(8)
        if rng.random() < 0.5:  # where the structure is
            at = min(at, rng.randrange(1, 200))
            at = min(at, len(data) - 1)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.randrange(256)
        elif kind == 2:
            del data[at : at + rng.choice((1, 2, 4, 30))]
        elif kind == 3:
            data[at:at] = rng.randbytes(rng.choice((1, 4, 40)))
        elif kind == 4:
            value, order = rng.choice(TELLING), rng.choice("<>")
            data[at : at + 4] = struct.pack(order + "I", value)
        elif kind == 5:
            data[at : at + 2] = struct.pack(rng.choice("<>") + "H", rng.choice(TELLING) & 0xFFFF)
        elif kind == 6:
            other, length = rng.randrange(len(data)), rng.choice((4, 12, 64))
            data[at : at + length] = data[other : other + length]
        else:
            del data[rng.randrange(len(data)) :]
        if not data:
            data = bytearray(b"\0")
    if data.startswith(b"\x89PNG") and rng.random() < 0.7:
        return checksummed(bytes(data))  # or hardly any fault would get beyond a checksum
    return bytes(data)


def checksummed(data):
    """A PNG file with true checksums, whatever its chunks hold."""
    result, position = data[:8], 8
    while position + 12 <= len(data):
        length = struct.unpack_from(">I", data, position)[0]
        body = data[position + 4 : position + 8 + length]
        result += data[position : position + 4] + body + struct.pack(">I", zlib.crc32(body))
        position += 12 + length
    return result


def trial(name, data, folder):
    """Read, change, write and read again. Returns "read" or "refused"; raises for anything else."""
    path = Path(folder) / f"in.{name.split('.')[1]}"
    path.write_bytes(data)
    try:
        picture = read_picture(path)
    except PictureError as error:
        message = str(error)
        assert message.startswith(f"{path}: ") and "; " in message and message.isprintable() and len(message) < 600, (
            message
        )
        return "refused"
    assert picture.pixels.dtype == np.uint8 and picture.pixels.flags.writeable and picture.pixels.flags.c_contiguous
    assert all(note.isprintable() for note in picture.notes), picture.notes
    samples = picture.original.samples.copy()
    samples[5, 5] = 0
    written = write_original(Path(folder) / "out", picture.original, samples)
    again = read_picture(written)
    assert again.pixels.shape == picture.pixels.shape, "another size"
    if written.suffix not in (".jpg", ".jpeg"):
        differ = (again.pixels != picture.pixels).any(axis=2)
        differ[5, 5] = False
        assert not differ.any(), "other pixels beside the one that was changed"
    return "read"


def run(count, first=0, longest=10.0):
    """`count` trials; [(name, seed, what went wrong)], {outcome: how many}, the longest in seconds."""
    material, wrong, outcomes, slowest = list(seeds().items()), [], {}, 0.0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + count):
            rng = random.Random(seed)
            name, data = rng.choice(material)
            data = damaged(data, rng)
            started = time.process_time()  # nothing here waits, and other programs may be busy
            try:
                outcome = trial(name, data, folder)
                outcomes[outcome] = outcomes.get(outcome, 0) + 1
            except Exception as error:
                wrong.append((name, seed, f"{type(error).__name__}: {error}"[:300]))
            taken = time.process_time() - started
            slowest = max(slowest, taken)
            if taken > longest:
                wrong.append((name, seed, f"{taken:.1f} s"))
    return wrong, outcomes, slowest


if __name__ == "__main__":
    wrong, outcomes, slowest = run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    for line in wrong:
        print(*line)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{len(wrong)} wrong, {outcomes}, slowest {slowest:.2f} s, peak memory {peak:.2f} GiB")
