import numpy as np
import pytest

from alignment.oklab import oklab_to_srgb, srgb_to_oklab


def test_published_colours():
    """Values of the article: white is (1, 0, 0), and sRGB's red, green and blue."""
    colours = [[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 0]]
    expected = [[1, 0, 0], [0.628, 0.225, 0.126], [0.866, -0.234, 0.179], [0.452, -0.032, -0.312], [0, 0, 0]]
    np.testing.assert_allclose(srgb_to_oklab(colours), expected, atol=1e-3)


def test_there_and_back():
    colours = np.random.default_rng(0).integers(0, 256, (500, 3))
    np.testing.assert_allclose(oklab_to_srgb(srgb_to_oklab(colours)), colours, atol=0.05)


def test_greys_have_no_colour_and_rising_lightness():
    lab = srgb_to_oklab(np.repeat(np.arange(256)[:, None], 3, axis=1))
    assert np.abs(lab[:, 1:]).max() < 1e-3 and (np.diff(lab[:, 0]) > 0).all()
    assert lab[119, 0] == pytest.approx(0.57, abs=0.01)
