import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from alignment import AlignmentError, crop_face, detect, detect_faces, ffhq_quad, find_faces, paste_face
from alignment.detect import drop_false_alarms, merge_boxes


def resized(pixels, side):
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS))


@pytest.fixture(scope="module")
def source(golden):
    return golden["cases"]["plain256"][0]  # uint8 [512, 512, 3], one face at (175, 76, 265, 166)


@pytest.mark.parametrize(("case", "file"), [("plain256", "align_source.png"), ("pad", "align_pad_source.png")])
def test_golden_detection(golden, case, file):
    picture, landmarks, *_ = golden["cases"][case]
    faces = detect_faces(picture)
    assert [face.box for face in faces] == [tuple(golden["boxes"][file])]
    np.testing.assert_array_equal(faces[0].landmarks, landmarks)
    assert faces[0].landmarks.dtype == np.float64 and faces[0].score > 1


def test_two_faces_largest_first(source):
    canvas = np.full((820, 512 + 820, 3), 128, np.uint8)
    canvas[:512, :512], canvas[:, 512:] = source, resized(source, 820)
    large, small = detect_faces(canvas)
    unit = 820 / 512
    np.testing.assert_allclose(large.box, np.array([175, 76, 265, 166]) * unit + [512, 0, 512, 0], atol=15)
    np.testing.assert_allclose(small.box, [175, 76, 265, 166], atol=10)
    assert np.abs((large.landmarks - [512, 0]) / unit - small.landmarks).mean() < 2


def test_large_pictures_are_searched_on_a_copy(golden, source):
    (face,) = detect_faces(resized(source, 2048))  # four times: searched at 1600, landmarks at full resolution
    landmarks = golden["cases"]["plain256"][1]
    assert np.abs(face.landmarks / 4 - landmarks).mean() < 1
    np.testing.assert_allclose(np.array(face.box) / 4, [175, 76, 265, 166], atol=10)


def test_second_search_finds_small_faces(source):
    canvas = np.full((1024, 1024, 3), 128, np.uint8)
    canvas[600:856, 300:556] = resized(source, 256)  # the face is 45 pixels wide
    (face,) = detect_faces(canvas)
    np.testing.assert_allclose(face.box, np.array([175, 76, 265, 166]) / 2 + [300, 600, 300, 600], atol=8)


def test_second_search_finds_faces_in_flat_pictures(golden, source):
    flat = (source * 0.05 + 100).astype(np.uint8)  # 13 grey levels
    (face,) = detect_faces(flat)
    assert np.abs(face.landmarks - golden["cases"]["plain256"][1]).mean() < 2


def test_second_search_finds_a_dark_face_before_a_bright_wall(golden, source):
    """Levels that no stretch of the whole picture brings out: the face has 10 of them, the wall above all others."""
    dark = np.full_like(source, 240)
    dark[30:220, 120:320] = (source[30:220, 120:320] * 0.04).astype(np.uint8)
    (face,) = detect_faces(dark)
    assert np.abs(face.landmarks - golden["cases"]["plain256"][1]).mean() < 4


@pytest.mark.parametrize("shape", [(32, 32, 3), (200, 300, 3)])
def test_no_face_is_an_empty_list(shape):
    assert detect_faces(np.full(shape, 128, np.uint8)) == []


def test_merge_boxes():
    same = [((0, 0, 100, 100), 0.5), ((10, 10, 110, 110), 0.9)]  # intersection over union 0.68
    assert merge_boxes(same) == [same[1]]
    inside = [((0, 0, 100, 100), 0.9), ((40, 40, 60, 60), 0.5)]  # 0.04, but the centre lies inside
    assert merge_boxes(inside) == [inside[0]]
    apart = [((0, 0, 100, 100), 0.5), ((90, 0, 190, 100), 0.9)]  # 0.05
    assert sorted(merge_boxes(apart)) == sorted(apart)


def test_faint_boxes_count_only_when_alone():
    clear, faint = ((0, 0, 9, 9), 1.2), ((50, 0, 59, 9), 0.1)
    assert drop_false_alarms([clear, faint]) == [clear]
    assert drop_false_alarms([faint]) == [faint]
    assert drop_false_alarms([]) == []


@pytest.mark.parametrize("wrong", [np.zeros((64, 64), np.uint8), np.zeros((64, 64, 3)), [[0]]])
def test_wrong_arrays_are_refused(wrong):
    with pytest.raises(ValueError, match="uint8 array"):
        detect_faces(wrong)


def test_missing_landmark_model_names_the_remedy(source, monkeypatch):
    monkeypatch.setattr(detect, "MODEL_PACKAGE", "no_such_package")
    detect._predictor.cache_clear()
    try:
        with pytest.raises(AlignmentError, match="pip install"):
            detect_faces(source)
    finally:
        detect._predictor.cache_clear()


def test_model_package_is_not_imported():
    code = (
        "import sys, numpy, alignment; alignment.detect_faces(numpy.zeros((40, 40, 3), 'uint8'));"
        "sys.exit('face_recognition_models' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_shared_pictures(inputs):
    for name, picture, entry in inputs:
        (face,) = detect_faces(picture)
        (box,) = entry["dlib_boxes"]
        (landmarks,) = np.array(entry["landmarks68"], np.float64)
        width = box[2] - box[0]
        if max(picture.shape) <= 1600:  # searched as the manifest was
            assert face.box == tuple(box), name
            np.testing.assert_array_equal(face.landmarks, landmarks, err_msg=name)
        else:
            assert np.abs(np.array(face.box) - box).max() < 0.2 * width, name
            assert np.abs(face.landmarks - landmarks).max() < 0.03 * width, name


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_picture_on_its_side(golden, source, quarters):
    """The crop stands upright and is the one of the upright picture; what is pasted back lies as the picture lies."""
    crop = crop_face(source, ffhq_quad(golden["cases"]["plain256"][1]), 128)
    lying = np.ascontiguousarray(np.rot90(source, -quarters))
    (found,) = find_faces(lying)
    assert found.turned == 90 * quarters and str(found.turned) in found.notes[0]
    turned_crop = crop_face(lying, found.quad, 128)
    assert np.abs(turned_crop.astype(int) - crop).mean() < 0.5
    left, top, right, bottom = found.box
    inside = (found.landmarks > [left - 60, top - 60]) & (found.landmarks < [right + 60, bottom + 60])
    assert inside.all()
    painted = crop.copy()
    painted[64:, :] = 255  # the lower half of the face
    back = np.rot90(paste_face(lying, painted, found.quad), quarters)
    upright = paste_face(source, painted, ffhq_quad(golden["cases"]["plain256"][1]))
    assert np.abs(back.astype(int) - upright).mean() < 0.5


def test_an_upright_face_is_not_turned(source):
    (found,) = find_faces(source)
    assert found.turned == 0 and found.notes == ()
    with pytest.raises(AlignmentError, match="also with the picture turned"):
        find_faces(np.full((200, 300, 3), 128, np.uint8))


def test_threads_find_what_one_thread_finds(source):
    from concurrent.futures import ThreadPoolExecutor

    pictures = [resized(source, side) for side in (300, 340, 380, 420)]
    alone = [[face.box for face in detect_faces(picture)] for picture in pictures]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda picture: [face.box for face in detect_faces(picture)], pictures * 4))
    assert together == alone * 4
