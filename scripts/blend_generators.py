"""A generator between two: one strength for all layers, or layer swapping at a resolution (Pinkney and Adler 2020).

\b
    python scripts/blend_generators.py g_real.safetensors g_rendering.safetensors half.safetensors --strength 0.5
    python scripts/blend_generators.py g_rendering.safetensors g_real.safetensors mixed.safetensors --swap-at 32

Beside OUT a contact sheet shows the same latents through both generators and what lies between them.
"""

import json
from pathlib import Path

import click

from machine.numbers import finite

STRENGTHS = (0, 0.25, 0.5, 0.75, 1)


@click.command(help=__doc__)
@click.argument("first", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("second", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--strength", type=float, callback=finite, help="Share of SECOND: 0 = FIRST, 1 = SECOND, beyond extrapolates."
)
@click.option("--swap-at", "resolution", type=int, help="FIRST below this resolution, SECOND from there on.")
@click.option(
    "--sharpness",
    type=click.FloatRange(0, min_open=True),
    callback=finite,
    help="With --swap-at: a ramp instead of a step.",
)
def main(first, second, out, strength, resolution, sharpness):
    if (strength is None) == (resolution is None):
        raise click.UsageError("give --strength or --swap-at")
    if sharpness is not None and resolution is None:
        raise click.UsageError("--sharpness goes with --swap-at")
    if out.suffix != ".safetensors":
        raise click.ClickException(f"{out}: a native file ends in .safetensors")
    import weights
    from stylegan2 import checkpoints
    from stylegan2.blending import blend, swap_at

    try:
        generators = [checkpoints.load_generator(path) for path in (first, second)]
        sizes = generators[0].synthesis.block_resolutions
        if resolution is not None and resolution not in sizes:
            raise ValueError(f"--swap-at must be one of {', '.join(map(str, sizes))}, got {resolution}")
        share = strength if resolution is None else swap_at(resolution, sharpness)
        result = blend(*generators, share)
    except (weights.WeightsError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    shares = {b: share(b) if callable(share) else share for b in result.synthesis.block_resolutions}
    sources = {str(path): weights.sha256(path) for path in (first, second)}
    checkpoints.save(out, {"G_ema": result}, {"blended from": sources, "share of the second": shares})
    sheet = out.with_name(f"{out.stem}_sheet.png")
    write_sheet(sheet, *generators, result)
    click.echo("share of the second: " + ", ".join(f"{b}: {s:.2f}" for b, s in shares.items()))
    click.echo(json.dumps({"wrote": str(out), "sha256": weights.sha256(out), "sheet": str(sheet)}))


def write_sheet(path, first, second, result, columns=6):
    """Rows: FIRST, three strengths between, SECOND, and the result; columns: latents."""
    import torch

    from alignment import write_png
    from alignment.sheet import contact_sheet
    from alignment.tensors import to_pixels
    from stylegan2.blending import blend

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        w_plus = first.mapping(torch.randn([columns, first.z_dim], generator=generator), truncation_psi=0.7)
        rows = []
        named = [(f"strength {s}", blend(first, second, s)) for s in STRENGTHS] + [("result", result)]
        for name, G in named:
            images = G.synthesis(w_plus, noise_mode="const")
            rows.append([(name, picture) for picture in to_pixels(images)])
    write_png(path, contact_sheet(rows, tile=192))


if __name__ == "__main__":
    main()
