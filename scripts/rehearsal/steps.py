"""The commands of docs/paper-path.md in their order, with tiny counts."""

from dataclasses import dataclass

from .sizes import ALONE, ENCODER, sizes_of

DOWNLOADS = "weights/downloads"
RUN = "runs/drfhq"
CONFIG = "configs/drfhq1024.yaml"


@dataclass(frozen=True)
class Step:
    """command: its words; those that begin with "python" or "torchrun" are run by this interpreter. smaller: what is
    not as documented. killed: (file, text) on which the command is killed, as by a power cut; it must not end before.
    """

    name: str
    command: list
    smaller: str = ""
    killed: tuple | None = None


def steps_of(resolution, cuda=False):
    """All steps. On a CPU at 1024 pixels a training step holds one picture, of the paper's 32."""
    whole = resolution == 1024
    batch, shared = (8, 8) if cuda or not whole else (1, 2)  # pictures of a step: of one process, of two
    alone = ["--set", f"discriminator={DOWNLOADS}/{ALONE}", "--set", "pl_batch_shrink=1"] if shared < 8 else []
    two = ["torchrun", "--nproc_per_node=2"]
    sets = settings(resolution, batch)
    kimg = batch / 1000
    train = ["python", "train.py", CONFIG, "--out", RUN, *sets]
    said = f"{resolution}x{resolution}, batch {batch} of 32"
    tuned = ["--weights", DOWNLOADS, "--g-rendering", RUN]
    data, quick = ["--data", "avatars"], ["--count", "2", "--steps", "1", "--batch", "1"]
    rows = ["--g-real", f"{DOWNLOADS}/ffhq.pkl", "--generator", f"ours={RUN}/snapshot.safetensors"]
    sets_of_pictures = ["--rendered", "avatars/rendered", "--real", "avatars/real"]
    paper, study, made = "scripts/paper", "runs/study", "runs/paired/methods"
    native, public = "weights/ffhq1024.safetensors", "runs/ffhq.pt"
    return [
        step("weights: list", "python scripts/download_weights.py --list"),
        step("weights: verify", "python scripts/download_weights.py --verify", smaller="the manifest's own hashes"),
        step("convert to native", f"python scripts/convert_checkpoint.py {DOWNLOADS}/ffhq.pkl {native}"),
        step("convert to rosinality", f"python scripts/convert_checkpoint.py {native} {public} --to rosinality"),
        step("convert from rosinality", f"python scripts/convert_checkpoint.py {public} runs/back.safetensors"),
        step(
            "prepare_dataset",
            f"python scripts/prepare_dataset.py rendered -o data/drfhq --size {resolution} --min-side 64 "
            "--min-sharpness 0 --max-difference -1",
            smaller="6 pictures; no limits",
        ),
        Step("train --dry-run", [*train, "--dry-run"]),
        Step(
            "train, killed",
            [*train, "--set", f"kimg={20 * kimg}"],
            f"{said}; killed after a step",
            (f"{RUN}/log.txt", "snapshot and state written"),
        ),
        Step("train, resumed", [*train, "--set", f"kimg={2 * kimg}"], f"{said}; to step 2"),
        Step(
            "train, 2 processes",
            [*two, "train.py", CONFIG, "--out", "runs/two", *settings(resolution, shared)]
            + ["--set", f"kimg={shared / 1000}", *alone],
            f"{resolution}x{resolution}, batch {shared} of 32, one step{', a D that compares none' if alone else ''}",
        ),
        step(
            "blend_generators",
            f"python scripts/blend_generators.py {native} {RUN}/snapshot.safetensors runs/half.safetensors "
            "--strength 0.5",
        ),
        Step("project, paper", project("avatar.png", "out/paper", tuned, "paper", "--steps", "2"), "2 of 500 steps"),
        Step("project, default", project("avatar.png", "out/fast", tuned, "fast")),
        Step(
            "project, sequence",
            project("frames", "out/frames", tuned, "paper", "--steps", "2", "--sequence"),
            "2 frames, 2 steps",
        ),
        Step(
            "Fig. 7, e4e",
            ["python", "scripts/run_system.py", "e4e", "faces", "-o", "results/e4e"]
            + ["--encoder", f"{DOWNLOADS}/{ENCODER}"],
        ),
        Step(
            "Table 1 and 2",
            ["python", f"{paper}/table_style_transfer.py", *sets_of_pictures, *rows, "--out", "runs/style"]
            + ["--pictures", "8", "--identities", "2"],
            "8 of 50,000 pictures",
        ),
        Step(
            "Table 3",
            ["python", f"{paper}/table_datasets.py", *rows, "--out", "runs/datasets", "--pairs", "2"],
            "2 of 150 pairs",
        ),
        Step(
            "Table 3, portraits",
            ["python", f"{paper}/table_datasets.py", *rows, "--out", "runs/portraits", "--pairs", "2"]
            + ["--portraits", "avatars/rendered", "--steps", "1"],
            "2 of 150 pairs, 1 of 500 steps",
        ),
        Step(
            "Fig. 10, losses",
            ["python", f"{paper}/ablation_losses.py", CONFIG, "--out", "runs/ablation", "--count", "2", *sets]
            + ["--set", f"kimg={kimg}"],
            f"four runs; {said}; one step each",
        ),
        Step(
            "benchmark_paired",
            ["python", f"{paper}/benchmark_paired.py", *data, "--out", "runs/paired", *tuned, *quick]
            + ["--ablation", "runs/ablation"],
            "2 identities, 1 step",
        ),
        Step(
            "Fig. 11, framework",
            ["python", f"{paper}/ablation_framework.py", *data, "--out", "runs/paired", *tuned, *quick],
            "2 identities, 1 step",
        ),
        Step(
            "Fig. 12, inversion",
            ["python", f"{paper}/ablation_inversion.py", "faces", "-o", "runs/inversion", *tuned]
            + ["--count", "1", "--steps", "1"],
            "1 portrait, 1 step",
        ),
        Step(
            "choices",
            ["python", f"{paper}/ablation_choices.py", *data, "--out", "runs/choices", *tuned]
            + ["--count", "2", "--steps", "1"],
            "2 identities, 1 step",
        ),
        step(
            "textures",
            f"python {paper}/table_texture.py --data texture --out runs/texture --rounds 1 --iterations 1",
            smaller="one case at 256x256, 1 iteration",
        ),
        step(
            "Fig. 6, study",
            f"python {paper}/user_study.py make ours={made}/ours input={made}/input -o {study}",
            smaller="2 pictures",
        ),
        step(
            "Fig. 6, report",
            f"python {paper}/user_study.py report answers/P1.json -o {study}",
            smaller="1 participant",
        ),
        Step(
            "calibrate_warnings",
            ["python", "scripts/study/calibrate_warnings.py", *data, "--out", "runs/calibration.json", *tuned]
            + ["--steps", "1", "--count", "2"],
            "2 identities, 1 step",
        ),
    ]


def step(name, command, smaller=""):
    return Step(name, command.split(), smaller)


def project(pictures, out, tuned, preset, *rest):
    return ["python", "project.py", pictures, "-o", out, *tuned, "--preset", preset, *rest]


def settings(resolution, batch):
    """What is not as configs/drfhq1024.yaml says, as words of a command."""
    found = {"batch": batch, "metrics_pictures": 0, "snapshot_kimg": batch / 1000}
    if resolution < 1024:
        size = sizes_of(resolution)
        found |= {"resolution": resolution, "z_dim": size.dimensions, "w_dim": size.dimensions, "batch_gpu": 4}
        found |= {"sketch_size": resolution, "color_size": resolution}
    return [word for key, value in found.items() for word in ("--set", f"{key}={value}")]
