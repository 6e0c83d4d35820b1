import numpy as np

from postprocess.masks import FACE_CLASSES, face_mask, foreign, in_front
from postprocess.parsing import CLASSES

SIZE = 128
SKIN, HAIR, HAT, CLOTH, NECK, BACK = (CLASSES.index(n) for n in ("skin", "hair", "hat", "cloth", "neck", "background"))


def face():
    """A face of skin with hair above, on a backdrop, and a neck below: labels [S, S]."""
    y, x = np.mgrid[:SIZE, :SIZE]
    labels = np.full((SIZE, SIZE), BACK)
    labels[100:, 45:83] = NECK
    labels[(x - 64) ** 2 + (y - 60) ** 2 < 50**2] = HAIR
    labels[(x - 64) ** 2 / 36**2 + (y - 68) ** 2 / 42**2 < 1] = SKIN
    return labels


def test_face_mask_is_the_papers_set_of_classes():
    mask = face_mask(np.arange(19)[None])
    assert [CLASSES[i] for i in np.flatnonzero(mask[0])] == sorted(FACE_CLASSES, key=CLASSES.index)
    assert not mask[0, [CLASSES.index(name) for name in ("background", "neck", "cloth", "hat")]].any()


def test_nothing_is_in_front_of_an_equal_face():
    assert not in_front(face(), face()).any()


def test_a_shifted_outline_is_no_thing_in_front():
    """The input's face two pixels higher and to the left: slivers of neck, backdrop and hair along the outline."""
    assert not in_front(face(), np.roll(face(), (-2, -2), (0, 1))).any()


def test_a_hat_hides_hair_and_forehead():
    under = face()
    under[5:50, 20:108] = HAT
    front = in_front(face(), under)
    assert front[20:48, 50:80].all() and not front[52:].any()


def test_a_hand_hides_the_chin_whatever_the_parser_calls_it():
    for name in ("background", "neck", "cloth", "hair"):
        under = face()
        under[85:105, 50:75] = CLASSES.index(name)
        front = in_front(face(), under)
        assert front[90:100, 55:70].all(), name
        assert not front[:80].any(), name


def test_backdrop_beside_the_hair_is_not_in_front_of_it():
    under = face()
    under[:, 90:] = BACK
    under[under == SKIN] = face()[under == SKIN]
    labels = face()
    assert not in_front(labels, under)[labels == HAIR].any()


def test_a_thin_bar_and_what_is_worn_are_foreign():
    """Three pixels of anything that breaks the face, glasses, an earring beside it; not the backdrop around it."""
    under = face()
    under[70:73, 30:98] = BACK
    under[55:62, 40:60] = CLASSES.index("eye_g")
    under[80:86, 100:104] = CLASSES.index("ear_r")
    found = foreign(face(), under)
    assert found.dtype == np.float32 and found.min() >= 0 and found.max() <= 1
    assert min(found[71, 34:94].min(), found[57:60, 44:56].min(), found[83, 101]) > 0.9
    assert found[85:, :90].max() < 0.05 and found[:48].max() < 0.05 and found[:, :20].max() < 0.05


def test_nothing_is_foreign_to_an_equal_face():
    """Hair beside the cheeks, and the backdrop, lie outside the face."""
    assert foreign(face(), face())[face() == SKIN].max() == 0
