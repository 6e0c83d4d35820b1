"""The paper's ablation of its framework (Sec. 5.3.2, Fig. 11): is a fine-tuned g_rendering needed at all?

\b
    python scripts/paper/ablation_framework.py --data ../shared/avatars --out runs/paired
    python scripts/paper/ablation_framework.py --pictures aligned_portraits --out runs/framework

\b
direct   invert into g_real (Eq. 4)
guided   invert into g_real under the identity losses, Eqs. 1 and 2
ours     invert into g_rendering, draw with g_real
On a data folder with true pictures the measures are those of benchmark_paired.py, whose OUT may be shared: its results
are used. On a folder of FFHQ-aligned squares closeness is to the input, which tells identity but not realism. Writes
OUT/framework/: table.md, table.csv, results.json, intervals.png, differences.png and sheet.png.
"""

from pathlib import Path

import click

ORDER = ("direct", "guided", "ours")


@click.command(help=__doc__)
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Laid out like shared/avatars.",
)
@click.option("--pictures", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Aligned squares.")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--weights", "folder", type=click.Path(exists=True, file_okay=False), help="[default: embedded bundle]")
@click.option("--g-rendering", type=click.Path(path_type=Path), metavar="FILE", help="As for project.py.")
@click.option("--count", type=click.IntRange(2), help="How many pictures, evenly spread.  [default: all]")
@click.option("--steps", default=500, show_default=True, type=click.IntRange(1))
@click.option("--batch", default=16, show_default=True, type=click.IntRange(1))
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(data, pictures, out, folder, g_rendering, count, steps, batch, device):
    if (data is None) == (pictures is None):
        raise click.ClickException("give either --data or --pictures")
    import weights
    from compare.paired.data import aligned_portraits, evaluation_portraits
    from compare.paired.methods import framework_methods
    from compare.paired.run import compare
    from machine.device import pick_device
    from pipeline import load_bundle

    try:
        bundle = load_bundle(folder, pick_device(device), g_rendering)
        size = bundle.g_real.img_resolution
        portraits = evaluation_portraits(data, size, count) if data else aligned_portraits(pictures, size, count)
        methods = sorted(framework_methods(bundle, steps), key=lambda method: ORDER.index(method.name))
        caption = (
            f"{len(portraits.names)} portraits at {size} pixels, {steps} steps: closeness to "
            f"{'the true picture' if data else 'the input'}, mean and 95 % bootstrap interval; rows with a minus are "
            "paired differences."
        )
        table, notes = compare(methods, {}, bundle, portraits, out, out / "framework", caption, batch)
    except (weights.WeightsError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    click.echo("\n".join([table, *notes, f"look at {out / 'framework' / 'sheet.png'}"]))


if __name__ == "__main__":
    main()
