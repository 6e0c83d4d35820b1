"""A results folder that is made here: what of it is still good, and the record that says so.

FOLDER/NAME.png       the results, in the common form of compared systems (systems.py), with their system.json
FOLDER/report.json    {"settings", "pictures": [{"output": NAME, "fingerprint", "seconds"} or {..., "error"}]}
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from weights.files import read_json, written_atomically

from .systems import System, write_card


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
        """
        try:
            report = read_json(self.folder / "report.json")
            earlier = {entry["output"]: entry for entry in report["pictures"]}
            same = report["settings"] == json.loads(json.dumps(self.settings))
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        entries = {}
        for name, entry in earlier.items():
            print_ = entry.get("fingerprint")
            there = print_ is not None and all(file.is_file() for file in self.files(name))
            if same and there and prints.get(name, print_) == print_:
                entries[name] = entry
            else:
                for stale in self.files(name):
                    stale.unlink(missing_ok=True)
        return entries

    def record(self, entries):
        """Write the report, and the card with the mean seconds of a picture; returns the card."""
        seconds = [entry["seconds"] for entry in entries.values() if "error" not in entry]
        report = {"settings": self.settings, "pictures": list(entries.values())}
        with written_atomically(self.folder / "report.json") as unfinished:
            unfinished.write_text(json.dumps(report, indent=1))
        system = replace(self.system, seconds=sum(seconds) / len(seconds) if seconds else None)
        write_card(self.folder, system)
        return system
