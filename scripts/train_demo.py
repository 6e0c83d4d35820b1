"""Rebuild the embedded bundle from the paired avatars, step by step; finished steps are kept, so rerun to go on.

    python scripts/train_demo.py --data ../shared/avatars

About four hours on two cores. The steps, in order: perceptual network, sketch extractor, face parser, g_real at 64x64
and grown to 128x128 (each an autoencoder first, then a GAN with reconstruction), g_rendering; then all are written to
weights/demo in half precision.
"""

import subprocess
import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]

NETWORKS = ("perceptual", "sketch", "parser")
RUNS = ("real64", "real128", "rendering128")
LICENCE = "Apache-2.0; trained on CC0 renders"


@click.command(help=__doc__)
@click.option("--data", default=str(ROOT.parent / "shared" / "avatars"), type=click.Path(exists=True, file_okay=False))
@click.option("--processes", default=1, show_default=True, help="Processes per GAN run (torchrun).")
def main(data, processes):
    data = Path(data).resolve()
    for name in NETWORKS:
        target = ROOT / "weights" / "demo" / f"{name}.safetensors"
        if not target.exists():
            execute([sys.executable, "-m", f"scripts.train_{name}", "--data", str(data), "--out", str(target)])
    for name in RUNS:
        style = "rendered" if name.startswith("rendering") else "real"
        launcher = [sys.executable]
        if processes > 1:
            launcher = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={processes}"]
        execute([*launcher, "train.py", f"configs/demo_{name}.yaml", "--out", f"runs/{name}",
                 "--set", f"data={data / style}", "--set", f"exclude={data / 'matched'}"])  # fmt: skip
    export()


def execute(command):
    click.echo("$ " + " ".join(command))
    subprocess.run(command, cwd=ROOT, check=True)


def export():
    """Write g_real (with the D to fine-tune from) and g_rendering of the run folders to weights/demo, in float16."""
    import weights
    from stylegan2 import checkpoints
    from training.snapshots import without_paths

    for run, name in (("real128", "g_real"), ("rendering128", "g_rendering")):
        path = ROOT / "runs" / run / "snapshot.safetensors"
        networks = checkpoints.load(path)
        card = {
            "data": f"shared/avatars/{'real' if name == 'g_real' else 'rendered'}, without the evaluation identities",
            "command": "python scripts/train_demo.py; see weights/README.md",
            "licence": LICENCE,
        } | weights.card(path)
        card["config"] = without_paths(card["config"])
        if name == "g_rendering":
            del networks["D"]
        checkpoints.save(weights.DEMO / f"{name}.safetensors", networks, card, half=True)
    click.echo(f"wrote {weights.DEMO}")


if __name__ == "__main__":
    main()
