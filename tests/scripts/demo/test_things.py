"""Things drawn over faces: every kind is drawn, labelled where it is, and touches nothing else."""

import numpy as np
import pytest

from postprocess.parsing import CLASSES
from scripts.demo import things
from scripts.demo.things import THINGS, with_things

SIZE = 64


@pytest.fixture
def face():
    """(pixels, labels) of a flat face on a grey backdrop, with two eyes."""
    y, x = np.mgrid[:SIZE, :SIZE]
    labels = np.zeros((SIZE, SIZE), np.uint8)
    labels[(x - 32) ** 2 / 20**2 + (y - 34) ** 2 / 26**2 < 1] = CLASSES.index("skin")
    for name, column in (("l_eye", 24), ("r_eye", 40)):
        labels[28:31, column - 2 : column + 3] = CLASSES.index(name)
    pixels = np.where(labels[..., None] > 0, (200, 150, 120), 128).astype(np.uint8)
    return pixels, labels


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: thing.__name__)
def test_a_thing_is_labelled_where_it_is(face, thing, monkeypatch):
    monkeypatch.setattr(things, "THINGS", {thing: THINGS[thing]})
    pixels, labels = face
    others = np.random.default_rng(1).integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)
    drawn = 0
    for seed in range(8):
        covered, named = with_things(pixels, labels, others, np.random.default_rng(seed), most=1)
        new, changed = named != labels, np.abs(covered.astype(int) - pixels).max(2) > 96
        assert set(np.unique(named[new])) <= {CLASSES.index(THINGS[thing])}
        hidden = named == CLASSES.index(THINGS[thing])
        assert not (changed & ~hidden).any()  # what covers the face is called by its name
        drawn += new.any()
    assert drawn >= 6
    assert (pixels == face[0]).all() and labels.max() < 6  # what was given is left alone


def test_the_same_seed_draws_the_same(face):
    others = face[0][None]
    first, again = (with_things(*face, others, np.random.default_rng(5)) for _ in range(2))
    other = with_things(*face, others, np.random.default_rng(6))
    assert all(map(np.array_equal, first, again)) and not np.array_equal(first[0], other[0])


def test_without_a_face_nothing_is_drawn(face):
    labels = np.zeros_like(face[1])
    covered, named = with_things(face[0], labels, face[0][None], np.random.default_rng(0))
    assert np.array_equal(covered, face[0]) and not named.any()
