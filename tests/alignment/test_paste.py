import numpy as np
import pytest

from alignment import crop_face, ffhq_quad, paste_face, warp_to_picture


def square(centre, side, degrees):
    """A quad [4, 2] around `centre`, turned clockwise."""
    right = side / 2 * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    down = np.array([-right[1], right[0]])
    centre = np.asarray(centre, float)
    return np.array([centre - right - down, centre - right + down, centre + right + down, centre + right - down])


def waves(xy):
    """A smooth pattern on picture coordinates [..., 2], within about 20 to 220."""
    x, y = xy[..., 0], xy[..., 1]
    return 120 + 50 * np.sin(0.11 * x + 0.05 * y) + 50 * np.cos(0.09 * y - 0.04 * x)


def pixel_centres(shape):
    return np.stack(np.meshgrid(np.arange(shape[1]), np.arange(shape[0])), axis=-1).astype(float)  # [H, W, 2]


def offset(result, original, where):
    """(dx, dy) by which `result` is displaced against `original` inside `where`, least squares, grey [H, W]."""
    gy, gx = np.gradient(original)
    columns = np.stack([-gx[where], -gy[where], np.ones(where.sum())], axis=1)  # the constant takes a change of level
    return np.linalg.lstsq(columns, (result - original)[where], rcond=None)[0][:2]


def away_from_edge(quad, shape, size=64):
    """bool [H, W]: picture pixels in the inner 90 % of the quad."""
    ones = np.zeros((size, size, 1), np.float32)
    edge = size // 20 + 1
    ones[edge:-edge, edge:-edge] = 1
    patch, (top, bottom, left, right) = warp_to_picture(ones, quad, shape)
    inside = np.zeros(shape, bool)
    inside[top:bottom, left:right] = patch[..., 0] > 0.99
    return inside


@pytest.mark.parametrize("size", [48, 96, 200, 512])  # the quad's side is 131.7: coarser and finer than the picture
@pytest.mark.parametrize("degrees", [0, 33, 205])
def test_warp_is_the_exact_inverse_of_the_stated_map(size, degrees):
    shape = (170, 190)
    quad = square((91.3, 84.6), 131.7, degrees)
    steps = (np.arange(size) + 0.5) / size
    looked_at = (
        quad[0] + steps[None, :, None] * (quad[3] - quad[0]) + steps[:, None, None] * (quad[1] - quad[0])
    )  # [S, S, 2]
    patch, (top, bottom, left, right) = warp_to_picture(waves(looked_at)[..., None], quad, shape)
    result = np.zeros(shape)
    result[top:bottom, left:right] = patch[..., 0]
    truth, where = waves(pixel_centres(shape)), away_from_edge(quad, shape)
    assert np.abs(offset(result, truth, where)).max() < 0.01
    assert np.abs(result - truth)[where].max() < 1.0


@pytest.mark.parametrize("size", [40, 64, 90, 128, 700])  # shrink factors 5, 3, 2, 1, 1
def test_warp_undoes_crop_face_to_a_fraction_of_a_pixel(size):
    shape = (481, 523)  # no multiple of any shrink factor
    truth = waves(pixel_centres(shape))
    picture = np.rint(truth).astype(np.uint8)[..., None].repeat(3, axis=2)
    quad = square((255.2, 243.7), 420, 12)
    crop = crop_face(picture, quad, size, transform_size=1024)
    result = paste_face(picture, crop, quad)[..., 0].astype(float)
    assert np.abs(offset(result, truth, away_from_edge(quad, shape))).max() < 0.05


def round_trip(picture, quad, size):
    """Mean absolute grey levels lost inside the quad, away from its edge and from the picture's faded border."""
    crop = crop_face(picture, quad, size, transform_size=2048)
    result = paste_face(picture, crop, quad)
    where = away_from_edge(quad, picture.shape[:2])
    border = int(0.12 * np.hypot(*(quad[3] - quad[0])))  # the recipe blurs a tenth of the side inside the picture
    for outside, strip in (
        (quad[:, 1].min() < 0, np.s_[:border]),
        (quad[:, 0].min() < 0, np.s_[:, :border]),
        (quad[:, 1].max() > picture.shape[0], np.s_[-border:]),
        (quad[:, 0].max() > picture.shape[1], np.s_[:, -border:]),
    ):
        if outside:
            where[strip] = False
    assert where.sum() > 1000
    grey, before = result.mean(axis=2), picture.mean(axis=2)
    assert np.abs(offset(grey, before, where)).max() < 0.05
    return np.abs(result.astype(int) - picture)[where].mean()


