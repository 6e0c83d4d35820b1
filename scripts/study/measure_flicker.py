"""Does project.py --sequence flicker less than the same frames one by one? Both are run, and measured alike.

\b
    python scripts/study/measure_flicker.py frames -o runs/flicker --preset fast

Writes OUT/sequence and OUT/separate (resumed where they are there already), and the table (table.md, table.csv,
results.json). Both are measured along the smoothed squares of the sequence, over its masks (metrics/flicker.py).
"""

import json
from dataclasses import replace
from pathlib import Path

import click

COLUMNS = ("change of the input", "change of the result", "excess", "LPIPS (inversion)", "dlib distance", "s a frame")


@click.command(help=__doc__)
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FRAMES...")
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--weights", "folder", type=click.Path(exists=True, file_okay=False), help="[default: embedded bundle]")
@click.option("--g-rendering", type=click.Path(path_type=Path), metavar="FILE", help="As for project.py.")
@click.option("--blend", default="harmonized", type=click.Choice(["harmonized", "paper", "poisson"]))
@click.option("--preset", default="fast", type=click.Choice(["paper", "fast", "best"]), show_default=True)
@click.option("--steps", type=click.IntRange(1))
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(inputs, out, folder, g_rendering, blend, preset, steps, device):
    from compare.intervals import number
    from compare.tables import write_table
    from jobs.folder import Options, check_writable, run
    from jobs.inputs import find_pictures, natural_order
    from jobs.sequence import measure_flicker
    from machine.device import pick_device
    from pipeline import load_bundle
    from pipeline.presets import chosen

    bundle, settings = load_bundle(folder, pick_device(device), g_rendering), chosen(preset, steps)
    settings = replace(settings, finish=replace(settings.finish, blend=blend))
    pictures = natural_order(find_pictures(inputs, out))
    reports = {}
    for name in ("separate", "sequence"):
        options = Options(settings, preset, faces="largest", sequence=name == "sequence")
        check_writable(out / name)
        run(pictures, out / name, bundle, options)  # where some frames could not be used, the report says which
        reports[name] = json.loads((out / name / "report.json").read_text())

    frames = reports["sequence"]["pictures"]
    rows, values = {}, {}
    for name, report in reports.items():
        measured = measure_flicker(frames, out / "sequence", out / name, 0)
        if measured is None:
            raise click.ClickException(f"{out / name}: no two neighbouring frames show the face")
        faces = [entry["faces"][0] for entry in report["pictures"] if "error" not in entry]
        excess = [a - b for a, b in zip(measured["result"], measured["input"], strict=True)]
        numbers = (
            measured["input"],
            measured["result"],
            excess,
            *([face[key] for face in faces] for key in ("lpips", "identity", "seconds")),
        )
        rows[name] = dict(zip(COLUMNS, map(number, numbers), strict=True))
        values[name] = {"flicker": measured, "settings": report["settings"]}
    used = {name: file["sha256"] for name, file in reports["sequence"]["weights"].items()}
    first = reports["sequence"]["settings"]["steps"]
    caption = f"{len(frames)} frames, {first} steps (the first of the sequence); 8-bit levels from frame to frame"
    click.echo(write_table(out, caption, COLUMNS, rows, {"weights": used, "values": values}))


if __name__ == "__main__":
    main()
