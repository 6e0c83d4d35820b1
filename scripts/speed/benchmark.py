"""Time our formulation against the plain one, in the same run: ratios, not promises.

\b
    python scripts/speed/benchmark.py synthesis
    python scripts/speed/benchmark.py inversion --resolution 256
    python scripts/speed/benchmark.py training --resolution 128 --batch 16
    python scripts/speed/benchmark.py ops --device cuda
    python scripts/speed/benchmark.py dataset                 # see scripts/speed/dataset.py
    python scripts/speed/benchmark.py texture --repeats 1

plain: every sample's own modulated weight in a grouped convolution, dense 2-D FIR filters after explicit zero
insertion, bias, activation and gain one after the other. plain+kept memory: the same where the process keeps freed
memory, as all our commands do on the CPU (machine/device.py). ours: what the package does; texture, an
iteration of the refinement, has no other formulation. Each timing runs in a process of its own, so that peak memory
belongs to it alone. `--out` keeps table (Markdown) and numbers (JSON).
"""

import json
import subprocess
import sys
from pathlib import Path

import click

DTYPES = {"cpu": ("float32", "bfloat16"), "cuda": ("float32", "tf32", "float16", "bfloat16")}


@click.command(help=__doc__)
@click.argument("what", type=click.Choice(["synthesis", "inversion", "training", "ops", "dataset", "texture"]))
@click.option("--resolution", default=1024, show_default=True, help="Config F widths; training below 512: the demo's.")
@click.option("--batch", default=1, show_default=True)
@click.option("--repeats", default=5, show_default=True, help="The median of so many runs, after one to warm up.")
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu"]), show_default=True)
@click.option("--dtype", "dtypes", multiple=True, help="Of the larger half of the blocks. [default: all]")
@click.option("--graph", is_flag=True, help="Also with CUDA graphs.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for table and numbers.")
@click.option("--measure", hidden=True, help="One measurement, as JSON: what the processes of this script run.")
def main(what, resolution, batch, repeats, device, dtypes, graph, out, measure):
    if measure:
        from machine.device import keep_freed_memory
        from scripts.speed.measures import MEASURES

        settings = json.loads(measure)
        if settings["device"] == "cpu" and settings["variant"] != "plain":
            keep_freed_memory()
        settings["variant"] = settings["variant"].removesuffix("+kept memory")
        click.echo(json.dumps(MEASURES[what](**settings)))
        return
    if what == "dataset":
        from scripts.speed.dataset import compare

        lines = []
        rows = compare(24, say=lambda line: (lines.append(line), click.echo(line)))
        _keep(out, what, "cpu", "\n".join(lines), rows)
        return
    from machine.device import pick_device
    from scripts.speed.measures import OPS, TEXTURE

    device = pick_device(device)
    variants = ["ours+graph"] if graph and device == "cuda" else []
    rows = []
    variants = ["plain", *(["plain+kept memory"] if device == "cpu" else []), "ours", *variants]
    if what == "texture":
        variants, dtypes = ["ours"], ["float32"]
    for case in {"ops": OPS, "texture": TEXTURE}.get(what, [{}]):
        for dtype in dtypes or DTYPES[device]:
            first = None
            for variant in variants:
                common = dict(variant=variant, resolution=resolution, batch=batch, device=device, dtype=dtype)
                settings = common | dict(repeats=repeats) | case
                row = settings | _in_a_process(what, settings)
                first = first or row
                row["ratio"] = row["seconds"] / first["seconds"]
                rows.append(row)
                click.echo(_line(row))
    table = "\n".join([_line(None), "| --- " * 9 + "|", *map(_line, rows)])
    _keep(out, what, device, table, rows)


def _keep(out, what, device, table, rows):
    if out:
        out.mkdir(parents=True, exist_ok=True)
        name = f"{what}-speed-{device}" if what == "texture" else f"{what}-{device}"
        title = "texture, processor time" if (what, device) == ("texture", "cpu") else what
        (out / f"{name}.md").write_text(f"# {title}\n\n{_machine(device)}\n\n{table}\n")
        (out / f"{name}.json").write_text(json.dumps({"machine": _machine(device), "rows": rows}, indent=1))
        click.echo(f"wrote {out / name}.md")


def _in_a_process(what, settings):
    command = [sys.executable, __file__, what, "--measure", json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise click.ClickException(f"{settings}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _line(row):
    if row is None:
        return "| what | resolution | batch | dtype | formulation | ms | of plain | peak MiB | GB/s |"
    bandwidth = f"{row['bytes'] / row['seconds'] / 1e9:.0f}" if "bytes" in row else ""
    return (
        f"| {row.get('op', 'step')} | {row['resolution']} | {row['batch']} | {row['dtype']} | {row['variant']} | "
        f"{1000 * row['seconds']:.2f} | {row['ratio']:.2f} | {row['peak_bytes'] / 2**20:.0f} | {bandwidth} |"
    )


def _machine(device):
    import datetime
    import platform

    import torch

    if device == "cuda":
        name = f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"
    else:
        models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        name = f"{models[0].split(':')[1].strip()}, {torch.get_num_threads()} threads"
    return f"{name}; torch {torch.__version__}, Python {platform.python_version()}; {datetime.date.today()}"


if __name__ == "__main__":
    main()
