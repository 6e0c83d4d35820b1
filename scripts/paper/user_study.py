"""Ask people which picture looks more real, as the paper does (Figs. 6 and 15), and count their answers.

\b
    python scripts/paper/user_study.py make ours=out input=samples -o runs/study
    python scripts/paper/user_study.py report answers/*.json -o runs/study/report

`make` writes one page that works from any file and sends nothing; participants give back the small file it saves.
"""

from pathlib import Path

import click


@click.group(help=__doc__, context_settings={"max_content_width": 110})
def main():
    pass


@main.command(context_settings={"max_content_width": 110})
@click.argument("systems", nargs=-1, required=True, metavar="NAME=FOLDER...")
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Output folder.")
@click.option("--count", type=click.IntRange(1), help="How many pictures, evenly spread.  [default: all]")
def make(systems, out, count):
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

    folders, sheet = named_folders(systems), []

    def read(cases):
        for case, paths in tqdm(cases, unit="picture"):
            pixels = read_case(paths)
            sheet.append([(f"{case}: {name}", picture) for name, picture in zip(paths, pixels, strict=True)])
            yield case, pixels

    try:
        study = write_study(out, folders, read(matched(folders, count)))
    except (StudyError, PictureError) as error:
        raise failure(str(error)) from error
    except OSError as error:
        raise failure(f"{out}: cannot be written ({error.strerror or error}); settle this and run it again") from error
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
    from compare.study_answers import AnswersError, facts, read_all, table_rows
    from compare.tables import write_table

    try:
        participants, skipped = read_all(answers)
    except AnswersError as error:
        raise failure(str(error)) from error
    for line in skipped:
        click.echo(f"skipped: {line}", err=True)
    counted = [participant for participant in participants if participant.passed]
    excluded = [participant.name for participant in participants if not participant.passed]
    if not counted:
        raise failure(f"{answers[0].parent}: all {len(excluded)} participants chose a spoilt picture; ask others")

    columns, rows = table_rows(counted)
    content = facts(participants, counted) | {"skipped": skipped}
    try:
        markdown = write_table(out, caption(counted, excluded, content), columns, rows, content)
        plots = draw(out, rows, content)
    except OSError as error:
        raise failure(f"{out}: cannot be written ({error.strerror or error}); settle this and run it again") from error
    click.echo(f"{markdown}\n{plots}")
    if skipped:
        raise SystemExit(1)


def named_folders(systems):
    """{name: folder} of NAME=FOLDER arguments, in order."""
    folders = {}
    for argument in systems:
        name, equals, folder = argument.partition("=")
        if not (name and equals and folder):
            raise failure(f"{argument}: give every folder a name, as in NAME={folder or name}")
        if name in folders:
            raise failure(f"{argument}: {name} is the name of another folder already; choose another")
        folders[name] = Path(folder)
    return folders


def caption(counted, excluded, content):
    steady, first = content["steady"], content["shown_first_chosen"]
    left_out = f" {len(excluded)} left out, who chose a spoilt picture: {', '.join(excluded)}." if excluded else ""
    return (
        f"{content['question']} {len(counted)} participants, {len(counted[0].cases)} sets each, study "
        f"{content['study']}.{left_out} 95 % intervals. Sets that came twice got the same answer in "
        f"{steady['mean']:.0%} of {steady['count']}; the picture shown first was chosen in {first['mean']:.0%} "
        f"[{first['low']:.0%}, {first['high']:.0%}], by chance {1 / len(counted[0].methods):.0%}."
    )


def draw(out, rows, content):
    """histogram.png as in Figs. 6 and 15 and shares.png, the methods side by side. Returns a line about them."""
    try:
        import matplotlib
    except ImportError:
        return "no plots: matplotlib is missing; pip install -e .[tables]"
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    from weights.files import written_atomically

    bars, method = content["histogram"], content["method"]
    above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1), "frameon": False, "fontsize": "small"}
    figure, axes = plt.subplots(figsize=(6, 1.2 + 0.22 * len(bars)))
    counts = [bar["participants"] for bar in bars]
    reach = [[bar["participants"] - bar["low"] for bar in bars], [bar["high"] - bar["participants"] for bar in bars]]
    axes.barh(range(len(bars)), counts, xerr=reach, color="#8fb3d9", ecolor="#555", capsize=2)
    axes.axhline((len(bars) - 1) / len(rows), color="#a33", linestyle=":", label="expected by chance")
    axes.set(xlabel="participants", ylabel=f"pictures by {method} chosen, of {len(bars) - 1}", yticks=range(len(bars)))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(**above)
    figure.tight_layout()
    with written_atomically(out / "histogram.png") as unfinished:
        figure.savefig(unfinished, dpi=110)

    figure, axes = plt.subplots(figsize=(6, 1.2 + 0.4 * len(rows)))
    for j, values in enumerate(rows.values()):
        for offset, column, color in ((0.12, "chosen", "#555"), (-0.12, "chosen, participants resampled", "#1d4f91")):
            value = values[column]
            reach = [[max(0, value.mean - value.low)], [max(0, value.high - value.mean)]]
            label = {"chosen": "Wilson", "chosen, participants resampled": "participants resampled"}[column]
            axes.errorbar(value.mean, j + offset, xerr=reach, fmt="o", color=color, label=None if j else label)
    axes.axvline(next(iter(rows.values()))["chance"], color="#a33", linestyle=":", label="chance")
    axes.set(xlim=(0, 1), xlabel="share of all choices", yticks=range(len(rows)), yticklabels=list(rows))
    axes.invert_yaxis()
    axes.legend(ncols=3, **above)
    figure.tight_layout()
    with written_atomically(out / "shares.png") as unfinished:
        figure.savefig(unfinished, dpi=110)
    plt.close("all")
    return f"look at {out / 'histogram.png'} and {out / 'shares.png'}"


def failure(message):
    error = click.ClickException(message)
    error.exit_code = 2
    return error


if __name__ == "__main__":
    main()
