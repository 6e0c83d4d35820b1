"""What the page's buttons, taps and sliders do. Every method of Actions that layout.py binds gets the values of its
inputs and the gradio.Request, by which the session is known, and returns updates by name (`Page.update`).

Over 300 lines: some twenty actions of a dozen lines each, which share the page's state."""

import hashlib
import html
import queue
import shutil
import threading
import time
from pathlib import Path

from . import drawing
from .command import command_line
from .sessions import square
from .tasks import SHOWN
from .turns import Turns
from .workers import Cancelled, Refused

QUIET = 0.8  # seconds without a move of a slider before the result is judged


class Actions:
    """weights, device, g_rendering: of app.py. quick and slow: Workers; what is found and finished does not wait for
    inversions."""

    def __init__(self, sessions, quick, slow, weights, device, g_rendering=None):
        self.sessions, self.quick, self.slow = sessions, quick, slow
        self.settings = {"weights": weights, "device": device, "g_rendering": g_rendering}
        self.turns = Turns()

    def session(self, request):
        return self.sessions.of(request.session_hash)

    # -- pictures and faces

    def drop(self, files, as_sequence, request):
        """Take over what was uploaded, and look for faces."""
        session, problems = self.session(request), []
        paths = [Path(file) for file in files or []]
        if not paths:
            return self.shown(session)
        for item in session.add(paths, [path.name for path in paths], as_sequence and len(paths) > 1):
            try:
                found = self.quick.call("look", str(item.folder), item.names[0], str(item.served / "seen.jpg"))
            except Refused as error:
                problems.append(str(error))
                session.items.remove(item)
                shutil.rmtree(item.folder, ignore_errors=True)
                continue
            item.size, item.notes, item.faces, item.usual = (found[k] for k in ("size", "notes", "faces", "usual"))
            item.wanted = set(range(len(item.faces)))
            item.finish = dict(item.usual[item.preset])
            session.current = session.items.index(item)
        return self.shown(session) | {"upload": None, "status": said(problems, "problem") if problems else ""}

    def choose(self, title, request):
        session = self.session(request)
        titles = titles_of(session)
        if title in titles:
            session.current = titles.index(title)
        return self.shown(session) | {"status": ""}

    def switch(self, labels, request):
        """Faces by their checkboxes."""
        item = self.session(request).item
        item.wanted = {int(label.split()[1]) - 1 for label in labels}
        return self.faces_of(item) | self.line_of(item)

    def tap(self, point, request):
        """A tap on the picture: a face on or off, or a corner of the square where there is no face."""
        item = self.session(request).item
        if item is None or item.sequence:
            return {}
        x, y = (value / self.scale(item) for value in point)
        if not item.faces:
            if item.corner is None:
                item.corner = (x, y)
            else:
                left, top = min(x, item.corner[0]), min(y, item.corner[1])
                side = max(abs(x - item.corner[0]), abs(y - item.corner[1]))
                item.hand, item.corner = tuple(round(v, 1) for v in (left, top, max(side, 16))), None
            return self.shown(self.session(request))
        hit = [i for i, face in enumerate(item.faces) if drawing.inside(face["quad"], x, y)]
        item.wanted ^= set(hit[-1:])
        return self.faces_of(item) | self.line_of(item)

    def place(self, left, top, side, request):
        """The square by its numbers."""
        item = self.session(request).item
        if item is None or item.faces or item.sequence:
            return {}
        if None not in (left, top, side) and side >= 16:
            item.hand = (float(left), float(top), float(side))
        return self.faces_of(item) | self.line_of(item)

    def change_preset(self, preset, request):
        item = self.session(request).item
        if item is None:
            return {}
        item.preset, item.finish, item.per_face = preset, dict(item.usual[preset]), {}
        return self.sliders_of(item, None) | self.line_of(item)

    # -- the slow half

    def make_real(self, request):
        """Invert the picture; yields the page on the way."""
        session = self.session(request)
        yield from self.make(session, [session.item])

    def make_all(self, request):
        """Invert all pictures that are not done yet."""
        session = self.session(request)
        yield from self.make(session, list(session.items))

    def make(self, session, items):
        session.cancelled.clear()
        for item in [item for item in items if item is not None and item.made != item.job(self.settings)]:
            if not item.hand and not item.wanted and not item.sequence:
                remedy = "switch one on" if item.faces else "place a square around one"
                yield {"status": said([f"{item.title}: no face; {remedy}"], "problem")}
                continue
            session.current = session.items.index(item)
            yield self.shown(session) | {"busy": True}
            yield from self.one_item(session, item)
            if session.cancelled.is_set():
                break
        session.used = time.time()
        yield {"busy": False, "portrait": None}
        if session.item is not None and session.item.results:
            yield self.shown(session) | self.finished(session.item)
            yield self.judged(session.item)

    def one_item(self, session, item):
        """Invert one; yields status and preview."""
        job, news, outcome = item.job(self.settings), queue.Queue(), []

        def work():
            try:
                while self.turns.before(news, 0.3):
                    if session.cancelled.is_set():
                        raise Cancelled
                    news.put(("place", self.turns.before(news, 0)))
                item.results = self.slow.call("invert", item.finished(job), on_event=lambda *event: news.put(event),
                                              cancelled=session.cancelled)  # fmt: skip
                item.made = job
                outcome.append("")
            except Cancelled:
                outcome.append(said([f"{item.title}: cancelled"]))
            except Refused as error:
                outcome.append(said([str(error)], "problem"))
            finally:
                self.turns.leave(news)

        self.turns.join(news)
        started, done = None, 0
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            while thread.is_alive() or not news.empty():
                try:
                    kind, *facts = news.get(timeout=0.3)
                except queue.Empty:
                    continue
                session.used = time.time()
                if kind == "place":
                    before = "one job is" if facts[0] == 1 else f"{facts[0]} jobs are"
                    yield {"status": said([f"{item.title}: waiting, {before} before this one"])}
                elif kind == "preview":
                    path = item.served / f"portrait-{time.monotonic_ns()}.jpg"
                    path.write_bytes(facts[0])
                    yield {"portrait": str(path)}
                elif kind == "step" and (facts[0] <= 1 or time.monotonic() - done > 0.25):
                    done = time.monotonic()
                    started = done if facts[0] <= 1 else started  # the first step takes long
                    yield {"status": progress(item.title, *facts, done - started)}
        finally:
            if thread.is_alive():  # the browser is gone
                session.cancelled.set()
            for old in item.served.glob("portrait-*"):
                old.unlink(missing_ok=True)
        thread.join()
        errors = item.results["errors"] if item.results and not outcome[0] else []
        yield {"status": said(errors, "problem") if errors else outcome[0]}

    def cancel(self, request):
        self.session(request).cancelled.set()
        return {"status": said(["stopping ..."])}

    # -- the fast half

    def move(self, whose, strength, detail, blend, request):
        """A slider was moved."""
        item = self.session(request).item
        if item is None or not item.finish:
            return {}
        index, settings = face_of(whose), {"strength": strength, "detail": detail, "blend": blend}
        for name, value in settings.items():
            if index is None and item.finish[name] != value:
                item.finish[name] = value
                for other in item.per_face.values():
                    other.pop(name, None)
            elif index is not None:
                item.per_face.setdefault(index, {})[name] = value
        item.moves += 1
        return (self.finished(item) if item.results else {}) | self.line_of(item)

    def whose(self, whose, request):
        """The sliders are to act on another face."""
        item = self.session(request).item
        return {} if item is None else self.sliders_of(item, face_of(whose))

    def finished(self, item):
        """Before and after, as the item is set."""
        before, after = item.served / "before.jpg", item.served / f"after-{item.moves}.jpg"
        try:
            self.quick.call("finish", self.as_set(item), item.number, str(before), str(after))
        except Refused as error:
            return {"status": said([str(error)], "problem")}
        keep_latest(item.served, "after-*")
        return {"slider": (str(before), str(after))}

    def as_set(self, item):
        """The Job that was done, or would be, with the finish that is set now."""
        return item.finished(item.made or item.job(self.settings))

    def judge(self, request):
        """The warnings, once the sliders rest."""
        item = self.session(request).item
        if item is None or not item.results:
            return {}
        moves = item.moves
        time.sleep(QUIET)
        return self.judged(item) if moves == item.moves else {}

    def judged(self, item):
        try:
            warnings = self.quick.call("judge", self.as_set(item), item.number)
        except Refused as error:
            return {"status": said([str(error)], "problem")}
        lines = []
        for index, sentences in sorted(warnings.items()):
            words = "; ".join(sentences) or "nothing to look at twice"
            kind = "warning" if sentences else "fine"
            lines.append(f'<li class="{kind}"><b>Face {index + 1}</b>: {html.escape(words)}</li>')
        return {"warnings": f'<ul class="faces">{"".join(lines)}</ul>'}

    # -- taking it home

    def composite(self, request):
        """The composite's file, in the picture's own format."""
        item = self.session(request).item
        if item is None or not item.results:
            return {"status": said(["nothing is made yet"], "problem")}
        target = item.served / f"{Path(item.names[0]).stem}-real"
        try:
            job = self.as_set(item)
            return {"composite": self.quick.call("composite", job, item.number, str(target))}
        except Refused as error:
            return {"status": said([str(error)], "problem")}

    def everything(self, request):
        """The folder of project.py as a zip; of a sequence, its preview."""
        item = self.session(request).item
        if item is None or not item.results:
            return {"status": said(["nothing is made yet"], "problem")}
        target = item.served / f"{Path(item.names[0]).stem}-out.zip"
        try:
            self.quick.call("save", self.as_set(item), str(target))
        except Refused as error:
            return {"status": said([str(error)], "problem")}
        return {"archive": str(target)} | self.animation_of(item)

    # -- what is shown

    def shown(self, session):
        """The page of the session's current picture."""
        item = session.item
        if item is None:
            return {"titles": ([], None)}
        update = {"titles": (titles_of(session), titles_of(session)[session.current]), "preset": item.preset}
        update |= self.faces_of(item) | self.sliders_of(item, None) | self.line_of(item)
        notes = [*item.notes, *(note for face in item.faces for note in face["notes"])]
        if not item.faces and item.sequence:
            notes.append("no face was found in the first frame")
        elif not item.faces:
            notes.append("no face was found: tap two corners of a square around it, or write its numbers")
        update |= {"notes": said(notes) if notes else "", "warnings": ""}
        return update | (self.finished(item) | self.animation_of(item) if item.results else {"slider": None})

    def faces_of(self, item):
        scale = self.scale(item)
        squares = [(face["quad"], str(i + 1), i in item.wanted) for i, face in enumerate(item.faces)]
        if not item.faces and item.hand:
            numbers = square(*item.hand)
            squares = [([numbers[i : i + 2] for i in range(0, 8, 2)], "1", True)]
        elif not item.faces and item.corner:
            x, y = item.corner
            squares = [([(x, y), (x, y + 9), (x + 9, y + 9), (x + 9, y)], "", True)]
        drawn = hashlib.sha256(repr(squares).encode()).hexdigest()[:12]  # the same squares are the same file
        path = item.served / f"faces-{drawn}.jpg"
        if not path.is_file():
            drawing.with_squares(item.served / "seen.jpg", squares, scale).save(path, quality=90)
            keep_latest(item.served, "faces-*")
        labels = [] if item.sequence else [f"Face {i + 1}" for i in range(len(item.faces))]
        on = [label for i, label in enumerate(labels) if i in item.wanted]
        return {"seen": str(path), "faces": (labels, on), "hand": (not item.faces and not item.sequence, item.hand)}

    def sliders_of(self, item, index):
        faces = sorted(item.wanted) if item.faces else [0]
        whose = [ALL, *(f"Face {i + 1}" for i in faces)] if len(faces) > 1 and not item.sequence else [ALL]
        return {"whose": (whose, ALL if index is None else f"Face {index + 1}"), "sliders": item.of_face(index)}

    def line_of(self, item):
        return {"line": command_line(self.as_set(item))} if item.finish else {}

    def animation_of(self, item):
        preview = item.folder / "out" / "preview.png"
        if not item.sequence or not preview.is_file():
            return {"animation": None}
        path = item.served / f"preview-{preview.stat().st_mtime_ns}.png"
        shutil.copyfile(preview, path)
        return {"animation": str(path)}

    def scale(self, item):
        """From the picture to the copy on which faces are shown."""
        return min(SHOWN / max(item.size), 1.0)


ALL = "All faces"


def keep_latest(folder, pattern, count=4):
    """Remove all files of a pattern but the latest, which a browser may be about to fetch."""
    files = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime_ns)
    for old in files[:-count]:
        old.unlink(missing_ok=True)


def face_of(whose):
    return None if whose in (None, ALL) else int(whose.split()[1]) - 1


def titles_of(session):
    """One name a picture, no two of them one."""
    return [f"{i + 1}. {item.title}" for i, item in enumerate(session.items)]


def said(lines, kind="note"):
    return "".join(f'<p class="{kind}" role="status">{html.escape(line)}</p>' for line in lines)


def progress(title, done, steps, lpips, seconds):
    """A bar with words: how far, how long yet, how close."""
    words = f"{html.escape(title)}: step {done} of {steps}"
    if done >= steps:
        words = f"{html.escape(title)}: putting it into the picture"
    elif done > 2:
        words += f", about {seconds / (done - 1) * (steps - done):.0f} s left"
    if lpips is not None:
        words += f" (LPIPS {lpips:.3f})"
    return f'<p role="status">{words}</p><progress aria-label="{words}" max="{steps}" value="{done}"></progress>'
