"""Measure results against the truth: for evaluation identities the photo look under the very lights of the rendered
picture is known, so closeness can be measured.

\b
    python scripts/paper/benchmark_paired.py --data ../shared/avatars --out runs/paired
    python scripts/paper/benchmark_paired.py --data ../shared/avatars --out runs/paired --results e4e=their/results

Methods: the pipeline as project.py runs it, with the picture's detail and without; ours, direct and guided inversion,
ours and direct with pivotal tuning; the input as it is; and, with --ablation, g_rendering fine-tuned without the
identity losses (compare/paired/methods.py). Row `truth` is the true pictures, `real look` the same people's photo look
under other lights. The measures are described in compare/paired/measures.py. Writes OUT/methods/NAME/ID.png, table.md,
table.csv, results.json, intervals.png, differences.png and sheet.png; the same command again makes what is missing.
"""

from pathlib import Path

import click

from compare.arguments import named_paths


@click.command(help=__doc__)
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--weights", "folder", type=click.Path(exists=True, file_okay=False), help="[default: embedded bundle]")
@click.option("--g-rendering", type=click.Path(path_type=Path), metavar="FILE", help="As for project.py.")
@click.option("--ablation", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Output folder of "
              "scripts/paper/ablation_losses.py.")  # fmt: skip
@click.option(
    "--results",
    multiple=True,
    metavar="NAME=FOLDER",
    callback=named_paths,
    help="Results of another system, ID.png each.",
)
@click.option("--count", type=click.IntRange(2), help="How many evaluation identities, evenly spread.  [default: all]")
@click.option("--steps", default=500, show_default=True, type=click.IntRange(1))
@click.option("--batch", default=16, show_default=True, type=click.IntRange(1))
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(data, out, folder, g_rendering, ablation, results, count, steps, batch, device):
    import weights
    from compare.paired.data import evaluation_portraits
    from compare.paired.methods import (
        ABLATIONS,
        ablation_methods,
        finished_methods,
        framework_methods,
        tuned_methods,
        untouched,
    )
    from compare.paired.run import compare
    from machine.device import pick_device
    from pipeline import load_bundle

    try:
        bundle = load_bundle(folder, pick_device(device), g_rendering)
        portraits = evaluation_portraits(data, bundle.g_real.img_resolution, count)
        methods = finished_methods(bundle, steps) + framework_methods(bundle, steps) + tuned_methods(bundle, steps)
        methods += ablation_methods(bundle, steps, ablation) if ablation else []
        methods.append(untouched())
        absent = [name for name in ABLATIONS if name not in {method.name for method in methods}]
        if absent:
            click.echo(f"rows left out: {', '.join(absent)}; {f'not in {ablation}' if ablation else 'no --ablation'}")
        caption = (
            f"{len(portraits.names)} evaluation identities at {portraits.inputs.shape[1]} pixels, {steps} steps: "
            "closeness to the true picture, mean and 95 % bootstrap interval; rows with a minus are paired "
            "differences. Smaller is better, but for authenticity."
        )
        table, notes = compare(methods, results, bundle, portraits, out, out, caption, batch)
    except (weights.WeightsError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    click.echo("\n".join([table, *notes, f"look at {out / 'sheet.png'}"]))


if __name__ == "__main__":
    main()
