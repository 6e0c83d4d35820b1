"""The pictures of a folder, or of a video, as frames of one turntable or clip: each face followed (tracks.py), carried
on from frame to frame, and its change of style steadied over time.

    Sequence        the frames as work for project.py: a frame's inversion starts from the latents of the one before it
    preview         before and after, as an animation

Where the detector misses a face for up to LONGEST_GAP frames its place is taken from those around; after a longer gap,
and for a face that comes later, a new track begins. What the two generators draw differently trembles from inversion to
inversion; a frame gets the mean of the frames around it, weighted by a Gaussian, so all frames are inverted before the
first is finished. The inversion of a frame depends on the frames before it, so its fingerprint holds that of its
predecessor, and one process does the whole sequence.
"""

import math
from dataclasses import asdict, replace
from itertools import pairwise

import click

from .inputs import Separate, read_ahead
from .results import fingerprint, fingerprint_of
from .tracks import follow, frame_times, joined, steadied
from .video_out import written

# The frames after the first: these shares of the schedule's steps and learning rate, and no disturbance. The full rate
# comes as close to the crops, but flickers more (docs/benchmarks/sequences.md).
STEPS, RATE = 0.2, 0.5
SIGMA = 2.0  # frames: of the mean over time of what the generators draw differently
FARTHEST = 5  # frames: farther ones have no weight
SPEED = 12  # frames a second, of the preview


class Sequence(Separate):
    """The frames as work for a run (jobs/folder.py)."""

    def __init__(self, pictures, options, start, generator):
        self.pictures, self.options, self.start, self.generator = pictures, options, start, generator
        self.schedule = options.preset.schedule
        self.following = self.schedule.following(STEPS, RATE)
        self.which, self.given = options.faces, options.given
        self.notes = {}  # path: lines for its report
        self.latents = {}  # number of the track -> w+ [num_ws, w_dim] of the last frame that showed it
        self.settings = {"sequence": asdict(self.following)}
        self.inverted = {}  # path: numbers of its faces that are inverted
        self.differences = {}  # (path, number): of frames around the one at work

    def prepare(self, workers):
        """Search all frames and follow the faces. Raises ClickException when no face can be followed."""
        from tqdm import tqdm

        from alignment import AlignmentError, PictureError, find_faces

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
        if self.options.loop:
            tracks = joined(tracks, len(over_time))
        if not tracks and not any(seen):
            for path in paths:
                self.problems.setdefault(path, AlignmentError(f"{path}: no face found, nor in any other frame"))
        elif not tracks:
            raise click.ClickException(f"{paths[0].parent}: no frame holds face {self.which}; --faces counts from 0")
        steady = steadied(tracks, len(over_time), self.options.loop)
        self.times, self.count = dict(zip(paths, times, strict=True)), len(over_time)
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

    def around(self, path):
        """[(path, name, weight)] of a frame and those near it in time, in order."""
        near = []
        for other, name in self.pictures:
            apart = abs(self.times[other] - self.times[path])
            apart = min(apart, self.count - apart) if self.options.loop else apart
            if apart <= FARTHEST:
                near.append((other, name, math.exp(-0.5 * (apart / SIGMA) ** 2)))
        return near

    def finishes(self, made_with, finish):
        """{path: what its result depends on}: the inversions of the frames around it, and the finish."""
        prints = {}
        for path, _ in self.pictures:
            near = [[made_with[other], weight] for other, _, weight in self.around(path)]
            prints[path] = made_with[path] and fingerprint_of(finish, near)
        return prints

    def begin(self, found):
        """(start, as for Bundle.begin, and schedule) for the faces of a frame: the full one where any face is new."""
        import torch

        known = [face.index in self.latents for face in found]
        if not any(known):
            return super().begin(found)[0], self.schedule
        fresh = None if self.start is None else self.start[0]
        start = [self.latents.get(face.index, fresh) for face in found]
        start = start if any(w_plus is None for w_plus in start) else torch.stack(start)
        return start, self.following if all(known) else self.schedule

    def keep(self, path, inverted):
        """Remember where the faces of an inverted frame, which lies in its folder, ended."""
        import torch

        for i, face in enumerate(inverted.found):
            w_plus = torch.from_numpy(inverted.w_plus[i])
            self.latents[face.index] = w_plus.to(self.generator.mapping.w_avg.device)
        self.inverted[path] = {face.index for face in inverted.found}

    def steady(self, path, folder, inverted):
        """The Inverted of a frame with the mean over time of what its generators draw differently."""
        import numpy as np

        if not self.options.preset.finish.detail:
            return inverted
        near = [(other, folder.parent / name, weight) for other, name, weight in self.around(path)]
        here = {other for other, *_ in near}
        self.differences = {key: value for key, value in self.differences.items() if key[0] in here}
        means = []
        for face in inverted.found:
            seen = [item for item in near if face.index in self.inverted.get(item[0], ())]
            total = sum(weight for *_, weight in seen)
            means.append(sum(w / total * self.difference(other, place, face.index) for other, place, w in seen))
        return replace(inverted, differences=np.stack(means).astype(np.float32))

    def difference(self, path, folder, number):
        """What the generators draw differently of one face of a frame, from its files, float32 [S, S, 3]."""
        from alignment import read_picture
        from postprocess.restoration import difference

        if (path, number) not in self.differences:
            drawn = (read_picture(folder / f"face{number}_{kind}.png").pixels for kind in ("portrait", "inversion"))
            self.differences[path, number] = difference(*drawn)
        return self.differences[path, number]

    def steps(self, index):
        """Steps of the first `index` frames, as far as can be known."""
        return min(index, 1) * self.schedule.length + max(index - 1, 0) * self.following.length

    def summary(self, out, entries):
        """Write the preview; what the report says of the whole: gaps and flicker of each face."""
        done = [entry for entry in entries if "error" not in entry]
        if not done:
            return {}
        clip = self.options.clip
        if clip is None:
            preview(out / "preview.png", out, done)
        numbers = sorted({face["face"] for entry in done for face in entry["faces"]})
        flickers = {number: measure_flicker(entries, out, out, number, self.options.loop) for number in numbers}
        for number, measured in flickers.items():
            if measured is not None:
                means = (sum(measured[name]) / len(measured[name]) for name in ("result", "input"))
                line = "face {}: changes by {:.1f} levels a frame, in the input by {:.1f}".format(number, *means)
                if self.options.loop and measured["closes"]:
                    line += "; from the last to the first by {:.1f}".format(measured["result"][-1])
                click.echo(line)
        gaps = [f"{path}: {note}" for path, notes in self.notes.items() for note in notes]
        video = {} if clip is None else {"video": written(clip, out, entries)}
        return {"sequence": {"gaps": gaps, "flicker": flickers} | video}


