"""Which face is which, from frame to frame, and where it lies.

frame_times     when each frame is
follow          which face of a frame is which face of the frame before: the one that lies nearest
joined          the tracks of a closed sequence, whose first frame follows its last
steadied        their squares, smoothed over time (alignment/smoothing.py), gaps filled
"""

from dataclasses import replace

LONGEST_GAP = 8  # frames
REACH = 0.5  # a face moves by at most this share of its square's side from one frame to the next
SHORTEST = 3  # frames: a face seen less often is a false alarm
MOST_FRAMES = 1_000_000  # gaps included


def frame_times(paths):
    """The place in time of each frame, whole numbers from 0 on: what the numbers in the names count, in units of their
    usual step, so that a lost frame is a gap. Without numbers that rise from name to name, frames follow each other."""
    from alignment.listing import frame_number

    numbers = [frame_number(path) for path in paths]
    if len(numbers) < 2 or None in numbers:
        return list(range(len(paths)))
    steps = sorted(after - before for before, after in zip(numbers, numbers[1:], strict=False))
    if steps[0] <= 0:
        return list(range(len(paths)))
    usual = steps[(len(steps) - 1) // 2]  # a lower median: gaps are longer
    times = [round((number - numbers[0]) / usual) for number in numbers]
    rising = all(before < after for before, after in zip(times, times[1:], strict=False))
    return times if rising and times[-1] < MOST_FRAMES else list(range(len(paths)))


def follow(seen, which="all"):
    """Faces of T frames, lists of Found, [] where none, -> tracks, one {frame number: Found} a face.

    which: "all", "largest", an index or a tuple of them: the faces that tracks begin with. Short tracks are left out.
    """
    tracks = []
    for t, faces in enumerate(seen):
        live = [track for track in tracks if t - max(track) <= LONGEST_GAP + 1]
        pairs = [(_distance(track[max(track)], face), i, j) for i, track in enumerate(live)
                 for j, face in enumerate(faces)]  # fmt: skip
        followed, used = set(), set()
        for distance, i, j in sorted(pairs):
            if distance <= REACH * (t - max(live[i])) and i not in followed and j not in used:
                followed.add(i)
                used.add(j)
                live[i][t] = faces[j]
        if which == "all":
            tracks += [{t: face} for j, face in enumerate(faces) if j not in used]
        elif not live:
            wanted = (0,) if which == "largest" else which if isinstance(which, tuple) else (which,)
            tracks += [{t: face} for face in faces if face.index in wanted]
    shortest = min(SHORTEST, sum(map(bool, seen)))
    return [track for track in tracks if len(track) >= shortest]


def joined(tracks, count):
    """The tracks of a closed sequence of `count` frames: one that ends where another begins, the first frame following
    the last, is the same face. The part that comes after the seam then has frame numbers of `count` and more."""
    tracks = list(tracks)
    for early in list(tracks):
        for late in list(tracks):
            apart = max(early) < min(late) and max(late) < count
            if early in tracks and late in tracks and apart and _meet(late, early, count):
                tracks[tracks.index(early)] = late | {t + count: face for t, face in early.items()}
                tracks.remove(late)
    return tracks


def _meet(late, early, count):
    """Does the one track go on in the other, across the seam?"""
    gap = min(early) + count - max(late)
    return gap <= LONGEST_GAP + 1 and _distance(late[max(late)], early[min(early)]) <= REACH * gap


def steadied(tracks, count, loop=False):
    """Smooth every track: a list of [Found, ...] for each of `count` frames, index = number of the track, the largest
    first. Frames between the first and the last of a track that lack the face get one without box and landmarks.
    loop: the sequence is closed, and so is a track that meets itself."""
    import numpy as np

    from alignment import Found, quad_side
    from alignment.smoothing import smooth_quads

    frames = [[] for _ in range(count)]
    for index, track in enumerate(tracks):
        first, last = min(track), max(track)
        whole = loop and last < count and _meet(track, track, count)
        last = first + count - 1 if whole else last
        missing = np.full([4, 2], np.nan)
        quads = smooth_quads([track[t].quad if t in track else missing for t in range(first, last + 1)], loop=whole)
        for t, quad in zip(range(first, last + 1), quads, strict=True):
            face = track.get(t, Found(index, None, quad))
            frames[t % count].append(replace(face, index=index, quad=quad))
    return [sorted(frame, key=lambda face: -quad_side(face.quad)) for frame in frames]


def _distance(before, after):
    """How far a face moved, in sides of its square."""
    import numpy as np

    from alignment import quad_side

    return float(np.linalg.norm(after.quad.mean(0) - before.quad.mean(0)) / quad_side(before.quad))
