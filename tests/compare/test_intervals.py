import numpy as np
import pytest
import torch

from compare.intervals import bootstrap_mean, paired_difference
from metrics.face_distance import face_l2, face_lpips
from metrics.identity import embedding, identity_distance


def test_face_l2_by_hand():
    result, truth = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    result[0, :, 0, 0] = 1  # inside the mask
    result[0, :, 3, 3] = 9  # outside
    mask = torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[:, :2, :2] = True
    assert face_l2(result, truth, mask).tolist() == [pytest.approx(0.25), 0]


def test_face_lpips_ignores_the_surroundings():
    from losses.perceptual import PerceptualNetwork

    torch.manual_seed(0)
    net = PerceptualNetwork([4, 4], [1, 1])
    truth = torch.rand(1, 3, 16, 16)
    mask = torch.zeros(1, 16, 16, dtype=torch.bool)
    mask[:, 4:12, 4:12] = True
    outside = truth.clone()
    outside[:, :, 0] = 0
    assert face_lpips(net, outside, truth, mask).item() == 0
    inside = truth.clone()
    inside[:, :, 8] = 0
    assert face_lpips(net, inside, truth, mask).item() > 0


@pytest.mark.parametrize("draw, mean", [("normal", 0), ("uniform", 0.5), ("exponential", 1)])
def test_bootstrap_interval_covers(draw, mean):
    """In a simulation the 95 % interval of 40 values holds the true mean in about 95 % of 400 experiments.

    A little less is right: the percentile interval of 40 values is a few per cent too narrow, most for skewed ones.
    """
    rng = np.random.default_rng(0)
    inside = 0
    for i in range(400):
        _, low, high = bootstrap_mean(getattr(rng, draw)(size=40), samples=1000, seed=i)
        inside += low <= mean <= high
    assert 0.90 < inside / 400 < 0.98


def test_same_person_is_nearer_than_another(samples):
    from PIL import Image

    def face(name, box):
        return np.asarray(Image.open(samples / name).convert("RGB").crop(box).resize((256, 256)))

    a = face("avatar05_portrait.png", (200, 150, 824, 774))
    a2 = face("avatar05_portrait.png", (240, 150, 864, 774))
    b = face("avatar03_display.png", (480, 20, 780, 320))
    same = identity_distance(embedding(a), embedding(a2))
    other = identity_distance(embedding(a), embedding(b))
    assert same < 0.35 < other


def test_paired_intervals_are_narrower_on_correlated_values():
    """Two methods that find the same portraits hard: their difference is known far better than either mean."""
    rng = np.random.default_rng(0)
    hard = rng.exponential(size=40)
    a, b = hard + rng.normal(0.1, 0.05, 40), hard + rng.normal(0, 0.05, 40)
    mean, low, high = paired_difference(a, b, samples=2000)
    assert mean == pytest.approx((a - b).mean()) and 0 < low < 0.1 < high
    separate = [bootstrap_mean(values, samples=2000) for values in (a, b)]
    assert high - low < 0.3 * min(top - bottom for _, bottom, top in separate)
    assert paired_difference(a, a)[1:] == (0, 0)
    with pytest.raises(ValueError, match="same portraits"):
        paired_difference(a, b[1:])
