"""Whose pictures, and where they lie: nobody sees another's, and nothing stays.

    ROOT/sessions/RANDOM/N/     a picture, or the frames of a sequence, and `out`: not served
    ROOT/served/RANDOM/         of that session what its browser is shown and given
    ROOT/served/...             uploads, before they are taken over

ROOT is a temporary folder, removed on exit; a session's folders go an hour after it was last used, or some minutes
after its tab was closed.
"""

import secrets
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from alignment.names import output_names, safe_name

from .command import Job

KEPT = 3600  # seconds
GRACE = 300  # seconds for a browser that lost the connection


@dataclass
class Item:
    """One picture of a session, or one sequence."""

    folder: Path
    served: Path
    title: str
    inputs: tuple
    names: tuple
    sequence: bool = False
    size: tuple = (0, 0)
    notes: list = field(default_factory=list)
    faces: list = field(default_factory=list)  # {"quad", "notes"} each, as found
    wanted: set = field(default_factory=set)  # indices of those that are switched on
    hand: tuple | None = None  # (left, top, side) of a square placed by hand
    corner: tuple | None = None  # the first of two corners that were tapped
    preset: str = "fast"
    usual: dict = field(default_factory=dict)  # {preset: {setting: value}}
    finish: dict = field(default_factory=dict)  # {setting: value}, of all faces
    per_face: dict = field(default_factory=dict)  # {index: {setting: value}} where a face differs
    made: object = None  # the Job that was inverted
    results: dict | None = None  # of tasks.invert
    moves: int = 0  # of sliders

    @property
    def outputs(self):
        return tuple(output_names(self.names))

    def job(self, settings):
        """The Job of the picture as it is set now, but for the finish. settings: weights, device and g_rendering."""
        everything = self.sequence or self.hand is not None or len(self.wanted) == len(self.faces)
        return Job(
            folder=str(self.folder),
            inputs=self.inputs,
            names=self.names,
            outputs=self.outputs,
            sequence=self.sequence,
            faces=None if everything else tuple(sorted(self.wanted)),
            quad=self.hand and square(*self.hand),
            preset=self.preset,
            **settings,
        )

    def finished(self, job):
        """A Job with the finish that is set now."""
        usual = self.usual[job.preset]
        return replace(
            job,
            finish=tuple((name, value) for name, value in self.finish.items() if value != usual[name]),
            per_face=tuple(
                (index, name, value)
                for index, values in sorted(self.per_face.items())
                for name, value in values.items()
                if value != self.finish[name]
            ),
        )

    @property
    def number(self):
        """Of the picture that is shown: the first that was done."""
        return self.outputs.index(self.results["entries"][0]["output"])

    def of_face(self, index):
        """The finish of one face, or of all (None)."""
        return self.finish | self.per_face.get(index, {})


def square(left, top, side):
    """The 8 numbers of --quad: top left, bottom left, bottom right, top right."""
    return (left, top, left, top + side, left + side, top + side, left + side, top)


@dataclass
class Session:
    folder: Path
    served: Path
    items: list = field(default_factory=list)
    current: int = 0
    count: int = 0  # of all that were ever added
    cancelled: threading.Event = field(default_factory=threading.Event)  # of the task that runs
    used: float = 0.0
    left: float | None = None  # when its tab was closed

    @property
    def item(self):
        return self.items[self.current] if self.items else None

    def add(self, paths, titles, sequence):
        """Copy uploads into the session; returns the new Items, one a picture, or one of a sequence."""
        stems = [safe_name(Path(title).stem) for title in titles]  # each picture has a folder of its own
        if sequence:
            stems = output_names([Path(title) for title in titles])
        names = [f"{stem}{Path(title).suffix.lower()}" for stem, title in zip(stems, titles, strict=True)]
        pairs = list(zip(paths, names, strict=True))
        groups = [pairs] if sequence else [[pair] for pair in pairs]
        added = []
        for group in groups:
            self.count += 1
            folder = self.folder / str(self.count)
            inside = folder / "frames" if sequence else folder
            inside.mkdir(parents=True)
            for path, name in group:
                shutil.copyfile(path, inside / name)
            inputs = ("frames",) if sequence else (group[0][1],)
            files = tuple(f"frames/{name}" for _, name in group) if sequence else inputs
            title = f"sequence of {len(group)} frames" if sequence else safe_name(group[0][1])
            served = self.served / str(self.count)
            served.mkdir(parents=True)
            item = Item(folder, served, title, inputs, files, sequence)
            self.items.append(item)
            added.append(item)
        return added


class Sessions:
    def __init__(self):
        self.root = Path(tempfile.mkdtemp(prefix="lifelike-page-"))
        self.uploads = self.root / "served"
        self.uploads.mkdir()
        self.all = {}
        self.lock = threading.Lock()

    def of(self, key):
        """The session of a browser's tab."""
        with self.lock:
            if key not in self.all:
                name = secrets.token_hex(16)
                self.all[key] = Session(self.root / "sessions" / name, self.uploads / name)
                self.all[key].folder.mkdir(parents=True)
            self.all[key].used, self.all[key].left = time.time(), None
            return self.all[key]

    def leave(self, key):
        """A tab was closed: its work stops, its pictures go soon."""
        with self.lock:
            if key in self.all:
                self.all[key].cancelled.set()
                self.all[key].left = time.time()

    def sweep(self, now=None):
        """Remove what is out of date."""
        now = now or time.time()
        with self.lock:
            for key, session in list(self.all.items()):
                if now - session.used > KEPT or (session.left and now - session.left > GRACE):
                    session.cancelled.set()
                    self.all.pop(key)
                    shutil.rmtree(session.folder, ignore_errors=True)
                    shutil.rmtree(session.served, ignore_errors=True)
            own = {session.served for session in self.all.values()}
        for path in self.uploads.iterdir():
            if path not in own and now - path.stat().st_mtime > KEPT:
                shutil.rmtree(path, ignore_errors=True)

    def sweep_forever(self, seconds=60):
        def work():
            while self.root.is_dir():
                time.sleep(seconds)
                if self.root.is_dir():
                    self.sweep()

        threading.Thread(target=work, daemon=True).start()

    def remove(self):
        shutil.rmtree(self.root, ignore_errors=True)
