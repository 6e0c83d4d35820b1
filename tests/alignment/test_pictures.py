import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms
from upright import TURN

from alignment import PictureError, read_picture, write_png

RAMP = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)  # [H, W, 3], unlike in every direction


@pytest.mark.parametrize("suffix", ["png", "tif"])  # Pillow turns TIFF files itself: twice would be wrong
@pytest.mark.parametrize("orientation", TURN)
def test_exif_orientation_is_honoured(tmp_path, orientation, suffix):
    path = tmp_path / f"turned.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(RAMP).save(path, exif=exif)
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.pixels, TURN[orientation](RAMP))
    if suffix == "png":
        assert len(picture.notes) == (orientation != 1)


def test_jpeg_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth = Image.fromarray(RAMP).resize((90, 60), Image.Resampling.BICUBIC)
    smooth.save(tmp_path / "plain.jpg")
    smooth.save(tmp_path / "turned.jpg", exif=exif)
    plain, turned = read_picture(tmp_path / "plain.jpg"), read_picture(tmp_path / "turned.jpg")
    np.testing.assert_array_equal(turned.pixels, TURN[6](plain.pixels))


def saved(tmp_path, image, suffix="png", **options):
    path = tmp_path / f"picture.{suffix}"
    image.save(path, **options)
    return read_picture(path)


def test_rgb_is_untouched(tmp_path):
    picture = saved(tmp_path, Image.fromarray(RAMP))
    np.testing.assert_array_equal(picture.pixels, RAMP)
    assert picture.pixels.dtype == np.uint8 and picture.notes == ()


def test_grayscale_and_black_and_white(tmp_path):
    grey = saved(tmp_path, Image.fromarray(RAMP[..., 0]))
    np.testing.assert_array_equal(grey.pixels, RAMP[..., [0, 0, 0]])
    assert grey.notes == ("grayscale converted to RGB",)
    two = saved(tmp_path, Image.fromarray(RAMP[..., 0] > 99))
    np.testing.assert_array_equal(two.pixels[..., 1], np.where(RAMP[..., 0] > 99, 255, 0))


def test_palette(tmp_path):
    image = Image.fromarray(RAMP).quantize(64)
    picture = saved(tmp_path, image)
    np.testing.assert_array_equal(picture.pixels, np.asarray(image.convert("RGB")))
    assert picture.notes == ("palette converted to RGB",)


def test_transparency_is_laid_over_white(tmp_path):
    alpha = np.zeros(RAMP.shape[:2], np.uint8)
    alpha[:, :20], alpha[:, 20:40] = 255, 128
    picture = saved(tmp_path, Image.fromarray(np.dstack([RAMP, alpha])))
    np.testing.assert_array_equal(picture.pixels[:, :20], RAMP[:, :20])
    half = RAMP[:, 20:40] * (128 / 255) + 255 * (127 / 255)
    assert np.abs(picture.pixels[:, 20:40] - half).max() <= 1
    assert (picture.pixels[:, 40:] == 255).all()
    assert picture.notes == ("transparency (RGBA) laid over white for the networks",)

    grey = saved(tmp_path, Image.fromarray(np.dstack([RAMP[..., 0], alpha])))  # LA
    assert (grey.pixels[:, 40:] == 255).all() and (grey.pixels[:, :20, 1] == RAMP[:, :20, 0]).all()

    keyed = saved(tmp_path, Image.fromarray(RAMP), transparency=tuple(int(v) for v in RAMP[3, 5]))  # a tRNS colour
    assert (keyed.pixels[3, 5] == 255).all() and (keyed.pixels[0, 0] == RAMP[0, 0]).all()


def test_other_colour_modes(tmp_path):
    lab = Image.fromarray(np.full((40, 40, 3), (255, 0, 0), np.uint8), "LAB")  # L = 100, a = b = 0
    picture = saved(tmp_path, lab, "tif")
    assert picture.pixels.min() >= 253 and picture.notes == ("LAB converted to RGB",)


