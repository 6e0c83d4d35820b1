"""The pictures of a folder as frames of one turntable or video: each face followed, steadied, and carried on.

    follow          which face of a frame is which face of the frame before: the one that lies nearest
    steadied        their squares, smoothed over time (alignment/smoothing.py), gaps filled
    Sequence        the frames as work for project.py: a frame's inversion starts from the latents of the one before it
    preview         before and after, as an animation

Where the detector misses a face for up to LONGEST_GAP frames its place is taken from the frames around; after a longer
gap, and for a face that comes later, a new track begins. Results of a frame depend on the frames before it, so the
fingerprint of a frame holds that of its predecessor, and one process does the whole sequence.
"""

from dataclasses import asdict, replace

import click

from .results import fingerprint

LONGEST_GAP = 8  # frames
REACH = 0.5  # a face moves by at most this share of its square's side from one frame to the next
SHORTEST = 3  # frames: a face seen less often is a false alarm
# The frames after the first: these shares of the schedule's steps and learning rate, and no disturbance. The full rate
# comes as close to the crops, but flickers more (docs/benchmarks/sequences.md).
STEPS, RATE = 0.2, 0.5
MOST_FRAMES = 1_000_000  # gaps included
SPEED = 12  # frames a second, of the preview


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

    which: "all", "largest" or an index: the faces that tracks begin with. Short tracks are left out.
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
            tracks += [{t: face} for face in faces if face.index == (0 if which == "largest" else which)]
    shortest = min(SHORTEST, sum(map(bool, seen)))
    return [track for track in tracks if len(track) >= shortest]


def steadied(tracks, count):
    """Smooth every track: a list of [Found, ...] for each of `count` frames, index = number of the track, the largest
    first. Frames between the first and the last of a track that lack the face get one without box and landmarks."""
    import numpy as np

    from alignment import Found, quad_side
    from alignment.smoothing import smooth_quads

    frames = [[] for _ in range(count)]
    for index, track in enumerate(tracks):
        first, last = min(track), max(track)
        missing = np.full([4, 2], np.nan)
        quads = smooth_quads([track[t].quad if t in track else missing for t in range(first, last + 1)])
        for t, quad in zip(range(first, last + 1), quads, strict=True):
            face = track.get(t, Found(index, None, quad))
            frames[t].append(replace(face, index=index, quad=quad))
    return [sorted(frame, key=lambda face: -quad_side(face.quad)) for frame in frames]


def _distance(before, after):
    """How far a face moved, in sides of its square."""
    import numpy as np

    from alignment import quad_side

    return float(np.linalg.norm(after.quad.mean(0) - before.quad.mean(0)) / quad_side(before.quad))


