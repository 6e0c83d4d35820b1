"""Train: fine-tune g_real into g_rendering, or train a generator from scratch.

    python train.py configs/demo_rendering.yaml --out runs/rendering

The same command again resumes the run.
"""

import click


@click.command(help=__doc__, context_settings={"max_content_width": 110})
@click.argument("config", type=click.Path(dir_okay=False))
@click.option("--out", type=click.Path(file_okay=False), required=True, help="Run folder; resumed when it holds a run.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one key of the configuration.")
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(config, out, overrides, device):
    from training.config import ConfigError, load_config
    from training.dataset import DatasetError
    from weights import WeightsError, pick_device

    try:
        from training.loop import train
        from training.stopping import Stopped

        snapshot = train(load_config(config, overrides), out, pick_device(device))
    except Stopped as stop:
        click.echo(str(stop), err=True)
        raise SystemExit(128 + stop.signal) from stop
    except FloatingPointError as error:
        remedy = "lower lr, raise r1_gamma or use num_fp16_res=0; the last snapshot and state are as they were"
        raise click.ClickException(f"{out}: {error}; {remedy}") from error
    except (ConfigError, DatasetError, WeightsError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"wrote {snapshot}")


if __name__ == "__main__":
    main()