@pytest.mark.parametrize("profile", [None, "wrong kind"])
def test_cmyk(tmp_path, profile):
    image = Image.fromarray(RAMP).convert("CMYK")
    options = {}
    if profile:  # a profile that does not fit CMYK must not stop the reading
        options["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = saved(tmp_path, image, "tif", **options)
    assert np.abs(picture.pixels.astype(int) - RAMP).max() <= 1
    assert picture.notes == ("CMYK converted to RGB",)


def test_16_bit_is_scaled_not_clipped(tmp_path):
    import cv2

    wide = RAMP.astype(np.uint16) * 257
    grey = saved(tmp_path, Image.fromarray(wide[..., 0]))
    np.testing.assert_array_equal(grey.pixels[..., 0], RAMP[..., 0])
    assert grey.notes == ("16-bit grayscale converted to 8-bit RGB",)

    (tmp_path / "rgb16.png").write_bytes(cv2.imencode(".png", wide[..., ::-1])[1].tobytes())
    colour = read_picture(tmp_path / "rgb16.png")
    np.testing.assert_array_equal(colour.pixels, RAMP)
    assert colour.notes == ("16-bit samples: the networks see 8 of them",)


@pytest.mark.parametrize("white", [1, 255, 65535])
def test_float_samples_by_their_range(tmp_path, white):
    values = RAMP[..., 0].astype(np.float32) * (white / 255)
    picture = saved(tmp_path, Image.fromarray(values), "tif")
    np.testing.assert_array_equal(picture.pixels[..., 2], RAMP[..., 0])
    assert picture.notes == ("32-bit grayscale converted to 8-bit RGB",)


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    picture = saved(tmp_path, frames[0], "gif", save_all=True, append_images=frames[1:])
    assert (picture.pixels == (255, 0, 0)).all()
    assert picture.notes[0] == "first of 2 frames taken"


def png_header(width, height):
    """A PNG file that announces width x height grey pixels and holds next to none."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def refusal(path):
    with pytest.raises(PictureError) as caught:
        read_picture(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "; " in message and "\n" not in message
    return message


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tif"])
def test_cut_short_files_are_refused(tmp_path, suffix):
    path = tmp_path / f"half.{suffix}"
    Image.fromarray(RAMP).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    refusal(path)


def test_files_that_are_no_pictures_are_refused(tmp_path):
    assert "no such file" in refusal(tmp_path / "missing.png")
    assert "not a file" in refusal(tmp_path)
    (tmp_path / "empty.png").touch()
    assert "empty" in refusal(tmp_path / "empty.png")
    (tmp_path / "text.png").write_text("I am not a picture\nat all\n")
    assert "not a picture" in refusal(tmp_path / "text.png")


@pytest.mark.parametrize("size", [(1, 1), (31, 400), (400, 31)])
def test_too_small_pictures_are_refused(tmp_path, size):
    Image.new("RGB", size).save(tmp_path / "small.png")
    assert "under 32" in refusal(tmp_path / "small.png")


@pytest.mark.filterwarnings("error")  # a warning is not a refusal
@pytest.mark.parametrize("size", [(15000, 15000), (60000, 60000)])  # Pillow would only warn of the first
def test_decompression_bombs_are_refused(tmp_path, size):
    (tmp_path / "bomb.png").write_bytes(png_header(*size))
    assert "200 million" in refusal(tmp_path / "bomb.png")


@pytest.mark.filterwarnings("error")
def test_large_pictures_below_the_limit_are_read(tmp_path):
    limit = Image.MAX_IMAGE_PIXELS
    (tmp_path / "large.png").write_bytes(png_header(12000, 12000))  # 144 Mpixel, cut short to keep the test light
    assert "cut short" in refusal(tmp_path / "large.png")
    assert Image.MAX_IMAGE_PIXELS == limit


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0, 1e6])
def test_meaningless_float_samples_are_refused(tmp_path, bad):
    values = np.ones((40, 40), np.float32)
    values[3, 4] = bad
    Image.fromarray(values).save(tmp_path / "float.tif")
    assert "samples" in refusal(tmp_path / "float.tif")


def test_write_png(tmp_path):
    for pixels in (RAMP, RAMP[..., 0]):
        write_png(tmp_path / "new" / "out.png", pixels)
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "new" / "out.png")), pixels)
    for wrong in (RAMP.astype(np.float32), RAMP[..., :2], RAMP[None]):
        with pytest.raises(ValueError, match="expected uint8"):
            write_png(tmp_path / "wrong.png", wrong)


def test_write_png_keeps_the_old_file_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "out.png"
    write_png(path, RAMP)

    def half_a_file(self, target, **options):
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", half_a_file)
    with pytest.raises(OSError, match="disk full"):
        write_png(path, RAMP // 2)
    np.testing.assert_array_equal(read_picture(path).pixels, RAMP)
    assert [p.name for p in tmp_path.iterdir()] == ["out.png"]


def test_importing_the_package_is_cheap():
    heavy = "{'dlib', 'cv2', 'scipy', 'torch'} & set(sys.modules)"
    code = f"import sys, alignment; sys.exit(str({heavy}) if {heavy} else 0)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