def test_round_trip(golden):
    picture, _, quad, *_ = golden["cases"]["plain256"]
    assert round_trip(picture, quad, 512) < 2
    assert round_trip(picture, quad, 1024) < 2


def test_round_trip_of_a_rotated_face(golden):
    picture = golden["cases"]["plain256"][0]
    assert round_trip(picture, square((224, 107), 150, 33), 256) < 2
    assert round_trip(picture, square((224, 107), 150, -140), 256) < 2


def test_round_trip_at_the_border(golden):
    picture, _, quad, *_ = golden["cases"]["pad"]
    assert round_trip(picture, quad, 512) < 2.1  # 1.99: leave room for other library versions


def test_round_trip_of_shared_pictures(inputs):
    for name, picture, entry in inputs:
        if name.endswith("display.png"):
            assert round_trip(picture, ffhq_quad(entry["landmarks68"][0]), 512) < 2, name


def test_white_noise_is_low_passed():
    """A crop four times finer than the picture: independent pixels average out instead of being picked (aliasing)."""
    noise = np.random.default_rng(0).standard_normal((400, 400, 1)).astype(np.float32)
    patch, _ = warp_to_picture(noise, square((60, 60), 100, 20), (120, 120))
    assert patch[40:80, 40:80].std() == pytest.approx(1 / 4, rel=0.1)  # an ideal filter: 100 / 400


@pytest.mark.parametrize("size", [20, 200])
def test_coverage(size):
    """Ones become one inside the quad, zero outside, in every channel and without overshoot."""
    quad = square((50.2, 40.4), 41, 30)
    patch, (top, bottom, left, right) = warp_to_picture(np.ones((size, size, 6)), quad, (90, 100))
    assert patch.shape == (bottom - top, right - left, 6) and patch.dtype == np.float32
    relative = pixel_centres((90, 100))[top:bottom, left:right] - quad[0]  # [h, w, 2]
    across, down = (relative @ (corner - quad[0]) / 41**2 for corner in (quad[3], quad[1]))
    inside = (across >= 0) & (across <= 1) & (down >= 0) & (down <= 1)
    np.testing.assert_allclose(patch, inside[..., None].repeat(6, axis=2), atol=1e-5)


def test_values_stay_in_range():
    step = np.zeros((64, 64, 1), np.float32)
    step[:, 32:] = 1
    for side in (30, 200):
        patch, _ = warp_to_picture(step, square((110, 110), side, 10), (220, 220))
        assert patch.min() == 0 and patch.max() == 1


def test_patch_is_clipped_to_the_picture():
    crop = np.ones((32, 32, 1))
    patch, box = warp_to_picture(crop, square((0, 10), 40, 0), (25, 90))
    assert box == (0, 25, 0, 21) and patch.shape == (25, 21, 1) and (patch > 0.99).all()
    patch, _ = warp_to_picture(crop, square((-100, 10), 40, 0), (25, 90))
    assert patch.size == 0
    picture = np.zeros((25, 90, 3), np.uint8)
    np.testing.assert_array_equal(paste_face(picture, np.ones((32, 32, 3)), square((-100, 10), 40, 0)), picture)


def test_paste_changes_only_what_the_mask_says():
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (80, 100, 3), dtype=np.uint8)
    before, quad = picture.copy(), square((50, 40), 40, 0)
    crop, mask = np.full((60, 60, 3), 200, np.uint8), np.zeros((60, 60))
    mask[:, 40:] = 1
    result = paste_face(picture, crop, quad, mask)
    np.testing.assert_array_equal(picture, before)  # the picture given is not written to
    np.testing.assert_array_equal(result[:, :50], picture[:, :50])  # mask 0, and everything left of the quad
    np.testing.assert_array_equal(result[:, 71:], picture[:, 71:])
    np.testing.assert_array_equal(result[:20], picture[:20])
    assert (result[21:60, 60:70] == 200).all()
    half = paste_face(picture, crop, quad, np.full((60, 60), 0.5))
    assert np.abs(half[25:55, 35:65] - (picture[25:55, 35:65] / 2.0 + 100)).max() <= 0.51


def test_wrong_arrays_are_refused():
    quad = square((20, 20), 20, 0)
    with pytest.raises(ValueError, match="S, S, C"):
        warp_to_picture(np.ones((32, 32)), quad, (40, 40))
    with pytest.raises(ValueError, match="mask has shape"):
        paste_face(np.zeros((40, 40, 3), np.uint8), np.ones((32, 32, 3)), quad, np.ones((16, 16)))
    with pytest.raises(ValueError, match="parallelogram"):
        warp_to_picture(np.ones((32, 32, 1)), [[0, 0], [0, 9], [9, 9], [12, 0]], (40, 40))
