import numpy as np
import pytest

from metrics.flicker import flicker


def test_numbers_by_hand():
    inputs = np.zeros([3, 4, 4, 3], np.uint8)
    inputs[1] = 2  # changes by 2, then by 2
    results = np.full([3, 4, 4, 3], 200, np.uint8)
    results[1, :2] = 190  # by 10 on the upper half
    masks = np.zeros([3, 4, 4], bool)
    masks[0, :2] = masks[1] = masks[2] = True
    measured = flicker(inputs, results, masks)
    assert measured["input"] == [2, 2]
    assert measured["result"] == [10, 5]  # the first pair shares the upper half only
    assert measured["excess"] == 5.5


def test_frames_without_the_face_are_left_out():
    crops = np.zeros([3, 4, 4, 3], np.uint8)
    masks = np.ones([3, 4, 4], bool)
    masks[1] = False
    with pytest.raises(ValueError, match="no two neighbouring"):
        flicker(crops, crops, masks)
    assert len(flicker(crops, crops, masks | True)["input"]) == 2
