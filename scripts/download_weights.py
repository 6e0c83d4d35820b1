"""Fetch the published weights that weights/manifest.yaml lists into weights/downloads, a folder for --weights.

    python scripts/download_weights.py --list
    python scripts/download_weights.py ffhq1024 vgg16 bisenet
    python project.py avatar.png -o out --weights weights/downloads --g-rendering runs/drfhq

A file takes its name when it is whole and checked. Its SHA-256 is recorded at its first download
(weights/downloads.lock.yaml) and checked from then on. One fetched by hand may be put where `--list` says; `--verify`
checks what is there.
"""

from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]


@click.command(help=__doc__)
@click.argument("names", nargs=-1)
@click.option("--list", "show", is_flag=True, help="Show what there is, where it belongs, and its licence.")
@click.option("--verify", is_flag=True, help="Check the files that are there; download nothing.")
@click.option("--manifest", type=click.Path(dir_okay=False, path_type=Path), default=ROOT / "weights" / "manifest.yaml")
def main(names, show, verify, manifest):
    from filelock import FileLock, Timeout

    from weights.downloads import DownloadError, check, fetch, read_lock, remove_unfinished, write_lock

    entries = read_manifest(manifest)
    folder, lock_file = manifest.parent / "downloads", manifest.parent / "downloads.lock.yaml"
    unknown = set(names) - set(entries)
    if unknown:
        raise click.ClickException(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(entries)}")
    if show:
        for name, entry in entries.items():
            there = "here" if (folder / entry["file"]).is_file() else "absent"
            click.echo(f"{name}: {entry['use']}\n    {folder / entry['file']} ({there})\n    {entry['licence']}")
        return
    failed = False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock", timeout=1):
            lock = read_lock(lock_file)
            remove_unfinished(folder)
            for name in names or entries:
                path = folder / entries[name]["file"]
                try:
                    if path.is_file():
                        remedy = "delete it and fetch it again"
                        found = check(path, entries[name], path, look_into, lock.get(name), remedy)
                    elif verify:
                        click.echo(f"{name}: absent")
                        continue
                    else:
                        found = fetch(name, entries[name], path, look_into, lock.get(name))
                    write_lock(lock_file, lock | {name: found})
                    lock[name] = found
                    click.echo(f"{name}: {path}, SHA-256 {found}")
                except DownloadError as error:
                    click.echo(f"error: {error}", err=True)
                    failed = True
    except Timeout as error:
        raise click.ClickException(f"{folder}: another download_weights.py is at work; wait for it") from error
    except (OSError, DownloadError) as error:
        raise click.ClickException(str(error)) from error
    raise SystemExit(1 if failed else 0)


def look_into(path):
    """WeightsError for a file that cannot be read as its name says."""
    from stylegan2.checkpoints.safe_pickle import load_pickle
    from weights import WeightsError

    if path.suffix in (".pkl", ".pt", ".pth"):
        load_pickle(path)
    elif path.suffix == ".bz2":
        with open(path, "rb") as file:
            if file.read(3) != b"BZh":
                raise WeightsError(f"{path.name}: is not packed by bzip2; fetch it again")


def read_manifest(path):
    """{name: entry}; ClickException, naming the file, when it is missing or something else."""
    import yaml

    from weights.files import first_line

    try:
        entries = yaml.safe_load(path.read_text())
        for entry in entries.values():
            if Path(entry["file"]).name != entry["file"] or not (entry["use"], entry["licence"]):
                raise ValueError(f"{entry['file']} is not a plain file name")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, yaml.YAMLError) as error:
        raise click.ClickException(f"{path}: no manifest of weights ({first_line(error)}); see weights/") from error
    return entries


if __name__ == "__main__":
    main()
