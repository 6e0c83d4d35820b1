"""A run of project.py: pictures in, one folder of results each, and report, sheet and page of the whole.

Under torchrun the processes share the pictures and meet through files in the output folder, never in a collective,
which would time out while the slowest still works.
"""

import errno
import json
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click

from alignment.text import shown

from .inputs import Separate, read_ahead
from .portraits import Edited
from .results import finished, write_entry, write_run
from .sequence import Sequence


def nothing_given(path):
    """The `given` of a run in which the detector finds all faces."""
    return {}


@dataclass(frozen=True)
class Options:
    """What is done with every picture of a run."""

    preset: object  # pipeline.Preset: schedule and finish
    name: str | None = None  # of the preset, None = changed
    faces: str | int | tuple = "all"  # which of a picture: "all", "largest", an index or several
    given: Callable = nothing_given  # path -> landmarks or quad that replace the detector (inputs.given_faces)
    init: Path | None = None  # file of latents to start from
    sequence: bool = False  # the pictures are frames
    loop: bool = False  # of a closed sequence: the first follows the last
    clip: object = None  # video.Clip: they are those of a video
    portraits: dict | None = None  # portraits made elsewhere (portraits.partners): nothing is inverted


@dataclass(frozen=True)
class Report:
    """What became of a run. pictures: one entry a picture, in order: "input", "output" and "error", or "composite" and
    "faces"."""

    pictures: list

    @property
    def failed(self):
        return sum("error" in entry for entry in self.pictures)

    @property
    def exit_code(self):
        """0 when all pictures were done, 1 when some were, 2 when none was."""
        return 0 if not self.failed else 1 if self.failed < len(self.pictures) else 2


@dataclass(frozen=True)
class Running:
    """What the pictures of a run share while it goes on."""

    bundle: object  # of pipeline.load_bundle
    work: object  # how they are searched and inverted: inputs.Separate, Sequence or Edited
    made_with: dict  # {path: fingerprint of its inversion}
    aligned: Callable  # path -> (Picture, [Found]), read ahead
    bar: object  # tqdm, a step each
    watch: Callable | None  # `on_step` of `run`


def run(pictures, out, bundle, options, *, workers=1, on_step=None):
    """Do all `pictures`, [(path, name)], and write OUT/NAME/..., report.json, sheet.png and results.html.

    workers: threads that read and align the next pictures meanwhile. on_step(path, faces, step, lpips [N]) is called
    after every step of a picture with that many faces; what it raises ends the run, which the next one goes on with. Of
    several processes each does its share, and the first writes what is about the whole. Returns the Report (of the
    process's own share in the others). Raises ClickException where another run is at work in `out`, or it cannot be
    written.
    """
    from machine import processes
    from machine.locks import Busy, only_run_in
    from weights.files import remove_unfinished

    out, rank = Path(out), processes.rank()
    try:
        with only_run_in(out) if rank == 0 else nullcontext():
            if rank == 0:
                remove_unfinished(out)
            (out / f".process{rank}.json").unlink(missing_ok=True)  # of a run that was killed
            processes.wait_for_all()
            return all_pictures(pictures, out, bundle, options, workers, on_step)
    except Busy as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:  # of what is written about the whole
        raise click.ClickException(cannot_write(error, out)) from error


def all_pictures(pictures, out, bundle, options, workers, watch=None):
    """What `run` does once the folder is ours."""
    import torch
    from tqdm import tqdm

    import weights
    from machine import processes

    started = time.perf_counter()
    rank, world_size = processes.rank(), processes.world_size()
    begun = options.init is not None or options.portraits is not None  # without the encoder
    files = bundle.used(replace(options.preset.schedule, encoded_lr=None) if begun else options.preset.schedule)
    used = {name: {"file": shown(file), "sha256": weights.sha256(file)} for name, file in files.items()}
    settings = {"preset": options.name, **asdict(options.preset.schedule), **asdict(options.preset.finish)}
    settings |= {"faces": options.faces, "resolution": bundle.size, "loop": options.loop or None}
    of_inversion = {
        "schedule": asdict(options.preset.schedule),
        "faces": options.faces,
        "weights": {name: file["sha256"] for name, file in used.items()},
        "init": None if options.init is None else weights.sha256(options.init),
    }
    start = None if options.init is None else read_start(options.init, bundle)

    if options.sequence:
        work = Sequence(pictures, options, start, bundle.g_rendering)
        work.prepare(workers)
    elif options.portraits is not None:
        work = Edited(pictures[rank::world_size], options)
    else:
        work = Separate(pictures[rank::world_size], options, start)
    made_with = work.fingerprints(of_inversion | work.settings)
    prints = work.finishes(made_with, asdict(options.preset.finish))

    entries = []
    often = 0.1 if sys.stderr.isatty() else 10  # seconds: no flood of lines in a log file
    total = work.steps(len(work.pictures))
    bar = tqdm(total=total, unit="step", dynamic_ncols=True, disable=rank > 0, mininterval=often)
    waiting = [path for path, name in work.pictures if finished(out / name, prints[path]) is None]
    if options.sequence and waiting:
        with read_ahead([path for path, _ in work.pictures], work.search, workers) as aligned:
            invert_all(out, Running(bundle, work, made_with, aligned, bar, watch))
    with bar, read_ahead(waiting, work.search, workers) as aligned:
        running = Running(bundle, work, made_with, aligned, bar, watch)
        for index, (path, name) in enumerate(work.pictures):
            bar.set_description(shown(name, 24))
            entry = finished(out / name, prints[path])
            if entry is None:
                entry = {"input": str(path), "output": name, "fingerprint": prints[path]}
                entry |= one_picture(path, out / name, entry, running)
            bar.n = max(bar.n, work.steps(index + 1))
            bar.refresh()
            entries.append(entry | {"input": str(path), "output": name})  # both may have been moved since

    entries = gathered(out, entries, rank, world_size)
    report = Report(entries)
    if rank > 0:
        return report
    order = {name: position for position, (_, name) in enumerate(pictures)}
    entries.sort(key=lambda entry: order[entry["output"]])
    facts = {
        "pictures": entries,
        "weights": used,
        "settings": settings | work.settings | {"device": str(bundle.device)},
        "seconds": time.perf_counter() - started,
        "versions": {"torch": torch.__version__},
    }
    write_run(out, facts | work.summary(out, entries))
    return report


