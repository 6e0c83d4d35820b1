import json

import numpy as np
import pytest

from alignment import AlignmentError, ffhq_quad, find_faces, read_landmarks


@pytest.fixture(scope="module")
def points(golden):
    return golden["cases"]["plain256"][1]


def written(tmp_path, content):
    path = tmp_path / "faces.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_landmarks_of_one_face_of_several_and_by_name(tmp_path, points):
    one = points.tolist()
    assert [len(f) for f in read_landmarks(written(tmp_path, one))[None]] == [68]
    assert len(read_landmarks(written(tmp_path, [one, one]))[None]) == 2
    named = read_landmarks(written(tmp_path, {"a.png": one, "b.png": [one, one]}))
    assert {name: len(faces) for name, faces in named.items()} == {"a.png": 1, "b.png": 2}
    np.testing.assert_array_equal(named["a.png"][0], points)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "[[1, 2]]", '"face"', '{"a.png": [[1, 2]]}', "[" + "[1, 1]," * 67 + "[1, 1]]"]
)
def test_other_files_are_named_in_one_line(tmp_path, content):
    path = written(tmp_path, content)
    with pytest.raises(AlignmentError) as caught:
        read_landmarks(path)
    assert str(caught.value).startswith(str(path)) and "68 [x, y] pairs" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(AlignmentError, match="nowhere.json"):
        read_landmarks(tmp_path / "nowhere.json")


def test_given_faces_replace_the_detector(points):
    blank = np.full((300, 300, 3), 128, np.uint8)
    with pytest.raises(AlignmentError, match="--landmarks"):
        find_faces(blank)
    small = 0.5 * points
    large, little = find_faces(blank, landmarks=[small, points])
    np.testing.assert_allclose(large.quad, ffhq_quad(points))
    np.testing.assert_allclose(little.quad, ffhq_quad(small))
    assert (large.index, little.index) == (0, 1) and large.box is None
    quad = ffhq_quad(points)
    (face,) = find_faces(blank, quad=quad)
    np.testing.assert_array_equal(face.quad, quad)


def test_largest_and_index(points):
    blank = np.full((300, 300, 3), 128, np.uint8)
    faces = [0.5 * points, points]
    assert [f.index for f in find_faces(blank, "largest", landmarks=faces)] == [0]
    (second,) = find_faces(blank, 1, landmarks=faces)
    assert second.index == 1
    np.testing.assert_allclose(second.quad, ffhq_quad(0.5 * points))
    with pytest.raises(AlignmentError, match="no face 2; --faces counts from 0, the largest, to 1"):
        find_faces(blank, 2, landmarks=faces)
