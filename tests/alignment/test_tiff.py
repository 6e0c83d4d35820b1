"""TIFF files of all kinds: every sample is what was stored, whatever lies around it, and comes back where it is not
changed."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from alignment import PictureError, read_picture, write_original
from alignment.tiff import read_directory, read_tiff

RNG = np.random.default_rng(0)
H, W = 44, 52
CODES = {"u1": (8, 1), "u2": (16, 1), "u4": (32, 1), "f2": (16, 3), "f4": (32, 3), "f8": (64, 3), "i2": (16, 2)}


def tiff(samples, order="<", photometric=None, extra=None, planes=1, rows=None, tiles=None, deflate=False,
         predictor=1, big=False, **more):  # fmt: skip
    """A TIFF file written from scratch: samples [H, W, C]; rows a strip or tiles (w, h); predictor 1 or 2."""
    height, width, channels = samples.shape
    stored = samples.astype(samples.dtype.newbyteorder(order))
    parts = []
    for plane in [stored] if planes == 1 else [stored[..., c : c + 1] for c in range(channels)]:
        tw, th = tiles or (width, rows or height)
        for top in range(0, height, th):
            for left in range(0, width, tw):
                part = plane[top : top + th, left : left + tw]
                if tiles:
                    part = np.pad(part, ((0, th - part.shape[0]), (0, tw - part.shape[1]), (0, 0)))
                if predictor == 2:
                    native = part.astype(samples.dtype)
                    native[:, 1:] -= native[:, :-1].copy()
                    part = native.astype(stored.dtype)
                parts.append(zlib.compress(part.tobytes()) if deflate else part.tobytes())
    bits, kind = CODES[samples.dtype.str[1:]]
    photometric = (2 if channels >= 3 else 1) if photometric is None else photometric
    offsets, data, start = [], b"", 16 if big else 8
    for part in parts:
        offsets.append(start + len(data))
        data += part + b"\0" * (len(part) % 2)
    tags = {256: [width], 257: [height], 258: [bits] * channels, 259: [8 if deflate else 1], 262: [photometric],
            277: [channels], 284: [planes], 317: [predictor], 339: [kind] * channels}  # fmt: skip
    if tiles:
        tags |= {322: [tiles[0]], 323: [tiles[1]], 324: offsets, 325: [len(p) for p in parts]}
    else:
        tags |= {273: offsets, 278: [rows or height], 279: [len(p) for p in parts]}
    tags |= {338: list(extra)} if extra is not None else {}
    tags |= {code: [value] for code, value in more.pop("tags", {}).items()}
    at = start + len(data)
    size, letter = (8, "Q") if big else (4, "I")
    head = struct.pack(order + ("Q" if big else "H"), len(tags))
    beyond, behind = b"", at + len(head) + len(tags) * (4 + 2 * size) + size
    for code, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(packed) > size:
            packed, beyond = struct.pack(order + letter, behind + len(beyond)), beyond + packed
        head += struct.pack(f"{order}HH{letter}", code, 16 if big else 4, len(values)) + packed
    sign = b"II" if order == "<" else b"MM"
    header = struct.pack(order + "HHHQ", 43, 8, 0, at) if big else struct.pack(order + "HI", 42, at)
    return sign + header + data + head + bytes(size) + beyond


def some(dtype, channels, top=None):
    if np.dtype(dtype).kind == "f":
        return RNG.random((H, W, channels)).astype(dtype)
    return RNG.integers(0, top or np.iinfo(dtype).max + 1, (H, W, channels), dtype=dtype)


LAYOUTS = {
    "one strip": {},
    "strips": {"rows": 7},
    "big-endian": {"order": ">", "rows": 7},
    "planes": {"planes": 2},
    "planes in strips": {"planes": 2, "rows": 9, "order": ">"},
    "tiles": {"tiles": (32, 16)},
    "tiles in planes, deflated": {"tiles": (16, 32), "planes": 2, "deflate": True, "predictor": 2},
    "deflated": {"deflate": True, "predictor": 2, "rows": 10},
    "deflated, big-endian": {"deflate": True, "predictor": 2, "rows": 10, "order": ">"},
    "BigTIFF": {"big": True, "rows": 7},
    "BigTIFF, tiles": {"big": True, "tiles": (32, 32)},
}


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "f4"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_every_sample(tmp_path, layout, dtype, channels):
    options = dict(LAYOUTS[layout])
    if dtype == "f4":
        options["predictor"] = 1
    stored = some(dtype, channels)
    stored[0, 0, 0] = stored.max() if dtype == "f4" else np.iinfo(dtype).max
    data = tiff(stored, extra=(2,) if channels in (2, 4) else None, **options)
    np.testing.assert_array_equal(read_tiff(data, read_directory(data)).values, stored)
    (tmp_path / "in.tif").write_bytes(data)
    picture = read_picture(tmp_path / "in.tif")
    samples = picture.original.samples.copy()
    samples[20, 30] //= 2
    written = write_original(tmp_path / "out", picture.original, samples)
    back = read_tiff(written.read_bytes(), read_directory(written.read_bytes())).values
    assert back.dtype == stored.dtype and written.suffix == ".tif"
    same = np.ones((H, W), bool)
    same[20, 30] = False
    np.testing.assert_array_equal(back[same], stored[same])
    assert (np.abs(back[20, 30] - stored[20, 30] / 2) <= max(float(stored.max()) / 65535, 0.5)).all()


@pytest.mark.parametrize("suffix", [".tif"])
@pytest.mark.parametrize("compression", [1, 5, 8, 32773])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_files_of_opencv(tmp_path, suffix, compression, dtype):
    """Another writer (libtiff): LZW with its predictor, three channels, floating point."""
    stored = RNG.random((H, W, 3)).astype(np.float32)
    stored = stored if dtype == np.float32 else (stored * np.iinfo(dtype).max).astype(dtype)
    path = str(tmp_path / f"in{suffix}")
    cv2.imwrite(path, stored[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, compression])
    data = open(path, "rb").read()
    np.testing.assert_array_equal(read_tiff(data, read_directory(data)).values, stored)


@pytest.mark.parametrize("options", [{}, {317: 2}, {317: 3}])
@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "lzma"])
def test_predictors_of_libtiff(tmp_path, compression, options):
    if options and compression == "packbits":
        pytest.skip("has no predictor")
    for mode, stored in (("F", RNG.random((H, W), np.float32)), ("L", some("u1", 1)[..., 0])):
        if options.get(317) == (3 if mode == "L" else 2):
            continue
        try:
            Image.fromarray(stored).save(tmp_path / "in.tif", compression=compression, tiffinfo=options)
        except (OSError, KeyError, RuntimeError) as error:
            pytest.skip(f"Pillow was built without: {error}")
        data = (tmp_path / "in.tif").read_bytes()
        assert read_directory(data).get(317, 1) == options.get(317, 1)
        np.testing.assert_array_equal(read_tiff(data, read_directory(data)).values[..., 0], stored)


def test_the_floating_point_predictor_of_colours(tmp_path):
    """By hand, after the technical note: bytes of all samples of a row by significance, then differences."""
    stored = some("f4", 3)
    rows = []
    for row in stored:
        planes = row.astype(">f4").view(np.uint8).reshape(-1, 4).T.reshape(-1)  # the highest bytes first
        differences = planes.copy()
        differences[3:] -= planes[:-3]
        rows.append(differences.tobytes())
    plain = tiff(stored, deflate=True)
    packed = zlib.compress(b"".join(rows))
    start = plain.index(zlib.compress(stored.tobytes()))
    data = bytearray(plain + packed)
    for tag, value in ((273, len(plain)), (279, len(packed)), (317, 3)):
        place = data.index(struct.pack("<HHI", tag, 4, 1), start)
        struct.pack_into("<I", data, place + 8, value)
    np.testing.assert_array_equal(read_tiff(bytes(data), read_directory(bytes(data))).values, stored)


def shown(tmp_path, data):
    (tmp_path / "in.tif").write_bytes(data)
    picture = read_picture(tmp_path / "in.tif")
    written = write_original(tmp_path / "out", picture.original, picture.original.samples.copy())
    np.testing.assert_array_equal(read_picture(written).pixels, picture.pixels)
    return picture


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4"])
def test_white_is_zero(tmp_path, dtype):
    stored = some(dtype, 1)
    stored[0, 0] = 0
    top = np.iinfo(dtype).max
    picture = shown(tmp_path, tiff(stored, photometric=0))
    assert (np.abs(picture.pixels - (255 - stored * (255 / top))) <= 0.501).all()


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_premultiplied_alpha_is_divided_out(tmp_path, dtype):
    top = np.iinfo(dtype).max
    straight, alpha = RNG.random((H, W, 3)), RNG.random((H, W, 1))
    alpha[0] = 0
    stored = np.rint(np.dstack([straight * alpha, alpha]) * top).astype(dtype)
    picture = shown(tmp_path, tiff(stored, extra=(1,)))
    over_white = stored[..., :3] / top + 1 - stored[..., 3:] / top
    assert np.abs(picture.pixels / 255 - over_white).max() < 2 / 255
    again = np.rint(picture.original.samples[..., :3] * (stored[..., 3:] / top))
    np.testing.assert_array_equal(again, stored[..., :3])  # no bit is lost on the way


@pytest.mark.parametrize(
    ("channels", "extra", "visible"), [(4, (0,), 3), (5, (2, 0), 4), (6, (0, 2, 0), 4), (2, (0,), 1)]
)
def test_channels_without_a_meaning_stay_beside(tmp_path, channels, extra, visible):
    stored = some("u2", channels)
    picture = shown(tmp_path, tiff(stored, extra=extra))
    assert picture.original.samples.shape[2] == visible
    data = (tmp_path / "out.tif").read_bytes()
    again = read_tiff(data, read_directory(data))
    planes = [again.values[..., c] for c in range(visible)] + [again.beside[..., c] for c in range(channels - visible)]
    assert sorted(p.tolist() for p in planes) == sorted(stored[..., c].tolist() for c in range(channels))


@pytest.mark.parametrize(("white", "values"), [(1, (0, 0.5, 1)), (255, (0, 127.5, 255)), (65535, (0, 32767.5, 65535))])
@pytest.mark.parametrize("channels", [1, 3])
def test_floats_by_their_range(tmp_path, white, values, channels):
    stored = np.zeros((H, W, channels), np.float32)
    stored[0], stored[1], stored[2] = values
    pixels = shown(tmp_path, tiff(stored)).pixels
    assert pixels[0, 0, 0] == 0 and pixels[1, 0, 0] in (127, 128) and pixels[2, 0, 0] == 255


def test_highlights_do_not_darken_a_picture(tmp_path):
    """Linear renders exceed 1 in a lamp or two: 1 stays white, and the numbers come back."""
    stored = some("f4", 3)
    stored[5, 5] = 9.5
    picture = shown(tmp_path, tiff(stored))
    assert abs(picture.pixels.mean() - 127.5) < 3 and (picture.pixels[5, 5] == 255).all()
    data = (tmp_path / "out.tif").read_bytes()
    np.testing.assert_array_equal(read_tiff(data, read_directory(data)).values, stored)


@pytest.mark.parametrize("dtype", ["f2", "f8", "i2"])
def test_unusual_numbers(tmp_path, dtype):
    stored = some(dtype, 3)
    picture = shown(tmp_path, tiff(stored))
    top = 1 if dtype != "i2" else 32767
    assert np.abs(picture.pixels / 255 - stored.astype(np.float64) / top).max() < 0.01


def test_negative_whole_numbers_are_refused(tmp_path):
    stored = some("i2", 1) - 5
    stored[3, 3] = -5
    (tmp_path / "in.tif").write_bytes(tiff(stored.astype("i2")))
    with pytest.raises(PictureError, match="samples outside"):
        read_picture(tmp_path / "in.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_numbers_and_channels_beside_are_turned_with_the_picture(tmp_path, orientation):
    from upright import TURN

    stored = some("f4", 3)
    picture = shown(tmp_path, tiff(stored, tags={274: orientation}))
    np.testing.assert_array_equal(picture.original.numbers[0], TURN[orientation](stored))
    deep = some("u2", 4)
    shown(tmp_path, tiff(deep, extra=(0,), tags={274: orientation}))
    data = (tmp_path / "out.tif").read_bytes()
    again = read_tiff(data, read_directory(data))
    np.testing.assert_array_equal(np.dstack([again.values, again.beside]), TURN[orientation](deep))


def test_hostile_directories_end_in_one_line(tmp_path):
    stored = some("u2", 3)
    good = tiff(stored, tiles=(32, 16))
    for tag, value in (
        (322, 0),
        (323, 0),
        (322, 2**31),
        (324, 2**31),
        (277, 0),
        (277, 60000),
        (258, 7),
        (284, 9),
        (257, 0),
    ):
        data = bytearray(good)
        place = data.index(struct.pack("<HH", tag, 4), H * W * 6)
        struct.pack_into("<II", data, place + 4, 1, value)
        (tmp_path / "in.tif").write_bytes(data)
        try:
            read_picture(tmp_path / "in.tif")
        except PictureError as error:
            assert "\n" not in str(error)
