"""What a file holds comes back: samples, bit depth, alpha, colour profile, EXIF, format."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin
from upright import TURN

from alignment import Original, read_picture, to_rgb8, write_original
from alignment.originals import _png, png_chunk, upright_exif
from alignment.tiff import tiff_bytes

RNG = np.random.default_rng(0)
DEEP = RNG.integers(0, 65536, (40, 56, 4), dtype=np.uint16)  # [H, W, RGBA]
FLAT = (DEEP >> 8).astype(np.uint8)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif(orientation=None):
    tags = Image.Exif()
    tags[0x010F] = "Maker"
    tags[0x8769] = {0x9003: "2026:01:02 03:04:05"}  # EXIF proper: when it was taken
    tags[0x8825] = {1: "N"}  # GPS
    if orientation:
        tags[0x0112] = orientation
    return tags.tobytes()


def again(path, tmp_path, change=False):
    """Read, change one sample if asked, write: (what was read, the new path)."""
    picture = read_picture(path)
    samples = picture.original.samples.copy()
    if change:
        samples[20, 30] = 77
    return picture, write_original(tmp_path / "again", picture.original, samples)


def image_of(samples):
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)


@pytest.mark.parametrize(
    ("suffix", "channels"),
    [
        *((suffix, c) for suffix in (".png", ".tif", ".tiff") for c in (1, 2, 3, 4)),
        (".webp", 3),
        (".webp", 4),
        (".bmp", 3),
    ],
)
def test_8_bit_samples_profile_and_exif(tmp_path, suffix, channels):
    stored = FLAT[..., {1: [0], 2: [0, 3], 3: [0, 1, 2], 4: [0, 1, 2, 3]}[channels]]
    options = {} if suffix == ".bmp" else {"icc_profile": PROFILE, "exif": exif()}
    if suffix == ".webp":
        options |= {"lossless": True, "exact": True}
    image_of(stored).save(tmp_path / f"in{suffix}", **options)
    picture, path = again(tmp_path / f"in{suffix}", tmp_path, change=True)
    assert path.name == f"again{suffix}"
    after = Image.open(path)
    expected = stored.copy()
    expected[20, 30] = 77
    np.testing.assert_array_equal(np.asarray(after).reshape(expected.shape), expected)
    if options:
        assert after.info["icc_profile"] == PROFILE
        tags = after.getexif()
        assert tags[0x010F] == "Maker" and tags.get_ifd(0x8769)[0x9003] == "2026:01:02 03:04:05"
        assert tags.get_ifd(0x8825)[1] == "N"


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_samples(tmp_path, suffix, channels):
    stored = DEEP[..., :channels]
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]  # OpenCV's
    (tmp_path / f"in{suffix}").write_bytes(cv2.imencode(suffix, stored[..., order])[1].tobytes())
    picture, path = again(tmp_path / f"in{suffix}", tmp_path, change=True)
    after = cv2.imread(str(path), cv2.IMREAD_UNCHANGED).reshape(stored.shape)[..., order]
    expected = stored.copy()
    expected[20, 30] = 77
    assert after.dtype == np.uint16
    np.testing.assert_array_equal(after, expected)
    assert picture.pixels.dtype == np.uint8 and picture.pixels.shape == (40, 56, 3)


def test_16_bit_profile_and_exif(tmp_path):
    """Through our own writers: what they put in, Pillow and we find again."""
    for suffix in (".png", ".tif"):
        Image.fromarray(FLAT[..., :3]).save(tmp_path / f"in{suffix}", icc_profile=PROFILE, exif=exif(), dpi=(300, 300))
        flat = read_picture(tmp_path / f"in{suffix}").original
        deep = write_original(tmp_path / "deep", Original(DEEP, suffix, flat.metadata), DEEP)
        picture, path = again(deep, tmp_path)
        np.testing.assert_array_equal(picture.original.samples, DEEP)
        after = Image.open(path)
        assert after.info["icc_profile"] == PROFILE and after.getexif()[0x010F] == "Maker"
        assert after.info["dpi"] == pytest.approx((300, 300), rel=1e-3)


def stored_with(orientation, path):
    """Write a picture of the kind that the name of `path` says, with its orientation in the EXIF."""
    flat, tags = Image.fromarray(FLAT[..., :3]), exif(orientation)
    if path.name == "deep.png":
        path.write_bytes(_png(DEEP[..., :3], png_chunk(b"eXIf", tags[6:])))
    elif path.name == "deep.tif":
        path.write_bytes(tiff_bytes(DEEP[..., :3], {0x0112: orientation}, alpha=False))
    else:
        flat.save(path, exif=tags, **({"lossless": True} if path.suffix == ".webp" else {}))


@pytest.mark.parametrize("orientation", TURN)
@pytest.mark.parametrize("name", ["flat.png", "flat.tif", "flat.webp", "deep.png", "deep.tif"])
def test_turned_pictures_are_written_upright(tmp_path, name, orientation):
    stored_with(orientation, tmp_path / name)
    picture, written = again(tmp_path / name, tmp_path)
    expected = TURN[orientation]((DEEP if "deep" in name else FLAT)[..., :3])
    np.testing.assert_array_equal(picture.original.samples, expected)
    np.testing.assert_array_equal(to_rgb8(picture.original.samples), picture.pixels)
    after = read_picture(written)
    np.testing.assert_array_equal(after.original.samples, expected)
    assert not any("upright" in note for note in after.notes)


def test_jpeg_is_coded_again_with_its_own_tables(tmp_path):
    """Smooth content, quality 60, 4:2:2: all but nothing changes, and the file says what it said."""
    smooth = Image.fromarray(FLAT[::8, ::8, :3]).resize((96, 80), Image.Resampling.BICUBIC)
    smooth.save(tmp_path / "in.jpeg", quality=60, subsampling="4:2:2", icc_profile=PROFILE, exif=exif(), dpi=(72, 72))
    picture, path = again(tmp_path / "in.jpeg", tmp_path)
    before, after = Image.open(tmp_path / "in.jpeg"), Image.open(path)
    assert path.suffix == ".jpeg" and after.quantization == before.quantization
    assert after.info["icc_profile"] == PROFILE and after.info["dpi"] == (72, 72)
    assert after.getexif().get_ifd(0x8769)[0x9003] == "2026:01:02 03:04:05"
    difference = np.abs(np.asarray(after).astype(int) - picture.pixels)
    assert difference.mean() < 0.2 and difference.max() <= 6


def test_palette_and_transparent_colour(tmp_path):
    quantized = Image.fromarray(FLAT[..., :3]).quantize(32)
    quantized.save(tmp_path / "palette.png")
    picture, _ = again(tmp_path / "palette.png", tmp_path)
    np.testing.assert_array_equal(picture.original.samples, np.asarray(quantized.convert("RGB")))
    key = tuple(int(v) for v in FLAT[3, 5, :3])
    Image.fromarray(FLAT[..., :3]).save(tmp_path / "key.png", transparency=key)
    picture, path = again(tmp_path / "key.png", tmp_path)
    samples = np.asarray(Image.open(path))
    assert samples.shape[2] == 4 and samples[3, 5, 3] == 0 and samples[0, 0, 3] == 255


def test_what_has_no_way_back_becomes_png(tmp_path):
    Image.fromarray(FLAT[..., :3]).convert("CMYK").save(tmp_path / "ink.jpg")
    Image.fromarray(FLAT[..., :3]).save(tmp_path / "few.gif")
    Image.fromarray(FLAT[..., :3]).save(tmp_path / "new.avif", quality=60)
    Image.fromarray(FLAT[..., :3]).save(tmp_path / "film.jp2")
    Image.fromarray(FLAT[..., :3]).save(tmp_path / "plain.tga")
    for name in ("ink.jpg", "few.gif", "new.avif", "film.jp2", "plain.tga"):
        picture, path = again(tmp_path / name, tmp_path)
        assert path.name == "again.png"
        np.testing.assert_array_equal(np.asarray(Image.open(path)), picture.pixels)


def test_the_name_of_the_format_counts_not_the_suffix(tmp_path):
    Image.fromarray(FLAT[..., :3]).save(tmp_path / "really.jpg", format="PNG")
    _, path = again(tmp_path / "really.jpg", tmp_path)
    assert path.name == "again.png" and Image.open(path).format == "PNG"


def test_exif_loses_orientation_and_thumbnail_only():
    data = exif(6)
    upright = upright_exif(data)
    assert len(upright) == len(data) and sum(a != b for a, b in zip(upright, data, strict=True)) == 1
    first = 6 + 8
    entries = int.from_bytes(data[first : first + 2], "little" if data[6:8] == b"II" else "big")
    at = first + 2 + 12 * entries
    with_thumbnail = data[:at] + b"\1\1\1\1" + data[at + 4 :]
    assert upright_exif(with_thumbnail) == upright
    assert upright_exif(data[:20]) == b"" and upright_exif(b"") == b"" and upright_exif(b"Exif\0\0nonsense") == b""


def test_another_form_is_refused(tmp_path):
    original = Original(FLAT)
    for wrong in (FLAT[..., :3], FLAT[:-1], DEEP):
        with pytest.raises(ValueError, match="expected uint8"):
            write_original(tmp_path / "wrong", original, wrong)


# -- metadata never ends a run


def jpeg(tmp_path, segments, **options):
    """A JPEG file with further APP segments, [(marker, payload)], in front of those Pillow wrote."""
    file = io.BytesIO()
    Image.fromarray(FLAT[..., :3]).save(file, "JPEG", **options)
    data = file.getvalue()
    more = b"".join(b"\xff" + bytes([marker]) + struct.pack(">H", len(p) + 2) + p for marker, p in segments)
    path = tmp_path / "in.jpg"
    path.write_bytes(data[:2] + more + data[2:])
    return path


def survives(path, tmp_path):
    """(notes, Pillow image of the file that was written again)."""
    picture, written = again(path, tmp_path, change=True)
    with Image.open(written) as after:
        after.load()
        after.getexif().get_ifd(34665)
        return picture.notes, after


def test_exif_over_64_kib_is_trimmed_with_a_note(tmp_path):
    tags = Image.Exif()
    tags[0x010F] = "Maker"
    tags[0x8769] = {0x9003: "2026:01:02 03:04:05", 37500: bytes(60000), 37510: b"x" * 9000}  # two segments' worth
    whole = tags.tobytes()
    body = whole[6:]
    path = jpeg(tmp_path, [(0xE1, b"Exif\0\0" + body[:50000]), (0xE1, b"Exif\0\0" + body[50000:])])
    notes, after = survives(path, tmp_path)
    assert any("EXIF over 64 KiB" in note for note in notes)
    assert after.getexif()[0x010F] == "Maker" and after.getexif().get_ifd(34665)[0x9003] == "2026:01:02 03:04:05"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\xff\xff",
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\xff\xff\xff\x7f\0\0\0\0",
    ],
)
def test_broken_exif(tmp_path, payload):
    survives(jpeg(tmp_path, [(0xE1, b"Exif\0\0" + payload)]), tmp_path)
    file = io.BytesIO()
    Image.fromarray(FLAT[..., :3]).save(file, "PNG")
    data = file.getvalue()
    (tmp_path / "in.png").write_bytes(data[:33] + png_chunk(b"eXIf", payload) + data[33:])
    survives(tmp_path / "in.png", tmp_path)
    Image.fromarray(FLAT[..., :3]).save(tmp_path / "in.webp", exif=b"Exif\0\0" + payload, lossless=True)
    survives(tmp_path / "in.webp", tmp_path)


def test_two_app1_segments_and_xmp_are_kept(tmp_path):
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    path = jpeg(tmp_path, [(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp)], exif=exif())
    notes, after = survives(path, tmp_path)
    assert notes == () and after.info["xmp"] == xmp and after.getexif()[0x010F] == "Maker"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_profiles_that_do_not_parse(tmp_path, suffix):
    Image.fromarray(FLAT[..., :3]).save(tmp_path / f"in{suffix}", icc_profile=b"no profile at all")
    survives(tmp_path / f"in{suffix}", tmp_path)


def test_png_chunks_with_a_bad_checksum_or_behind_the_end_are_left_behind(tmp_path):
    file, text = io.BytesIO(), PngImagePlugin.PngInfo()
    text.add_text("Title", "kept")
    Image.fromarray(FLAT[..., :3]).save(file, "PNG", pnginfo=text)
    data = file.getvalue()
    bad = png_chunk(b"tEXt", b"Comment\0spoilt")[:-1] + b"?"
    endless = struct.pack(">I", 2**31) + b"tEXtx\0"
    bomb = png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**24)))
    files = {
        "before": data[:33] + bad + data[33:],
        "between": data[:-12] + bad + data[-12:],
        "behind": data + bad + png_chunk(b"iCCP", b"x"),
        "endless": data[:-12] + endless,
        "bomb": data[:33] + bomb + data[33:],
    }
    for name, content in files.items():
        (tmp_path / f"{name}.png").write_bytes(content)
        _, after = survives(tmp_path / f"{name}.png", tmp_path)
        assert "Comment" not in after.info, name


def test_jpeg_comments_and_resolutions_of_any_kind(tmp_path):
    path = jpeg(
        tmp_path,
        [
            (0xFE, bytes(range(256)) * 200),
            (0xE0, b"JFIF\0\1\2\1\0\0\0\0\0\0"),
            (0xED, b"Photoshop 3.0\0" + b"8BIM" * 9),
        ],
    )
    survives(path, tmp_path)


def test_bmp_keeps_its_alpha(tmp_path):
    written = write_original(tmp_path / "a", Original(FLAT, ".bmp"), FLAT)
    assert Image.open(written).mode == "RGBA"
    np.testing.assert_array_equal(read_picture(written).original.samples, FLAT)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_png_with_alpha_of_every_kind(tmp_path, channels):
    stored = DEEP[..., {1: [0], 2: [0, 3], 3: [0, 1, 2], 4: [0, 1, 2, 3]}[channels]]
    written = write_original(tmp_path / "a", Original(stored), stored)
    back = read_picture(written)
    assert back.original.samples.dtype == np.uint16
    np.testing.assert_array_equal(to_rgb8(back.original.samples), to_rgb8(stored))


def test_one_transparent_level_of_a_16_bit_png(tmp_path):
    grey = np.ascontiguousarray(DEEP[..., 0])
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    data = file.getvalue()
    key = png_chunk(b"tRNS", struct.pack(">H", grey[3, 5]))
    (tmp_path / "key.png").write_bytes(data[:33] + key + data[33:])
    pixels = read_picture(tmp_path / "key.png").pixels
    assert (pixels[3, 5] == 255).all() and pixels[0, 0, 0] == round(grey[0, 0] / 257)
