"""Rehearse the paper's path without the published files: random weights in their very layouts, pictures made of
samples/, and then every documented command with tiny counts, each in a process of its own.

\b
    python scripts/rehearse.py --resolution 64
    python scripts/rehearse.py --keep rehearsal                 # at 1024x1024, as the paper; hours on a CPU

A row a command: outcome, seconds, peak memory of its largest process. All of it happens in a copy of the program in DIR
(otherwise a temporary folder), whose weights/downloads holds the files; only the hashes that its manifest expects are
those of the random files. DIR/rehearsal.md is the table, DIR/logs what the commands said; the same command again
repeats what did not go well and goes on. The exit code is 1 where a row failed.
"""

import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("configs", "samples", "weights")  # besides the program itself
LEFT_OUT = ("downloads", "downloads.lock.yaml", "__pycache__", "*.egg-info")
PREPARED = "prepared.json"
PINNED = {"vgg16": "397923af", "inception": "6726825d"}  # how the published files' hashes begin, in the manifest


@click.command(help=__doc__)
@click.option("--resolution", default=1024, show_default=True, type=click.Choice([64, 128, 256, 512, 1024]))
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Work here; leave it.")
@click.option("--only", multiple=True, metavar="TEXT", help="Only rows whose name contains this. Repeatable.")
def main(resolution, keep, only):
    folder = (keep or Path(tempfile.mkdtemp(prefix="rehearsal-"))).resolve()
    try:
        failed = rehearse(folder, resolution, only)
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    if failed:
        where = f"see {folder / 'logs'}" if keep else "run it again with --keep DIR to see what they said"
        raise click.ClickException(f"{len(failed)} failed: {', '.join(failed)}; {where}")
    click.echo(f"all went well{f'; the table is in {keep}/rehearsal.md' if keep else ''}")


def rehearse(folder, resolution, only=()):
    """Run the steps in `folder`; returns the names of those that failed."""
    from scripts.rehearsal.steps import steps_of
    from weights.files import written_atomically

    click.echo(f"files for {resolution}x{resolution} in {folder} ...")
    if code := in_a_process(prepare, folder, resolution):
        raise click.ClickException(f"{folder}: the files could not be written (exit code {code}); see above")
    with_gpu = json.loads((folder / PREPARED).read_text())["cuda"]
    record = folder / "rows.json"
    rows = json.loads(record.read_text()) if record.is_file() else {}
    chosen = [s for s in steps_of(resolution, with_gpu) if not only or any(text in s.name for text in only)]
    width = max(len(step.name) for step in chosen)
    for number, step in enumerate(chosen):
        if rows.get(step.name, {}).get("outcome") != "ok":
            click.echo(f"{number + 1}/{len(chosen)} {step.name:{width}} ...", nl=not sys.stdout.isatty())
            before(step, folder)
            rows[step.name] = {"smaller": step.smaller} | run(step, folder, number)
            with written_atomically(record) as unfinished:
                unfinished.write_text(json.dumps(rows, indent=1))
            with written_atomically(folder / "rehearsal.md") as unfinished:
                unfinished.write_text(table(rows, resolution))
        row = rows[step.name]
        click.echo(f"\r{row['outcome']:6} {row['seconds']:8.1f} s {row['gib']:6.2f} GiB  {step.name}")
        if row["outcome"] != "ok":
            click.echo(f"    {row['said']}")
    return [step.name for step in chosen if rows[step.name]["outcome"] != "ok"]


def in_a_process(function, *arguments):
    """The exit code of a call in a process of its own. What this one holds counts in the peak memory of every command
    that it starts, so it stays small and never imports torch."""
    process = multiprocessing.get_context("spawn").Process(target=function, args=arguments, daemon=True)
    process.start()
    process.join()
    return process.exitcode


def prepare(folder, resolution):
    """A copy of the program with random weights and data; what is there already stays."""
    import torch

    from scripts.rehearsal.data import PORTRAIT, write_data
    from scripts.rehearsal.files import write_weights

    copy_program(folder)
    downloads = folder / "weights" / "downloads"
    if not (folder / PREPARED).is_file():
        write_weights(downloads, resolution)
        write_data(folder / "samples", folder, resolution)
        (folder / "faces").mkdir(exist_ok=True)
        for name in ("000000", "000001"):
            shutil.copy(folder / "avatars" / "rendered" / f"{name}.png", folder / "faces")
        shutil.copy(folder / "samples" / PORTRAIT, folder / "avatar.png")
        said = {"resolution": resolution, "cuda": torch.cuda.is_available()}
        (folder / PREPARED).write_text(json.dumps(said))
    elif json.loads((folder / PREPARED).read_text())["resolution"] != resolution:
        raise SystemExit(f"{folder}: holds a rehearsal at another resolution; give another --keep")
    pin(folder)