class Sequence:
    """The frames as work for a run (jobs/folder.py); the methods are those of jobs.inputs.Separate."""

    def __init__(self, pictures, options, start, generator):
        self.pictures, self.options, self.start, self.generator = pictures, options, start, generator
        self.schedule = options.preset.schedule
        self.following = self.schedule.following(STEPS, RATE)
        self.which, self.given = options.faces, options.given
        self.notes = {}  # path: lines for its report
        self.latents = {}  # number of the track -> w+ [1, num_ws, w_dim] of the last frame that showed it
        self.settings = {"sequence": asdict(self.following)}

    def prepare(self, workers):
        """Search all frames and follow the faces. Raises ClickException when no face can be followed."""
        from tqdm import tqdm

        from alignment import AlignmentError, PictureError, find_faces

        from .inputs import read_ahead

        def search(path, pixels):
            return find_faces(pixels, "all", **self.given(path))

        seen, shape, self.problems = [], None, {}
        paths = [path for path, _ in self.pictures]
        with read_ahead(paths, search, workers) as aligned:
            for path in tqdm(paths, desc="searching faces", unit="frame", dynamic_ncols=True):
                found = []
                try:
                    picture, found = aligned(path)
                    shape = shape or picture.pixels.shape
                    if picture.pixels.shape != shape:
                        raise PictureError(f"{path}: {picture.pixels.shape[1]} x {picture.pixels.shape[0]} pixels, the "
                                           f"frames before it {shape[1]} x {shape[0]}; use one size")  # fmt: skip
                except AlignmentError:
                    pass  # perhaps the frames around it show where the face is
                except (PictureError, OSError) as error:
                    found, self.problems[path] = [], error
                seen.append(found)
        times = frame_times(paths)
        over_time = [[] for _ in range(times[-1] + 1)]  # lost frames are frames without a face
        for time, found in zip(times, seen, strict=True):
            over_time[time] = found
        tracks = follow(over_time, self.which)
        if not tracks and not any(seen):
            for path in paths:
                self.problems.setdefault(path, AlignmentError(f"{path}: no face found, nor in any other frame"))
        elif not tracks:
            raise click.ClickException(f"{paths[0].parent}: no frame holds face {self.which}; --faces counts from 0")
        steady = steadied(tracks, len(over_time))
        self.faces = {path: steady[time] for path, time in zip(paths, times, strict=True)}
        for path in paths:
            lost = [face.index for face in self.faces[path] if face.landmarks is None and not self.given(path)]
            if path not in self.problems:
                self.notes[path] = [f"face {i} was not found: its place is taken from the frames around" for i in lost]

    def search(self, path, pixels):
        """The faces of a frame; raises what stands against it."""
        from alignment import AlignmentError

        if path in self.problems:
            raise self.problems[path]
        if not self.faces[path]:
            raise AlignmentError(f"{path}: shows none of the faces that are followed")
        return self.faces[path]

    def fingerprints(self, settings):
        prints, previous = {}, None
        for path, _ in self.pictures:
            quads = {face.index: face.quad.round(2).tolist() for face in self.faces[path]}
            prints[path] = fingerprint(path, settings | {"quads": quads, "previous": previous})
            if path not in self.problems:
                previous = prints[path]
        return prints

    def begin(self, found):
        """(w+ [N, num_ws, w_dim] or None, schedule) for the faces of a frame: the full one where any face is new."""
        import torch

        from inversion.common import starting_latents

        if not any(face.index in self.latents for face in found):
            return self.start, self.schedule
        fresh = starting_latents(self.generator, 1, self.start if self.start is None else self.start[:1])
        start = torch.cat([self.latents.get(face.index, fresh) for face in found])
        return start, self.following if all(face.index in self.latents for face in found) else self.schedule

    def keep(self, folder, entry):
        """Remember where the faces of a finished frame ended."""
        import numpy as np
        import torch

        for face in entry["faces"]:
            w_plus = torch.from_numpy(np.load(folder / f"face{face['face']}_w_plus.npz")["w_plus"])
            self.latents[face["face"]] = w_plus.to(self.generator.mapping.w_avg.device)

    def steps(self, index):
        """Steps of the first `index` frames, as far as can be known."""
        return min(index, 1) * self.schedule.length + max(index - 1, 0) * self.following.length

    def summary(self, out, entries):
        """Write the preview; what the report says of the whole: gaps and flicker of each face."""
        done = [entry for entry in entries if "error" not in entry]
        if not done:
            return {}
        preview(out / "preview.png", out, done)
        numbers = sorted({face["face"] for entry in done for face in entry["faces"]})
        flickers = {number: measure_flicker(entries, out, out, number) for number in numbers}
        for number, measured in flickers.items():
            if measured is not None:
                means = (sum(measured[name]) / len(measured[name]) for name in ("result", "input"))
                click.echo("face {}: changes by {:.1f} levels a frame, in the input by {:.1f}".format(number, *means))
        gaps = [f"{path}: {note}" for path, notes in self.notes.items() for note in notes]
        return {"sequence": {"gaps": gaps, "flicker": flickers}}


def measure_flicker(entries, out, results, number):
    """metrics.flicker of face `number` along its squares in the run `out`; results: the folder of the composites, `out`
    or that of another run over the same frames. None when no two neighbouring frames show it."""
    import numpy as np

    from alignment import crop_face, read_picture
    from metrics.flicker import flicker

    crops = []  # one a frame: (input [S, S, 3], result [S, S, 3], mask bool [S, S]) or None
    for entry in entries:
        faces = [face for face in entry.get("faces", []) if face["face"] == number]
        composite = next((results / entry["output"]).glob("composite.*"), None)
        if not faces or composite is None:
            crops.append(None)
            continue
        quad, size = np.array(faces[0]["quad"]), faces[0]["size"]
        quad[2] = quad[1] + quad[3] - quad[0]  # the report rounds
        mask = read_picture(out / entry["output"] / f"face{number}_mask.png").pixels
        pictures = (read_picture(entry["input"]).pixels, read_picture(composite).pixels, mask)
        one = [crop_face(pixels, quad, size, transform_size=2 * size) for pixels in pictures]
        crops.append((one[0], one[1], one[2][..., 0] > 127))
    size = next((len(crop[0]) for crop in crops if crop is not None), 1)
    blank = np.zeros([size, size, 3], np.uint8)
    columns = zip(*(crop or (blank, blank, blank[..., 0] > 0) for crop in crops), strict=True)
    try:
        return flicker(*columns)
    except ValueError:
        return None


def preview(path, out, entries):
    """Animated PNG at SPEED frames a second, before and after side by side."""
    import numpy as np
    from PIL import Image

    from alignment import read_picture
    from alignment.sheet import contact_sheet
    from weights.files import written_atomically

    pages = []
    for entry in entries:
        before, after = (read_picture(p).pixels for p in (entry["input"], out / entry["output"] / entry["composite"]))
        pages.append(Image.fromarray(np.asarray(contact_sheet([[("before", before), ("after", after)]]))))
    with written_atomically(path) as unfinished:
        pages[0].save(unfinished, format="PNG", save_all=True, append_images=pages[1:], duration=1000 / SPEED, loop=0)
