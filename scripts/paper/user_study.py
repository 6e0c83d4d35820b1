"""Ask people which picture looks more real, as the paper does (Figs. 6 and 15), and count their answers.

\b
    python scripts/paper/user_study.py make ours=out input=samples -o runs/study
    python scripts/paper/user_study.py report answers/*.json -o runs/study/report

`make` writes one page that works from any file and sends nothing; participants give back the small file it saves.
"""

from pathlib import Path

import click

from compare.arguments import named_paths, refusal


@click.group(help=__doc__, context_settings={"max_content_width": 110})
def main():
    pass


@main.command(context_settings={"max_content_width": 110})
@click.argument("folders", nargs=-1, required=True, metavar="NAME=FOLDER...", callback=named_paths)
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Output folder.")
@click.option("--count", type=click.IntRange(1), help="How many pictures, evenly spread.  [default: all]")
def make(folders, out, count):
    """Write OUT/study.html, a page that asks which picture looks more real.

    Every NAME=FOLDER is a method with its pictures: FOLDER/PICTURE.png, or the out folder of project.py. The pictures
    of the first folder are asked about; the others must have them too, under the same names. Two folders make pairs
    (Fig. 15: ours=out input=displays), more make sets of which one picture is chosen (Fig. 6). The first is the method
    that the report's histogram counts. Also writes study.json and, for yourself only, sheet.png.

    Give participants study.html, or a link with their name: study.html?participant=P07.
    """
    from tqdm import tqdm

    from alignment import PictureError, write_png
    from alignment.sheet import contact_sheet
    from compare.study_page import StudyError, matched, read_case, write_study

    sheet = []

    def read(cases):
        for case, paths in tqdm(cases, unit="picture"):
            pixels = read_case(paths)
            sheet.append([(f"{case}: {name}", picture) for name, picture in zip(paths, pixels, strict=True)])
            yield case, pixels

    try:
        study = write_study(out, folders, read(matched(folders, count)))
    except (StudyError, PictureError) as error:
        raise refusal(str(error)) from error
    except OSError as error:
        raise refusal(cannot_write(out, error)) from error
    write_png(out / "sheet.png", contact_sheet(sheet, tile=256))
    page = out / "study.html"
    sets = len(study["cases"]) + len(study["checks"]) + study["repeats"]
    size = f"{page.stat().st_size / 1e6:.1f} MB"
    click.echo(f"{len(study['cases'])} pictures by {len(folders)} methods, {sets} sets in all: {page} ({size})")


@main.command(context_settings={"max_content_width": 110})
@click.argument("answers", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="ANSWERS...")
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Output folder.")
def report(answers, out):
    """Count the files that participants saved: table.md, table.csv, results.json, histogram.png and shares.png.

    Participants who chose a spoilt picture are left out and named. So are files that cannot be counted and those of
    another study. The exit code is 0, 1 when files were skipped, 2 when nothing could be counted.
    """
    from alignment.text import shown
    from compare.study_answers import AnswersError, facts, read_all, table_rows
    from compare.tables import write_table

    try:
        participants, skipped = read_all(answers)
    except AnswersError as error:
        raise refusal(str(error)) from error
    for line in skipped:
        click.echo(f"skipped: {line}", err=True)
    counted = [participant for participant in participants if participant.passed]
    excluded = [participant.name for participant in participants if not participant.passed]
    if not counted:
        said = f"all {len(excluded)} participants chose a spoilt picture; ask others"
        raise refusal(f"{shown(answers[0].parent)}: {said}")

    columns, rows = table_rows(counted)
    content = facts(participants, counted) | {"skipped": skipped}
    try:
        markdown = write_table(out, caption(counted, excluded, content), columns, rows, content)
        plots = draw(out, rows, content)
    except OSError as error:
        raise refusal(cannot_write(out, error)) from error
    click.echo(f"{markdown}\n{plots}")
    if skipped:
        raise SystemExit(1)


def cannot_write(out, error):
    from alignment.text import one_line, shown

    return f"{shown(out)}: cannot be written ({error.strerror or one_line(error)}); settle this and run it again"


def caption(counted, excluded, content):
    from alignment.text import markdown

    steady, first = content["steady"], content["shown_first_chosen"]
    names = ", ".join(map(markdown, excluded))
    left_out = f" {len(excluded)} left out, who chose a spoilt picture: {names}." if excluded else ""
    return (
        f"{markdown(content['question'])} {len(counted)} participants, {len(counted[0].cases)} sets each, study "
        f"{markdown(content['study'])}.{left_out} 95 % intervals. Sets that came twice got the same answer in "
        f"{steady['mean']:.0%} of {steady['count']}; the picture shown first was chosen in {first['mean']:.0%} "
        f"[{first['low']:.0%}, {first['high']:.0%}], by chance {1 / len(counted[0].methods):.0%}."
    )


def draw(out, rows, content):
    """histogram.png as in Figs. 6 and 15 and shares.png, the methods side by side. Returns a line about them."""
    try:
        draw_histogram(out / "histogram.png", rows, content)
        draw_shares(out / "shares.png", rows)
    except ImportError:
        return "no plots: matplotlib is missing; pip install -e .[tables]"
    return f"look at {out / 'histogram.png'} and {out / 'shares.png'}"


ABOVE = {"loc": "lower center", "bbox_to_anchor": (0.5, 1), "frameon": False, "fontsize": "small"}  # a legend
SHARES = (
    (0.12, "chosen", "Wilson", "#555"),
    (-0.12, "chosen, participants resampled", "participants resampled", "#1d4f91"),
)


def draw_histogram(path, rows, content):
    """Of how many participants chose the first method how often, with Wilson's intervals."""
    from alignment.text import shown
    from compare.plots import drawing

    bars = content["histogram"]
    counts = [bar["participants"] for bar in bars]
    reach = [[bar["participants"] - bar["low"] for bar in bars], [bar["high"] - bar["participants"] for bar in bars]]
    with drawing(path, figsize=(6, 1.2 + 0.22 * len(bars))) as (_, [[axes]]):
        axes.barh(range(len(bars)), counts, xerr=reach, color="#8fb3d9", ecolor="#555", capsize=2)
        axes.axhline((len(bars) - 1) / len(rows), color="#a33", linestyle=":", label="expected by chance")
        said = f"pictures by {shown(content['method'], 30)} chosen, of {len(bars) - 1}"
        axes.set(xlabel="participants", ylabel=said, yticks=range(len(bars)))
        axes.locator_params(axis="x", integer=True)
        axes.legend(**ABOVE)


def draw_shares(path, rows):
    """The share of all choices that each method got, with both intervals."""
    from alignment.text import shown
    from compare.plots import drawing

    with drawing(path, figsize=(6, 1.2 + 0.4 * len(rows))) as (_, [[axes]]):
        for j, values in enumerate(rows.values()):
            for offset, column, label, color in SHARES:
                value = values[column]
                reach = [[max(0, value.mean - value.low)], [max(0, value.high - value.mean)]]
                axes.errorbar(value.mean, j + offset, xerr=reach, fmt="o", color=color, label=None if j else label)
        axes.axvline(next(iter(rows.values()))["chance"], color="#a33", linestyle=":", label="chance")
        names = [shown(name, 40) for name in rows]
        axes.set(xlim=(0, 1), xlabel="share of all choices", yticks=range(len(rows)), yticklabels=names)
        axes.invert_yaxis()
        axes.legend(ncols=3, **ABOVE)


if __name__ == "__main__":
    main()