def measure_flicker(entries, out, results, number, loop=False):
    """metrics.flicker of face `number` along its squares in the run `out`; results: the folder of the composites, `out`
    or that of another run over the same frames. loop: from the last frame to the first, too; "closes" says whether the
    last change is that one. None when no two neighbouring frames show it."""
    import numpy as np

    from alignment import PictureError, crop_face, read_picture
    from metrics.flicker import flicker

    def crops(entry):
        """(input [S, S, 3], result [S, S, 3], mask bool [S, S]) of a frame, or None."""
        faces = [face for face in entry.get("faces", []) if face["face"] == number]
        if not faces:
            return None
        quad, size = np.array(faces[0]["quad"]), faces[0]["size"]
        quad[2] = quad[1] + quad[3] - quad[0]  # the report rounds
        folder = out / entry["output"]
        try:
            mask = read_picture(folder / f"face{number}_mask.png").pixels
            result = read_picture(results / entry["output"] / entry["composite"]).pixels
            pictures = (read_picture(entry["input"]).pixels, result, mask)
        except PictureError:  # damaged since
            return None
        one = [crop_face(pixels, quad, size, transform_size=2 * size) for pixels in pictures]
        return one[0], one[1], one[2][..., 0] > 127

    changes, closes = {"input": [], "result": []}, False
    for before, after in pairwise(map(crops, [*entries, *(entries[:1] if loop and len(entries) > 2 else [])])):
        closes = False
        if before is None or after is None:
            continue
        try:
            change = flicker(*zip(before, after, strict=True))
        except ValueError:  # they share no part of the face
            continue
        closes = loop
        for name, values in changes.items():
            values += change[name]
    if not changes["input"]:
        return None
    closing = {"closes": closes} if loop else {}
    return changes | {"excess": float(np.mean(changes["result"]) - np.mean(changes["input"]))} | closing


def preview(path, out, entries):
    """Animated PNG at SPEED frames a second, before and after side by side."""
    import numpy as np
    from PIL import Image

    from alignment import PictureError, read_picture
    from alignment.sheet import contact_sheet
    from weights.files import written_atomically

    pages = []
    for entry in entries:
        files = (entry["input"], out / entry["output"] / entry["composite"])
        try:
            before, after = (read_picture(path).pixels for path in files)
        except PictureError:  # damaged since
            continue
        pages.append(Image.fromarray(np.asarray(contact_sheet([[("before", before), ("after", after)]]))))
    if not pages:
        return
    with written_atomically(path) as unfinished:
        pages[0].save(unfinished, format="PNG", save_all=True, append_images=pages[1:], duration=1000 / SPEED, loop=0)
