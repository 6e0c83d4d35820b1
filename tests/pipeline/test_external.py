"""Portraits made elsewhere: where nothing was edited the picture stays, and what the editor moved is moved back."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from alignment import AlignmentError, as_picture, find_faces, quad_side
from pipeline import Finish, finish_picture
from pipeline.external import from_edited, sharpness
from pipeline.kept import keep, kept
from postprocess.compositing import rising


@pytest.fixture(scope="module")
def bundle():
    """The embedded networks, of which only the parser is used."""
    from pipeline import load_bundle

    return load_bundle()


@pytest.fixture(scope="module")
def case(samples):
    """(a picture of 480 x 480, its face)."""
    image = Image.open(samples / "avatar05_portrait.png").convert("RGB").resize((480, 480), Image.Resampling.LANCZOS)
    picture = as_picture(np.asarray(image))
    return picture, find_faces(picture.pixels, "largest")


def moved(pixels, x, y, zoom):
    matrix = cv2.getRotationMatrix2D((pixels.shape[1] / 2, pixels.shape[0] / 2), 0, zoom)
    matrix[:, 2] += x, y
    size = pixels.shape[1::-1]
    return cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def finished(case, edited, bundle, **finish):
    """(what changed [H, W, 3], mask [H, W], the Inverted, Measured) for an edited picture."""
    picture, found = case
    inverted = from_edited(picture, found, as_picture(edited))
    result = finish_picture(inverted, bundle, Finish(**finish))
    change = result.composite.astype(np.float32) - picture.pixels
    return change, result.faces[0].mask, inverted, result.faces[0].measured


@pytest.mark.parametrize("detail", [0.0, 1.0])
def test_the_picture_itself_changes_nothing(case, bundle, detail):
    change, mask, _, measured = finished(case, case[0].pixels, bundle, detail=detail)
    assert mask.max() == 255 and not change.any()
    assert measured.identity == 0 and not measured.warnings and measured.lpips is None


@pytest.mark.parametrize("x, y, zoom", [(6.3, -4.6, 1.0), (0, 0, 1.03), (3.4, 2.2, 0.97)])
def test_shift_and_zoom_are_undone(case, bundle, x, y, zoom):
    edited = moved(case[0].pixels, x, y, zoom)
    change, mask, _, measured = finished(case, edited, bundle)
    inside = mask > 200
    assert not change[mask == 0].any()
    assert np.abs(change[inside]).mean() < 0.7  # levels; without registration it is several
    raw = edited[inside].astype(np.float32) - case[0].pixels[inside]
    assert np.abs(raw).mean() > 5 * np.abs(change[inside]).mean()
    assert measured.registration["agreement"] > 0.99


def test_a_change_of_colours_is_followed(case, bundle):
    picture, found = case
    warmer = np.clip(picture.pixels * np.array([1.08, 1.0, 0.92]), 0, 255).astype(np.uint8)
    change, mask, _, _ = finished(case, moved(warmer, 4.3, -2.6, 1.02), bundle)
    assert not change[mask == 0].any()
    inner = rising((mask > 128).astype(np.float32), quad_side(found[0].quad)) > 0.99
    wanted = (warmer.astype(np.float32) - picture.pixels)[inner].mean(axis=0)
    np.testing.assert_allclose(change[inner].mean(axis=0), wanted, atol=1.0)
    half, _, _, _ = finished(case, moved(warmer, 4.3, -2.6, 1.02), bundle, strength=0.5)
    np.testing.assert_allclose(half[inner].mean(axis=0), wanted / 2, atol=1.0)


def test_a_small_portrait_takes_no_detail_away(case, bundle):
    """Half the size: with detail the picture's own finest octave stays, without it it is lost."""
    small = cv2.resize(case[0].pixels, (240, 240), interpolation=cv2.INTER_AREA)
    with_detail, mask, inverted, _ = finished(case, small, bundle)
    without, _, _, _ = finished(case, small, bundle, detail=0.0)
    inside = mask > 200
    assert np.abs(with_detail[inside]).mean() < 0.6 * np.abs(without[inside]).mean()
    assert 0.4 < sharpness(inverted.crops[0], inverted.portraits[0]) < 1.6


def test_a_crop_of_the_face(case, bundle):
    from alignment import crop_face

    picture, found = case
    crop = crop_face(picture.pixels, found[0].quad, 256)
    change, mask, _, _ = finished(case, crop, bundle)
    assert np.abs(change[mask > 200]).mean() < 1.0 and not change[mask == 0].any()
    two = [found[0], replace(found[0], index=1, quad=found[0].quad + 400)]
    with pytest.raises(AlignmentError, match="a crop of one face, but 2 faces"):
        from_edited(picture, two, as_picture(crop), "crop.png")


def test_what_is_refused(case):
    picture, found = case
    grey = np.full([300, 300, 3], 128, np.uint8)
    with pytest.raises(AlignmentError, match="^edited.png: no face found"):
        from_edited(picture, found, as_picture(grey), "edited.png")
    wide = np.pad(picture.pixels, ((0, 0), (0, 240), (0, 0)), mode="reflect")
    with pytest.raises(AlignmentError, match=r"another aspect .*720 x 480 pixels, the picture 480 x 480"):
        from_edited(picture, found, as_picture(wide), "edited.png")
    elsewhere = np.full_like(picture.pixels, 128)
    elsewhere[:240, :240] = cv2.resize(picture.pixels, (240, 240), interpolation=cv2.INTER_AREA)
    with pytest.raises(AlignmentError, match="shows no face where the picture has face 0"):
        from_edited(picture, found, as_picture(elsewhere), "edited.png")


def test_it_is_kept(case, tmp_path):
    picture, found = case
    inverted = from_edited(picture, found, picture, "edited.png")
    keep(tmp_path, inverted, "print")
    again = kept(tmp_path, picture, "print")
    assert again.edited == inverted.edited and again.w_plus is None
    assert np.array_equal(again.portraits, inverted.portraits)
    assert kept(tmp_path, picture, "another") is None
