"""What is done with one picture of the page, or one sequence: as options of a run, and as the project.py line."""

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """A run of project.py in a folder of its own."""

    folder: str  # holds `inputs`, and gets `out`
    inputs: tuple  # of the line: the picture, or the folder of the frames
    names: tuple  # of the pictures, from `folder`, in the order of the results
    outputs: tuple  # their folders in `out`
    sequence: bool = False
    faces: tuple | None = None  # the indices of those that are wanted; None = all
    quad: tuple | None = None  # 8 numbers, of a square that was placed by hand
    preset: str = "fast"
    finish: tuple = ()  # ((setting, value), ...) that are not the preset's
    per_face: tuple = ()  # ((index, setting, value), ...), sorted
    weights: str | None = None
    g_rendering: str | None = None
    device: str = "auto"


def options_of(job):
    """The jobs.folder.Options of a Job."""
    from dataclasses import replace

    from jobs.folder import Options
    from jobs.inputs import given_faces
    from pipeline.presets import PRESETS

    settings, per_face = dict(job.finish), {}
    for index, name, value in job.per_face:
        per_face.setdefault(index, {})[name] = value
    preset = PRESETS[job.preset]
    preset = replace(preset, finish=replace(preset.finish, **settings, per_face=per_face or None))
    faces = "all" if job.faces is None else job.faces[0] if len(job.faces) == 1 else job.faces
    pictures = [(Path(name), output) for name, output in zip(job.names, job.outputs, strict=True)]
    given = given_faces(None, job.quad, pictures)
    return Options(preset=preset, name=job.preset, faces=faces, given=given, sequence=job.sequence)


def command_line(job):
    """The line that makes the same result of the same picture, in the folder where that lies."""
    words = ["python", "project.py", *job.inputs, "-o", "out"]
    if job.weights is not None:
        words += ["--weights", job.weights]
    if job.g_rendering is not None:
        words += ["--g-rendering", job.g_rendering]
    if job.device != "auto":
        words += ["--device", job.device]
    if job.sequence:
        words.append("--sequence")
    if job.quad is not None:
        words += ["--quad", *map(_number, job.quad)]
    elif job.faces is not None:
        words += ["--faces", ",".join(map(str, job.faces))]
    words += ["--preset", job.preset]
    for name, value in job.finish:
        words += [f"--{name}", _number(value)]
    for index, name, value in job.per_face:
        words += ["--face", str(index), name, _number(value)]
    return shlex.join(words)


def _number(value):
    return value if isinstance(value, str) else f"{value:g}" if float(f"{value:g}") == value else repr(float(value))
