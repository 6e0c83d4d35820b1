"""Convert a generator checkpoint: official StyleGAN2-ADA pickle, rosinality .pt or PTI's tuned generator -> native
safetensors, or to rosinality's layout for encoders of the pSp and e4e families. All of them are read as they are, too.

    python scripts/convert_checkpoint.py ffhq.pkl weights/ffhq1024.safetensors
    python scripts/convert_checkpoint.py weights/ffhq1024.safetensors ffhq.pt --to rosinality
"""

from pathlib import Path

import click


@click.command(help=__doc__)
@click.argument("source", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--to", "layout", type=click.Choice(["native", "rosinality"]), default="native", show_default=True)
def main(source, target, layout):
    import weights
    from stylegan2 import checkpoints
    from stylegan2.checkpoints.rosinality import save_rosinality

    if layout == "native" and target.suffix != ".safetensors":
        raise click.ClickException(f"{target}: a native file ends in .safetensors")
    try:
        networks = checkpoints.load(source)
        if layout == "native":
            card = {"converted from": source.name, "source sha256": weights.sha256(source)}
            checkpoints.save(target, networks, card)
        else:
            save_rosinality(target, checkpoints.load_generator(source))
    except (weights.WeightsError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    for name, network in networks.items():
        size, parameters = network.img_resolution, sum(p.numel() for p in network.parameters())
        line = f"{name}: {size}x{size}, {parameters:,} parameters"
        if name != "D":
            widths = {b.conv1.resolution: b.conv1.weight.shape[0] for b in network.synthesis.blocks()}
            line += f", z {network.z_dim}, w {network.w_dim}, channels {widths}"
        click.echo(line)
    click.echo(f"wrote {target}, SHA-256 {weights.sha256(target)}")


if __name__ == "__main__":
    main()
