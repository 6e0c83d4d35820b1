"""Which pictures, and which faces in them, a command was asked to work on."""

import os
from contextlib import contextmanager
from pathlib import Path

import click

from .results import fingerprint, fingerprint_of

OVERWRITTEN = "would be overwritten by the run's own file of that name; rename it, or give another -o"
OWN_FILES = ("sheet.png", "preview.png")  # that a run leaves in its output folder


def find_pictures(inputs, out=None):
    """[(path, name of its output)] for files and folders, in order; what is left out of a folder is said in a line.

    out: the output folder; where it is also an input, the run's own pictures are no inputs. Raises ClickException for a
    folder without pictures.
    """
    from alignment.listing import left_out_line, pictures_in
    from alignment.names import output_names
    from alignment.text import shown

    own = set() if out is None else {os.path.realpath(Path(out) / name) for name in OWN_FILES}
    ours = out is not None and (Path(out) / "report.json").is_file()
    paths = []
    for item in map(Path, inputs):
        if not item.is_dir():
            if os.path.realpath(item) in own:
                raise click.ClickException(f"{shown(item)}: {OVERWRITTEN}")
            paths.append(item)
            continue
        try:
            inside, left_out = pictures_in(item)
        except OSError as error:
            raise click.ClickException(f"{shown(item)}: cannot be read ({error.strerror}); check the folder") from error
        if not ours and any(os.path.realpath(path) in own for path in inside):
            raise click.ClickException(f"{shown(item)}: holds a {' or '.join(OWN_FILES)}; it {OVERWRITTEN}")
        inside = [path for path in inside if os.path.realpath(path) not in own]
        if left_out:
            click.echo(left_out_line(left_out), err=True)
        if not inside:
            raise click.ClickException(f"{shown(item)}: holds no pictures; give another folder, or files")
        paths += inside
    return list(zip(paths, output_names(paths), strict=True))


def natural_order(pictures):
    """[(path, name)] with the numbers in the names counted: frame2 before frame10."""
    from alignment.listing import natural_key

    return sorted(pictures, key=lambda item: natural_key(item[0]))


def given_faces(landmarks, quad, pictures):
    """path -> arguments of `find_faces` for the faces that --landmarks or --quad point out, as a function."""
    if landmarks is None and quad is None:
        return lambda path: {}
    from alignment import AlignmentError, read_landmarks
    from alignment.crop import check_quad
    from alignment.text import shown

    if landmarks is not None and quad is not None:
        raise click.ClickException("--landmarks and --quad both say where the face is; give one of them")
    kind = "quad" if quad is not None else "landmarks"
    try:
        if quad is not None:
            points = {None: check_quad([quad[i : i + 2] for i in range(0, 8, 2)])}
        else:
            points = read_landmarks(landmarks)
    except (AlignmentError, ValueError) as error:
        raise click.ClickException(f"--{kind}: {error}") from error
    unknown = sorted(points.keys() - {None} - {path.name for path, _ in pictures})
    if unknown:
        named = ", ".join(map(shown, unknown[:3])) + (" ..." if len(unknown) > 3 else "")
        click.echo(f"--landmarks: no picture here is called {named}", err=True)
    if None in points and len(pictures) > 1:
        remedy = "name one picture as INPUT, or name pictures (of a video frames) in the --landmarks file"
        many = f"there are {len(pictures)} pictures or frames"
        raise click.ClickException(f"--{kind} says where the face of one picture is, but {many}; {remedy}")
    return lambda path: {kind: points.get(path.name, points.get(None))}


class Separate:
    """Pictures that have nothing to do with each other, as work for a run: each starts from the same latent, and the
    processes of torchrun share them. jobs.sequence.Sequence has the same methods."""

    settings = {}

    def __init__(self, pictures, options, start):
        self.pictures, self.options, self.start = pictures, options, start
        self.notes = {}  # path: lines for its report, beyond those of reading it

    def search(self, path, pixels):
        """The faces of a picture, as alignment.Found; raises AlignmentError."""
        from alignment import find_faces

        return find_faces(pixels, self.options.faces, **self.options.given(path))

    def fingerprints(self, settings):
        """{path: what its inversion depends on}."""
        given = self.options.given
        return {path: fingerprint(path, settings | {"given": given(path)}) for path, _ in self.pictures}

    def begin(self, found):
        """(start, as for Bundle.begin, and schedule) for the faces of a picture. Raises AlignmentError where there are
        more latents than faces, or fewer but not one."""
        from alignment import AlignmentError

        if self.start is not None and len(self.start) not in (1, len(found)):
            remedy = "give one latent for all, or one a face"
            raise AlignmentError(f"--init holds {len(self.start)} latents, the picture {len(found)} faces; {remedy}")
        return self.start, self.options.preset.schedule

    def invert(self, path, picture, found, bundle, on_step):
        """The Inverted of the faces `found` in a Picture. on_step(step, lpips)."""
        from pipeline import invert_faces

        start, schedule = self.begin(found)
        return invert_faces(picture, found, bundle, schedule, start, on_step)

    def steady(self, path, folder, inverted):
        """The Inverted of a picture as it is to be finished."""
        return inverted

    def finishes(self, made_with, finish):
        """{path: what its result depends on}."""
        return {path: fingerprint_of(print_, finish) for path, print_ in made_with.items()}

    def steps(self, index):
        """Steps of the first `index` pictures."""
        return index * self.options.preset.schedule.length

    def summary(self, out, entries):
        """What the report says of the whole beyond its pictures."""
        return {}


@contextmanager
def read_ahead(paths, search, workers):
    """Yields aligned(path) -> (Picture, search(path, its pixels)), which raises what reading or searching raised.

    The next `workers` of `paths`, which must be asked for in this order, are read and searched by threads meanwhile.
    """
    from concurrent.futures import ThreadPoolExecutor

    from alignment import read_picture

    def align(path):
        picture = read_picture(path)
        return picture, search(path, picture.pixels)

    if workers == 0:
        yield align
        return
    with ThreadPoolExecutor(workers) as threads:
        waiting, running = list(paths), {}

        def aligned(path):
            while waiting and len(running) <= workers:
                following = waiting.pop(0)
                running[following] = threads.submit(align, following)
            return running.pop(path).result() if path in running else align(path)

        yield aligned
