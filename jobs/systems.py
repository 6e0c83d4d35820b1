"""The common form of all systems that are compared: a folder with one result per aligned portrait.

    FOLDER/000123.png     the result for the input 000123, of any size
    FOLDER/system.json    what made it: {"system", "source", "checkpoint", "seconds"}; may be missing

Our own methods write this form, so that they are measured like everybody else's.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from weights.files import written_atomically

CARD = "system.json"


@dataclass(frozen=True)
class System:
    """system: its name. source: paper or address. checkpoint: {role: SHA-256 of the file}, or None when unknown.
    seconds: per picture, or None."""

    system: str
    source: str = ""
    checkpoint: dict | None = None
    seconds: float | None = None


def write_card(folder, system):
    """Write a System beside its results."""
    with written_atomically(Path(folder) / CARD) as unfinished:
        unfinished.write_text(json.dumps(asdict(system), indent=1))
