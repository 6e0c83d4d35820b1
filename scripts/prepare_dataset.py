"""Turn any pictures of faces into a training set: aligned, filtered FFHQ crops in a folder or zip.

    python scripts/prepare_dataset.py pictures/ more.zip urls.csv -o data/drfhq --size 1024
    python scripts/prepare_dataset.py pictures/ more.zip urls.csv -o data/drfhq --size 1024 --review review-1.json

SOURCE is a folder (any depth), a .zip, or a list of URLs: a .txt with one a line or a .csv with a column `url`. OUT
holds dataset.zip (or dataset/) to train on, rejected.csv with reason and number for every face that is not in it,
review.html to look through the rest, report.json and sheet.png. What a later run starts from is in OUT/crops and
OUT/downloads: the same command goes on where the last one stopped, and does again only what a changed source, limit or
review asks for. The exit code is 0, 1 when some downloads failed (run it again), 2 when there is no training set.
"""

from pathlib import Path

import click

from machine.numbers import finite


def power_of_two(context, parameter, value):
    if value < 16 or value & (value - 1):
        raise click.BadParameter("must be a power of two, 16 at least")
    return value


@click.command(help=__doc__, context_settings={"max_content_width": 110})
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SOURCE...")
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Output folder.")
@click.option("--size", default=1024, show_default=True, callback=power_of_two, help="Side of the crops in pixels.")
@click.option("--format", "kind", default="zip", type=click.Choice(["zip", "folder"]), show_default=True)
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core]")
@click.option(
    "--review",
    "reviews",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file that review.html saved: what is ticked there is left out. Repeatable.",
)
@click.option(
    "--min-side",
    type=click.FloatRange(16),
    callback=finite,
    help="Of the crop, in pixels of its picture.  [default: SIZE]",
)
@click.option(
    "--min-sharpness",
    type=click.FloatRange(0),
    callback=finite,
    help="Of the face; report.json has the range.  [default: by SIZE, faces blurred by about 1.5 pixels go]",
)
@click.option(
    "--max-yaw",
    default=45.0,
    show_default=True,
    type=click.FloatRange(0),
    callback=finite,
    help="Degrees to either side.",
)
@click.option(
    "--max-faces",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Pictures with more faces are left out.",
)
@click.option(
    "--max-difference",
    default=20,
    show_default=True,
    type=click.IntRange(-1, 255),
    help="Crops whose 256-bit hashes differ by no more are duplicates; -1 keeps all.",
)
@click.option(
    "--include",
    multiple=True,
    metavar="PATTERN",
    help="Take only files like this ('rgb_*', '*/images/*'). "
    "Repeatable.  [default: all but maps (depth, normals, masks ...) beside their pictures]",
)
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Leave out files like this. Repeatable.")
@click.option(
    "--rate",
    default=2.0,
    show_default=True,
    type=click.FloatRange(0.01, 100),
    callback=finite,
    help="Downloads: requests a second to one host.",
)
def main(
    sources,
    out,
    size,
    kind,
    workers,
    reviews,
    min_side,
    min_sharpness,
    max_yaw,
    max_faces,
    max_difference,
    include,
    exclude,
    rate,
):
    from alignment import AlignmentError
    from alignment.text import one_line, shown
    from training.preparation import PreparationError
    from training.preparation.filters import Limits
    from training.preparation.measure import usual_limit
    from training.preparation.steps import alone_in, prepare_dataset

    min_sharpness = usual_limit(size) if min_sharpness is None else min_sharpness
    limits = Limits(min_side or size, min_sharpness, max_yaw, max_faces, max_difference)
    try:
        with alone_in(out):
            report = prepare_dataset(sources, out, size, kind, limits, reviews, workers, rate, include, exclude)
    except (PreparationError, AlignmentError) as error:
        raise failure(str(error)) from error
    except OSError as error:  # no permission, a full disk
        remedy = "settle this and run the same command again"
        raise failure(f"{shown(out)}: cannot be written ({error.strerror or one_line(error)}); {remedy}") from error
    except KeyboardInterrupt:
        raise failure("stopped; the same command goes on from here") from None

    click.echo(f"{report['kept']} faces of {report['pictures']} pictures in {report['dataset']}")
    for note in report["notes"]:
        click.echo(note, err=True)
    for reason, count in report["rejected"].items():
        click.echo(f"  {count} left out: {reason}")
    if report["review"]["unknown"]:
        click.echo(f"{report['review']['unknown']} ids of the review belong to no picture here; is it of another set?")
    click.echo(f"reasons in {out / 'rejected.csv'}; now look through {report['review']['pages'][0]}")
    for url, reason in report["failed_downloads"].items():
        click.echo(f"failed: {url}: {reason}", err=True)
    if report["failed_downloads"]:
        raise SystemExit(1)


def failure(message):
    error = click.ClickException(message)
    error.exit_code = 2
    return error


if __name__ == "__main__":
    main()
