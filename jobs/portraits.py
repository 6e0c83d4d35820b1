"""Portraits made elsewhere (--portrait), as work for a run: nothing is inverted (pipeline/external.py)."""

from pathlib import Path

import click

from .inputs import Separate
from .results import fingerprint


def partners(portrait, pictures):
    """{path of a picture: path of its portrait, or why there is none} for --portrait, a file or a folder, in which the
    one of the same stem is meant. Raises ClickException where it can be none at all."""
    from alignment.listing import pictures_in
    from alignment.names import folded
    from alignment.text import shown

    portrait = Path(portrait)
    if not portrait.is_dir():
        if not portrait.is_file():
            raise click.ClickException(f"--portrait: {shown(portrait)}: no such file or folder; check the path")
        if len(pictures) > 1:
            raise click.ClickException(f"--portrait is one file, but there are {len(pictures)} pictures; give a folder")
        return {path: portrait for path, _ in pictures}
    try:
        inside, _ = pictures_in(portrait)
    except OSError as error:
        raise click.ClickException(f"--portrait: {shown(portrait)}: cannot be read ({error.strerror})") from error
    by_stem = {}
    for path in inside:
        by_stem.setdefault(folded(path.stem), []).append(path)
    found = {}
    for path, _ in pictures:
        own = by_stem.get(folded(path.stem), [])
        names = ", ".join(shown(other.name) for other in own)
        where = f"in {shown(portrait)}"
        found[path] = own[0] if len(own) == 1 else (
            f"several portraits {where} have its name ({names}); leave one" if own else
            f"no portrait {where} is called {shown(path.stem)}; add it, or leave the picture out"
        )  # fmt: skip
    return found


class Edited(Separate):
    """Pictures with a portrait each."""

    def __init__(self, pictures, options, start=None):
        super().__init__(pictures, options, start)
        self.partners = options.portraits

    def search(self, path, pixels):
        """The faces of a picture; raises AlignmentError, too, where its portrait is missing."""
        from alignment import AlignmentError

        if isinstance(self.partners[path], str):
            raise AlignmentError(f"{path}: {self.partners[path]}")
        return super().search(path, pixels)

    def fingerprints(self, settings):
        found = {path: other for path, other in self.partners.items() if isinstance(other, Path)}
        portraits = {path: fingerprint(other, {}) for path, other in found.items()}
        return {
            path: fingerprint(path, settings | {"given": self.options.given(path), "portrait": portraits.get(path)})
            for path, _ in self.pictures
        }

    def invert(self, path, picture, found, bundle, on_step):
        """The Inverted of a picture and its portrait."""
        from alignment import read_picture
        from pipeline.external import from_edited

        inverted = from_edited(picture, found, read_picture(self.partners[path]), self.partners[path])
        on_step(1, None)
        return inverted

    def steps(self, index):
        return index
