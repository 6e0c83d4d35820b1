"""Train: fine-tune g_real into g_rendering, or train a generator from scratch.

    python train.py configs/demo_rendering128.yaml --out runs/rendering

The same command again resumes the run.
"""

import click

USUAL_GIB = 32  # of a V100, the paper's


@click.command(help=__doc__, context_settings={"max_content_width": 110})
@click.argument("config", type=click.Path(dir_okay=False))
@click.option("--out", type=click.Path(file_okay=False), required=True, help="Run folder; resumed when it holds a run.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one key of the configuration.")
@click.option("--dry-run", is_flag=True, help="Print the configuration and what the run will need, and stop.")
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(config, out, overrides, dry_run, device):
    from machine.device import pick_device
    from training.config import ConfigError, load_config
    from training.dataset import DatasetError
    from weights import WeightsError

    try:
        from training.loop import train
        from training.replicas import ReplicaError
        from training.stopping import Stopped

        config = load_config(config, overrides)
        if dry_run:
            describe(config)
            return
        snapshot = train(config, out, pick_device(device), tell=lambda line: click.echo(line, err=True))
    except Stopped as stop:
        click.echo(str(stop), err=True)
        raise SystemExit(128 + stop.signal) from stop
    except FloatingPointError as error:
        remedy = "lower lr, raise r1_gamma or use num_fp16_res=0; the last snapshot and state are as they were"
        raise click.ClickException(f"{out}: {error}; {remedy}") from error
    except ReplicaError as error:
        raise click.ClickException(f"{out}: {error}") from error
    except OSError as error:
        remedy = "make room or choose another --out; the same command then goes on from the last state written"
        raise click.ClickException(f"{error.filename or out}: {error.strerror or error}; {remedy}") from error
    except (ConfigError, DatasetError, WeightsError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"the newest snapshot is {snapshot}")


def describe(config):
    """Print the resolved configuration and an estimate for as many processes as torchrun started (its first prints)."""
    import os

    import yaml

    from training.estimate import estimate

    if int(os.environ.get("RANK", 0)) > 0:
        return
    world_size = int(os.environ.get("WORLD_SIZE", 1))
    needs = estimate(config, world_size)
    click.echo(yaml.safe_dump(dict(config.__dict__), sort_keys=False))
    for name, count in needs["parameters"].items():
        click.echo(f"{name:8} {count / 1e6:6.2f} M parameters")
    times = ", ".join(f"{minutes:.0f} min on {gpu}" for gpu, minutes in needs["minutes"].items())
    hint = "; more processes or a smaller batch_gpu take less" if needs["gib"] > USUAL_GIB else ""
    click.echo(f"each of {world_size} processes: about {needs['gib']:.1f} GiB of GPU memory (estimate){hint}")
    click.echo(f"{config.kimg:g} kimg: {needs['flops_per_image'] / 1e12:.2f} TFLOP a picture, about {times} (estimate)")


if __name__ == "__main__":
    main()
