"""Draw the paired avatars: every person once as computer graphics, once as a photograph, with labels. CC0.

    python scripts/render_avatars.py --makehuman DIR --assets DIR --out avatars --size 256 --count 3486
    python scripts/render_avatars.py --makehuman DIR --assets DIR --out avatars --first 3486 --count 192 --matched

OUT holds rendered/, real/, parsing/ and manifest.jsonl (a line a person: everything that was drawn at random). Person
number i depends on the seed and i only. Finished people are skipped, so the same command resumes. With --matched it
draws matched/ instead, the photo look in the light of rendered/: the true answer for evaluation; never train on those
numbers. With --texture-case it draws heads with a known texture instead, folders case0, case1, ... of the layout that
scripts/paper/table_texture.py measures (avatars/texture_case.py lists the files). Needs `pip install -e .[render]`
(Blender as a module, Python 3.11) and MakeHuman's CC0 files (docs/data.md).
"""

import functools
import json
import multiprocessing
import sys
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

STAYS = 200  # people a process draws before a new one takes its place: Blender's memory grows by 3 MB a person
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
SHARE = click.FloatRange(0, 1)


@click.command(help=__doc__)
@click.option("--makehuman", required=True, type=FOLDER, help="`makehuman/data` of MakeHuman.")
@click.option("--assets", required=True, type=FOLDER, help="`base` of MakeHuman's system assets.")
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Output folder.")
@click.option("--size", default=256, show_default=True, type=click.IntRange(32), help="Side in pixels.")
@click.option("--count", default=3486, show_default=True, type=click.IntRange(1), help="How many people.")
@click.option("--first", default=0, show_default=True, type=click.IntRange(0), help="Number of the first.")
@click.option("--samples", type=click.IntRange(1), help="Light paths a pixel.  [default: 12, matched: 16]")
@click.option("--seed", default=2026, show_default=True)
@click.option("--glasses", default=0.0, show_default=True, type=SHARE, help="Share of people who wear them (label 6).")
@click.option("--hats", default=0.0, show_default=True, type=SHARE, help="Share of people who wear one (label 18).")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes, one core each.")
@click.option("--matched", is_flag=True, help="Draw matched/ instead.")
@click.option("--texture-case", "texture", type=click.IntRange(64), help="Draw cases, textures of this side, instead.")
def main(makehuman, assets, out, size, count, first, samples, seed, glasses, hats, workers, matched, texture):
    if matched and texture:
        raise click.ClickException("--matched and --texture-case are two kinds of pictures; give one of them")
    for file in (makehuman / "3dobjs" / "base.obj", assets / "hair"):
        if not file.exists():
            raise click.ClickException(f"{file}: missing; docs/data.md says which MakeHuman files are needed")
    default = 16 if matched else 12
    settings = dict(size=size, samples=samples or default, seed=seed, glasses=glasses, hats=hats)
    studio = functools.partial(start, makehuman, assets, settings)
    if texture:
        check_settings(out, settings | {"texture": texture}, "settings.json")
        draw_cases(out, texture, studio, range(first, first + count), workers)
        return
    check_settings(out, settings, "settings-matched.json" if matched else "settings.json")
    manifest = out / "manifest.jsonl"
    records = {} if matched else read_records(manifest)
    done = {path.stem for path in (out / "matched").glob("*.jpg")} if matched else set(records)
    if records:
        write_sorted(manifest, records)  # without a line that was cut off
    numbers = [i for i in range(first, first + count) if f"{i:06d}" not in done]
    task = functools.partial(draw, out, matched)
    try:
        for record in drawn(numbers, task, studio, workers, count - len(numbers), count):
            if not matched:
                records[record["id"]] = record
                with open(manifest, "a") as lines:
                    lines.write(json.dumps(record) + "\n")
    except OSError as error:
        raise click.ClickException(f"{error.filename or out}: {error.strerror or error}; see docs/data.md") from error
    if not matched:
        write_sorted(manifest, records)
    click.echo(f"{out}: {len(done) + len(numbers)} people")


def draw_cases(out, side, studio, numbers, workers):
    """Cases of which case.json, written last, is there are done."""
    missing = [i for i in numbers if not (out / f"case{i}" / "case.json").is_file()]
    try:
        for _ in drawn(missing, functools.partial(draw_case, out, side), studio, workers, 0, len(missing)):
            pass
    except OSError as error:
        raise click.ClickException(f"{error.filename or out}: {error.strerror or error}; see docs/data.md") from error
    click.echo(f"{out}: {len(numbers)} cases")


def drawn(numbers, task, initializer, workers, initial, total):
    """task(number) for every number in `workers` processes, each of which runs `initializer` first; yields results."""
    from tqdm import tqdm

    with tqdm(total=total, initial=initial, unit="person", mininterval=1) as bar:
        for start in range(0, len(numbers), STAYS * workers):
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(workers, context, initializer) as pool:
                waiting = {pool.submit(task, number) for number in numbers[start : start + STAYS * workers]}
                try:
                    while waiting:
                        finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                        for future in finished:
                            yield future.result()
                            bar.update()
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise


_studio = None  # of a worker process


def start(makehuman, assets, settings):
    global _studio
    try:
        from avatars.draw import Studio
    except ImportError as error:
        _studio = click.ClickException(f"{error.name} is missing: pip install -e .[render] (docs/data.md)")
        return
    try:
        _studio = Studio(makehuman, assets, **settings)
    except OSError as error:
        _studio = error


def draw(out, matched, number):
    if isinstance(_studio, Exception):
        raise _studio
    from avatars import draw as pictures

    return pictures.matched(_studio, number, out) if matched else pictures.pair(_studio, number, out)


def draw_case(out, side, number):
    if isinstance(_studio, Exception):
        raise _studio
    from avatars.texture_case import texture_case

    return texture_case(_studio, number, out, side)


def check_settings(out, settings, name):
    """A folder holds people drawn with one size, seed and shares: refuse to mix."""
    from weights.files import written_atomically

    file = out / name
    if file.exists() and (before := json.loads(file.read_text())) != settings:
        differ = ", ".join(f"{key} {before.get(key)}" for key in settings if before.get(key) != settings[key])
        raise click.ClickException(f"{out}: was drawn with {differ}; say the same, or choose another --out")
    with written_atomically(file) as unfinished:
        unfinished.write_text(json.dumps(settings, indent=1))


def read_records(manifest):
    """{id: record} of the people drawn so far; a line that was cut off counts as not drawn."""
    records = {}
    for line in manifest.read_text().splitlines(keepends=True) if manifest.exists() else ():
        if line.endswith("\n"):
            record = json.loads(line)
            records[record["id"]] = record
    return records


def write_sorted(manifest, records):
    from weights.files import written_atomically

    with written_atomically(manifest) as unfinished:
        unfinished.write_text("".join(json.dumps(records[key]) + "\n" for key in sorted(records)))


if __name__ == "__main__":
    main()