def copy_program(folder):
    """The modules and what they read, without what was downloaded, trained or built."""
    packages = {path.parent.name for path in ROOT.glob("*/*.py")} - {"tests"}
    for name in {*packages, *COPIED}:
        shutil.copytree(ROOT / name, folder / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for path in ROOT.glob("*.py"):
        shutil.copy(path, folder)


def pin(folder):
    """Let the copy expect the hashes of its random files where the program knows those of the published ones."""
    import yaml

    import weights

    manifest = folder / "weights" / "manifest.yaml"
    text, measure = manifest.read_text(), folder / "metrics" / "fid.py"
    for name, prefix in PINNED.items():
        file = folder / "weights" / "downloads" / yaml.safe_load(text)[name]["file"]
        found = weights.sha256(file)[:8]
        text = text.replace(f"sha256_prefix: {prefix}", f"sha256_prefix: '{found}'")
        measure.write_text(re.sub(f'PREFIX = "{prefix}"', f'PREFIX = "{found}"', measure.read_text()))
    manifest.write_text(text)


def before(step, folder):
    """What a person would do between two commands."""
    from scripts.rehearsal.data import write_answers

    if step.killed:
        shutil.rmtree(folder / Path(step.killed[0]).parent, ignore_errors=True)  # a finished run would not run
    if step.name == "Fig. 6, report" and (folder / "runs/study/study.json").is_file():
        (folder / "answers").mkdir(exist_ok=True)
        write_answers(folder / "runs/study/study.json", folder / "answers" / "P1.json")


def run(step, folder, number):
    """{"outcome": "ok" | "failed", "seconds", "gib", "said": its last line} of one command."""
    words = list(step.command)
    launcher = {"python": [], "torchrun": ["-m", "torch.distributed.run"]}[words[0]]
    environment = os.environ | {"PYTHONPATH": str(folder), "LIFELIKE_CACHE": str(folder / "cache")}
    environment |= {"PYTHONUNBUFFERED": "1"}  # so that the last line is what was said last
    log = folder / "logs" / f"{number:02d}-{re.sub('[^a-z0-9]+', '-', step.name.lower())}.txt"
    log.parent.mkdir(exist_ok=True)
    started = time.perf_counter()
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, *launcher, *words[1:]],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        status, usage, killed = waited(process.pid, step.killed and (folder / step.killed[0], step.killed[1]))
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        os.waitpid(process.pid, 0)
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    as_wanted = killed if step.killed else process.returncode == 0
    lines = [line for line in re.split("[\r\n]", log.read_text(errors="replace")) if line.strip()]
    if process.returncode < 0 and not as_wanted:
        lines.append(f"ended by {signal.Signals(-process.returncode).name}; SIGKILL: too little memory, as a rule")
    unit = 1 if sys.platform == "darwin" else 1024  # bytes, or kilobytes
    return {
        "outcome": "ok" if as_wanted else "failed",
        "seconds": time.perf_counter() - started,
        "gib": usage.ru_maxrss * unit / 2**30,
        "said": (lines or [f"exit code {process.returncode}"])[-1][:300],
        "command": " ".join(words),
    }


def waited(pid, kill_at):
    """(status, resource usage, whether it was killed) of a process; kill_at: (file, text in it) or None."""
    killed = False
    while True:
        found, status, usage = os.wait4(pid, os.WNOHANG)
        if found:
            return status, usage, killed
        if kill_at and not killed and kill_at[0].is_file() and kill_at[1] in kill_at[0].read_text():
            os.killpg(pid, signal.SIGKILL)
            killed = True
        time.sleep(0.05)


def table(rows, resolution):
    """The rows in Markdown."""
    lines = [f"| command at {resolution}x{resolution} | outcome | seconds | peak GiB | smaller than documented |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for name, row in rows.items():
        lines.append(f"| {name} | {row['outcome']} | {row['seconds']:.1f} | {row['gib']:.2f} | {row['smaller']} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