def invert_all(out, running):
    """The inversions of all frames of a sequence, into their folders."""
    work, bar = running.work, running.bar
    for index, (path, name) in enumerate(work.pictures):
        bar.set_description(shown(name, 24))
        try:
            work.keep(path, inverted_one(path, out / name, running))
        except Exception as error:
            said(error, path, out / name)  # raises it where it is none of the picture's
            work.problems[path] = error  # finishing it will say so
        bar.n = work.steps(index + 1)
        bar.refresh()


def inverted_one(path, folder, running):
    """The Inverted of a picture, which lies in its folder then."""
    from pipeline.kept import keep, kept
    from weights.files import remove_unfinished

    def on_step(step, lpips):
        running.bar.update()
        if lpips is not None:
            running.bar.set_postfix(lpips=f"{lpips.mean():.4f}", refresh=False)
        if running.watch is not None:
            running.watch(path, len(found), step, lpips)

    picture, found = running.aligned(path)
    if folder.is_dir():
        remove_unfinished(folder)
    inverted = kept(folder, picture, running.made_with[path])
    if inverted is None:
        inverted = running.work.invert(path, picture, found, running.bundle, on_step)
        keep(folder, inverted, running.made_with[path])
    return inverted


def one_picture(path, folder, entry, running):
    """One picture into its folder, with `entry` and what it says beyond that: "error", or "notes", "composite" and
    "faces"."""
    from pipeline import finish_picture

    work, bar = running.work, running.bar
    try:
        inverted = inverted_one(path, folder, running)
        notes = [*inverted.picture.notes, *inverted.found[0].notes, *work.notes.get(path, [])]
        notes += absent(work.options.preset.finish.per_face, inverted.found)
        for note in notes:
            bar.write(shown(f"{path}: {note}"))
        inverted = work.steady(path, folder, inverted)
        composite, faces = finish_picture(inverted, running.bundle, work.options.preset.finish).save(folder, True)
        done = {"notes": notes, "composite": composite, "faces": faces}
        write_entry(folder, entry | done)
    except Exception as error:
        message = said(error, path, folder)
    else:
        for face in faces:
            for warning in face["warnings"]:
                bar.write(shown(f"{path}: {warning}"))
        return done
    bar.write(shown(f"error: {message}"))
    return {"error": message}


def absent(per_face, found):
    """A line for every face that has settings of its own and is not in the picture."""
    there = {face.index for face in found}
    unused = [index for index in per_face or () if index not in there]
    return [f"there is no face {index}, so the settings given for it are not used" for index in unused]


def said(error, path, folder):
    """One line about what stopped a picture; raises the error where it is a fault of ours."""
    from alignment import AlignmentError, PictureError
    from pipeline import NotFinite

    if isinstance(error, PictureError | AlignmentError | NotFinite | OSError):
        message = cannot_write(error, folder) if isinstance(error, OSError) and error.errno in FULL else str(error)
        return message if str(path) in message else f"{path}: {message}"
    if isinstance(error, MemoryError) or "allocate" in str(error) or "out of memory" in str(error):
        return f"{path}: too large for the memory of this machine; reduce the picture, or use a larger one"
    raise error


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EIO)


def cannot_write(error, out):
    """One line about an OSError of writing."""
    return f"{shown(error.filename or out)}: {error.strerror or error}; make room or give another -o"


def check_writable(out):
    """Raise ClickException unless files can be written into `out`, which is made where it is missing."""
    import tempfile

    try:
        Path(out).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out) as file:
            file.write(b"x")
    except OSError as error:
        raise click.ClickException(
            f"{shown(out)}: nothing can be written there ({error.strerror or error}); give another -o"
        ) from error


def read_start(path, bundle):
    """--init: w+ [N, num_ws, w_dim] of a file of latents; raises ClickException, naming the file."""
    from inversion.latents import load_w_plus

    try:
        return load_w_plus(path, bundle.g_rendering).float().to(bundle.device)
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def gathered(out, entries, rank, world_size):
    """The entries of all processes, in the first; the others leave theirs in a file for it and go."""
    from weights.files import written_atomically

    if world_size == 1:
        return entries

    def handed_over(number):
        return out / f".process{number}.json"

    if rank > 0:
        with written_atomically(handed_over(rank)) as unfinished:
            unfinished.write_text(json.dumps(entries))
        return entries
    for number in range(1, world_size):
        while not handed_over(number).is_file():  # torchrun ends us where that process died
            time.sleep(0.2)
        entries = entries + json.loads(handed_over(number).read_text())
        handed_over(number).unlink()
    return entries
