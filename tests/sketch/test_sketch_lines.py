"""XDoG: strokes where they belong, none where there is only grain."""

import torch

from sketch.lines import bilateral, xdog


def edge(dark, bright):
    image = torch.full([1, 3, 32, 32], float(bright))
    image[..., :16] = dark
    return image


def test_an_edge_is_drawn_on_its_dark_side_only():
    drawn = xdog(edge(-0.5, 0.3))
    assert drawn.shape == (1, 1, 32, 32)
    assert drawn[0, 0, 16, 15] < -0.5  # ink
    assert drawn[..., :12].min() > 0.99 and drawn[..., 17:].min() > 0.99  # paper


def test_dark_skin_is_drawn_as_strongly_as_pale_skin():
    def ink(dark, bright):  # brightness in [0, 1], with xdog's floor of 0.15 added
        return xdog(edge((dark - 0.15) * 2 - 1, (bright - 0.15) * 2 - 1)).min()

    pale, brown = ink(0.5, 1.0), ink(0.2, 0.4)  # the same ratio
    assert abs(pale - brown) < 0.02 and pale < -0.5


def test_colour_edges_of_equal_brightness_are_drawn():
    image = torch.zeros(1, 3, 32, 32)
    image[:, 0, :, :16], image[:, 0, :, 16:] = 0.4, -0.6
    image[:, 1, :, 16:] = 1.0 * 0.2126 / 0.7152  # luma is the same on both sides
    assert xdog(image).min() < -0.5


def test_flat_and_grainy_areas_stay_paper():
    generator = torch.Generator().manual_seed(0)
    assert xdog(torch.full([1, 3, 16, 16], -0.2)).min() > 0.999
    grainy = torch.full([1, 3, 64, 64], 0.1) + 0.02 * torch.randn(1, 3, 64, 64, generator=generator)
    assert xdog(grainy).mean() > 0.99


def test_bilateral_calms_grain_and_keeps_edges():
    generator = torch.Generator().manual_seed(0)
    step = edge(-0.5, 0.5)
    noise = 0.05 * torch.randn(step.shape, generator=generator)
    calm = bilateral(step + noise) - step
    assert calm.std() < 0.6 * noise.std()
    assert (bilateral(step) - step).abs().max() < 1e-3
