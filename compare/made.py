"""A results folder that is made here: what of it is still good, and the record that says so.

    FOLDER/NAME.png       the results, in the common form of compared systems (systems.py), with their system.json
    FOLDER/report.json    {"settings", "pictures": [{"output": NAME, "fingerprint", "seconds"} or {..., "error"}]}
"""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import click

from weights.files import printable, read_json, written_atomically

from .systems import System, write_card

REPORT = "report.json"


@dataclass(frozen=True)
class Made:
    """One such folder. system: what makes its results. settings: JSON, what they depend on beside the inputs.
    parts: the folders below it in which every result has a picture."""

    folder: Path
    system: System
    settings: dict
    parts: tuple = ("",)

    def files(self, name):
        """The pictures of one result."""
        return [self.folder / part / f"{name}.png" for part in self.parts]

    def still_good(self, prints):
        """{name: entry} of an earlier run with these settings and inputs; what was made otherwise is removed.

        prints: {name: fingerprint of its input, or None}. What `prints` does not name stays if the settings are these.
        Raises ClickException for a folder that holds pictures of these names and no report of ours.
        """
        if not (self.folder / REPORT).is_file():
            foreign = next((file for name in prints for file in self.files(name) if file.exists()), None)
            if foreign is not None:
                remedy = "give another folder, or move it away"
                raise click.ClickException(f"{printable(foreign)}: not made here, and would be overwritten; {remedy}")
            return {}
        earlier, same = self._earlier()
        entries = {}
        for name, entry in earlier.items():
            if same and prints.get(name, entry["fingerprint"]) == entry["fingerprint"] and self._all_there(name):
                entries[name] = entry
        for part in self.parts:  # all of what is there was made here
            for file in (self.folder / part).glob("*.png"):
                if file.stem not in entries and (file.stem in prints or file.stem in earlier or not earlier):
                    file.unlink(missing_ok=True)
        return entries

    def _earlier(self):
        """({name: entry} of what the report says was made, are the settings these?)."""
        try:
            report = read_json(self.folder / REPORT)
            entries = {entry["output"]: entry for entry in report["pictures"] if finished(entry)}
            return entries, report["settings"] == json.loads(json.dumps(self.settings))
        except (OSError, ValueError, KeyError, TypeError):
            return {}, False

    def _all_there(self, name):
        """Can all pictures of a result be read?"""
        from alignment import PictureError, read_picture

        try:
            return all(read_picture(file) is not None for file in self.files(name))
        except (PictureError, OSError):
            return False

    def record(self, entries):
        """Write the report, and the card with the mean seconds of a picture; returns the card."""
        seconds = [entry["seconds"] for entry in entries.values() if "error" not in entry]
        report = {"settings": self.settings, "pictures": list(entries.values())}
        with written_atomically(self.folder / REPORT) as unfinished:
            unfinished.write_text(json.dumps(report, indent=1))
        system = replace(self.system, seconds=sum(seconds) / len(seconds) if seconds else None)
        write_card(self.folder, system)
        return system


def finished(entry):
    """Does an entry say that its result was made? Whatever a damaged report holds is looked at."""
    name, seconds = entry["output"], entry.get("seconds")
    plain = isinstance(name, str) and name not in ("", ".", "..") and Path(name).name == name
    timed = type(seconds) in (int, float) and math.isfinite(seconds)
    return plain and timed and "error" not in entry and isinstance(entry.get("fingerprint"), str)
