"""The common form of all systems that are compared: a folder with one result per aligned portrait.

    FOLDER/000123.png     the result for the input 000123, of any size
    FOLDER/system.json    what made it: {"system", "source", "checkpoint", "seconds"}; may be missing

Our own methods write this form, so that they are measured like everybody else's. `read_system` also takes the folders
that other tools leave:

    pSp                   FOLDER/inference_results/NAME.jpg (inference_coupled/ is not looked at)
    ReStyle, HyperStyle   FOLDER/inference_results/STEP/NAME.jpg; the last step counts
    e4e                   FOLDER/inversions/00001.jpg, ...: numbers in the sorted order of the inputs
    SDEdit, AgileGAN      FOLDER/NAME.SUFFIX
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import click

from alignment.formats import PICTURE_SUFFIXES
from alignment.text import one_line, shown
from jobs.inputs import find_pictures
from weights.files import read_json, written_atomically

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


def read_system(folder, names):
    """(System, {stem: path}): what made a folder of results, and the result for every input that has one.

    names: the file names (or paths) of all inputs. Without system.json the folder's name is the system's. Pictures that
    are named like no input are left out. Raises ClickException, naming the folder, when there are no results or it is
    not clear which result belongs to which input.
    """
    folder = Path(folder)
    if not folder.is_dir():
        remedy = "give the folder that a system wrote its results to"
        raise click.ClickException(f"{shown(folder)}: no such folder; {remedy}")
    inputs = sorted(Path(name).name for name in names)
    stems = [Path(name).stem for name in inputs]
    for before, after in zip(inputs, inputs[1:], strict=False):
        if Path(before).stem == Path(after).stem:
            raise click.ClickException(
                f"{shown(after)}: the input {shown(before)} has the same name; rename one of the two"
            )
    results, numbered = _results_folder(folder)
    pictures = [path for path, _ in find_pictures([results])]
    if numbered:
        found = _by_number(results, pictures, stems)
    else:
        found = {}
        for path in pictures:
            if path.stem in found and path.stem in stems:
                other = shown(found[path.stem].name)
                raise click.ClickException(f"{shown(path)}: {other} has the same name; remove one of the two")
            found[path.stem] = path
        found = {stem: found[stem] for stem in stems if stem in found}
    if not found:
        raise click.ClickException(
            f"{shown(results)}: its pictures ({shown(pictures[0].name)}, ...) are named like none of the inputs "
            f"({shown(', '.join(inputs[:1]))}, ...); name every result like its input"
        )
    return _read_card(folder), found


def _results_folder(folder):
    """(where the pictures lie, are they numbered?) in a folder as a tool leaves it."""
    if (folder / "inversions").is_dir():
        return folder / "inversions", True
    if (folder / "inference_results").is_dir():
        folder = folder / "inference_results"
    steps = [path for path in folder.iterdir() if path.is_dir() and path.name.isdecimal()]
    if steps and not any(path.suffix.lower() in PICTURE_SUFFIXES for path in folder.iterdir()):
        folder = max(steps, key=lambda path: int(path.name))
    return folder, False


def _by_number(folder, paths, stems):
    """{stem: path}: number 1 is the first of the sorted inputs, and there is one for every input."""
    numbers = {int(path.stem): path for path in paths if path.stem.isdecimal()}
    if len(numbers) != len(paths) or sorted(numbers) != list(range(1, len(stems) + 1)):
        raise click.ClickException(
            f"{shown(folder)}: holds {len(paths)} pictures ({shown(paths[0].name)}, ...), not the numbers 1 to "
            f"{len(stems)} of the sorted inputs; give the very folder of inputs that it was made from"
        )
    return {stem: numbers[index + 1] for index, stem in enumerate(stems)}


def _read_card(folder):
    """The System in system.json, or one with the folder's name."""
    path = folder / CARD
    if not path.is_file():
        return System(folder.resolve().name)
    try:
        card = read_json(path)
        system = System(**{field.name: card[field.name] for field in fields(System) if field.name in card})
        if not isinstance(system.system, str) or not isinstance(system.source, str):
            raise ValueError("its names are no text")
        if system.seconds is not None and (type(system.seconds) not in (int, float) or system.seconds < 0):
            raise ValueError("its seconds are no number")
        return system
    except (ValueError, TypeError) as error:
        remedy = f"not the card of a system ({one_line(error)}); repair or remove it"
        raise click.ClickException(f"{shown(path)}: {remedy}") from error
