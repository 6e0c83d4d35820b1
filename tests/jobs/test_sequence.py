"""Which face is which, from frame to frame."""

from pathlib import Path

import numpy as np
import pytest

from alignment import Found
from alignment.smoothing import compose
from inversion import Schedule
from jobs import sequence
from jobs import tracks as tracking
from jobs.folder import Options
from jobs.inputs import natural_order
from jobs.sequence import Sequence
from jobs.tracks import follow, joined, steadied
from pipeline import Finish, Inverted, Preset


def face(x, index=0, side=50):
    quad = compose([x, 100, np.log(side), 0])
    return Found(index, (0, 0, 1, 1), quad, np.zeros([68, 2]))


def test_numbers_in_names_count():
    names = ["f10.png", "f9.png", "f1.png", "g2.png"]
    order = [name for _, name in natural_order([(Path("in") / name, name) for name in names])]
    assert order == ["f1.png", "f9.png", "f10.png", "g2.png"]


def test_faces_keep_their_track_when_their_sizes_swap():
    seen = [[face(100 + t, 0, 60), face(300 - t, 1, 50)] for t in range(3)]
    seen += [[face(297 - t, 0, 60), face(103 + t, 1, 50)] for t in range(3)]  # now the other one is larger
    tracks = follow(seen)
    assert len(tracks) == 2
    assert all(tracks[0][t].quad.mean(0)[0] < 200 for t in range(6))
    (left,) = follow(seen, "largest")
    assert left.keys() == tracks[0].keys() and left[5] is tracks[0][5]
    (right,) = follow(seen, 1)
    assert right[5] is tracks[1][5]


def test_a_jump_is_another_face():
    seen = [[face(100)], [face(101)], [face(102)], [face(300)], [face(301)], [face(302)]]
    assert [sorted(track) for track in follow(seen)] == [[0, 1, 2], [3, 4, 5]]
    assert [sorted(track) for track in follow(seen, "largest")] == [[0, 1, 2]]


def test_gaps_are_bridged_up_to_a_length():
    short = [[face(100)]] * 3 + [[]] * tracking.LONGEST_GAP + [[face(100)]] * 3
    (track,) = follow(short)
    faces = steadied([track], len(short))
    assert all(len(frame) == 1 for frame in faces)
    assert faces[3][0].landmarks is None and faces[2][0].landmarks is not None
    np.testing.assert_allclose(faces[3][0].quad, face(100).quad, atol=1e-6)
    long = [[face(100)]] * 3 + [[]] * (tracking.LONGEST_GAP + 1) + [[face(100)]] * 3
    tracks = follow(long)
    assert len(tracks) == 2
    faces = steadied(tracks, len(long))
    assert faces[3] == [] and [frame[0].index for frame in (faces[0], faces[-1])] == [0, 1]


def test_a_face_seen_twice_is_a_false_alarm():
    seen = [[face(100)] for _ in range(6)]
    seen[2] = seen[3] = [face(100), face(400, 1)]
    assert len(follow(seen)) == 1
    assert len(follow([[face(100)], [face(100)]])) == 1  # unless there is no more to see


def test_a_frame_starts_where_the_one_before_it_ended(small_generator):
    schedule = Schedule(50)
    work = Sequence([], Options(Preset(schedule, Finish())), None, small_generator)
    assert work.begin([face(0)]) == (None, schedule)
    w_plus = np.random.default_rng(0).normal(size=(1, small_generator.num_ws, 16)).astype(np.float32)
    work.keep(Path("1.png"), Inverted(None, [face(0)], None, None, None, w_plus, [0.1], 1.0, False))
    start, following = work.begin([face(0)])
    np.testing.assert_array_equal(start.numpy(), w_plus)
    assert following.lr < schedule.lr and following.steps == round(50 * sequence.STEPS)
    start, following = work.begin([face(0), face(9, 1)])  # a new one beside it needs the full schedule
    assert following == schedule and len(start) == 2 and start[1] is None
    np.testing.assert_array_equal(start[0].numpy(), w_plus[0])
    assert work.steps(3) == pytest.approx(50 + 2 * round(50 * sequence.STEPS))


def test_a_closed_sequence_joins_at_its_seam():
    """A face that is away for the middle of a turntable, and one that is seen all the time."""
    count = 40
    seen = [[face(100, 0, 60)] for _ in range(count)]
    for t in (*range(8), *range(25, count)):
        seen[t] = [face(100, 0, 60), face(300 + (t + 15) % count, 1)]
    tracks = joined(follow(seen), count)
    assert [sorted(track) for track in tracks] == [list(range(count)), list(range(25, count + 8))]
    faces = steadied(tracks, count, loop=True)
    assert [len(frame) for frame in faces] == [2] * 8 + [1] * 17 + [2] * 15
    middles = [frame[1].quad.mean(0)[0] for frame in (*faces[25:], *faces[:8])]
    np.testing.assert_allclose(middles, [300 + t for t in range(23)], atol=1e-6)  # no end at the seam
    assert len(follow(seen)) == 3


def test_what_is_missing_at_the_seam_comes_from_both_sides():
    circle = [[face(100 + 5 * np.sin(2 * np.pi * t / 24))] for t in range(24)]
    circle[0] = circle[23] = []
    tracks = joined(follow(circle), 24)
    faces = steadied(tracks, 24, loop=True)
    assert all(len(frame) == 1 for frame in faces) and faces[0][0].landmarks is None
    x = np.array([frame[0].quad.mean(0)[0] for frame in faces])
    assert np.abs(np.diff(x, append=x[0])).max() < 1.5  # 1.3 of the true motion
    assert steadied(follow(circle), 24)[0] == []


def test_the_mean_over_time_reaches_across_the_seam_only_of_a_closed_sequence():
    for loop in (False, True):
        options = Options(Preset(Schedule(1), Finish()), loop=loop)
        work = Sequence([(Path(f"{t}.png"), str(t)) for t in range(20)], options, None, None)
        work.times, work.count = {path: t for t, (path, _) in enumerate(work.pictures)}, 20
        weights = {name: weight for _, name, weight in work.around(Path("0.png"))}
        assert weights["0"] == 1 and weights["1"] == pytest.approx(np.exp(-0.5 / sequence.SIGMA**2))
        assert (weights.get("19") == weights["1"]) == loop and "10" not in weights


def test_numbers_in_names_are_time():
    def times(*names):
        return tracking.frame_times([Path(name) for name in names])

    assert times("f1.png", "f2.png", "f5.png") == [0, 1, 4]
    assert times("a_0010.png", "a_0020.png", "a_0040.png") == [0, 1, 3]
    assert times("1001.png", "1034.png", "1067.png", "1101.png") == [0, 1, 2, 3]  # milliseconds
    assert times("a.png", "b.png") == times("2.png", "1.png") == times("x1.png", "y1.png") == [0, 1]
    assert times("f1.png", "f2.png", "f99999999999.png") == [0, 1, 2]


def test_a_lost_frame_is_a_gap(samples, tmp_path):
    """The same two squares, one frame apart and ten frames apart: smoothing joins the first pair only."""
    from PIL import Image

    from jobs.folder import Options as RunOptions

    picture = Image.open(samples / "avatar05_portrait.png").convert("RGB").resize((320, 320))
    quads = {}
    for last in (4, 14):
        folder = tmp_path / str(last)
        folder.mkdir()
        paths = [folder / f"{number}.png" for number in (1, 2, 3, last)]
        for path in paths:
            picture.save(path)
        moved = {path: compose([160 + 12 * (path == paths[-1]), 160, np.log(150), 0]) for path in paths}
        options = RunOptions(Preset(Schedule(1), Finish()), given=lambda path, moved=moved: {"quad": moved[path]})
        work = Sequence([(path, path.stem) for path in paths], options, None, None)
        work.prepare(workers=0)
        quads[last] = [work.faces[path][0].quad.mean(0)[0] if work.faces[path] else None for path in paths]
    assert quads[4][2] > 160.2  # drawn towards the next frame
    assert quads[14][2] < quads[4][2]
