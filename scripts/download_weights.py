"""Fetch the published weights that weights/manifest.yaml lists into weights/downloads.

    python scripts/download_weights.py --list
    python scripts/download_weights.py vgg16 bisenet

The SHA-256 of a file is recorded at its first download (weights/downloads.lock.yaml) and checked from then on. One
fetched by hand may be put where `--list` says; `--verify` checks what is there.
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
    import yaml

    entries = yaml.safe_load(manifest.read_text())
    folder, lock_file = manifest.parent / "downloads", manifest.parent / "downloads.lock.yaml"
    unknown = set(names) - set(entries)
    if unknown:
        raise click.ClickException(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(entries)}")
    if show:
        for name, entry in entries.items():
            there = "here" if (folder / entry["file"]).is_file() else "absent"
            click.echo(f"{name}: {entry['use']}\n    {folder / entry['file']} ({there})\n    {entry['licence']}")
        return
    lock = yaml.safe_load(lock_file.read_text()) if lock_file.is_file() else {}
    failed = False
    for name in names or entries:
        path = folder / entries[name]["file"]
        try:
            if not path.is_file():
                if verify:
                    click.echo(f"{name}: absent")
                    continue
                fetch(name, entries[name], path)
            lock[name] = check(name, entries[name], path, lock.get(name))
            lock_file.write_text(yaml.safe_dump(lock))
            click.echo(f"{name}: {path}, SHA-256 {lock[name]}")
        except click.ClickException as error:
            click.echo(f"error: {error.message}", err=True)
            failed = True
    raise SystemExit(1 if failed else 0)


def fetch(name, entry, path):
    """Download one entry to `path`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    by_hand = f"or put a file fetched by hand at {path}"
    try:
        if "url" in entry:
            import pooch

            known = f"sha256:{entry['sha256']}" if entry.get("sha256") else None
            pooch.retrieve(entry["url"], known, path.name, path.parent, progressbar=True)
        elif "drive" in entry:
            import gdown

            if gdown.download(id=entry["drive"], output=str(path), resume=True) is None:
                raise OSError("the download was refused")
        else:
            raise OSError(f"no direct link is known, see {entry['page']}")
    except ImportError as error:
        raise click.ClickException(f"{name}: {error.name} is missing; pip install -e .[download], {by_hand}") from error
    except Exception as error:  # every library has network errors of its own
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise click.ClickException(f"{name}: could not be downloaded ({reason}); try again, {by_hand}") from error


def check(name, entry, path, recorded):
    """The file's SHA-256; ClickException when it contradicts the manifest or the first download."""
    import weights

    found = weights.sha256(path)
    for expected in (entry.get("sha256"), entry.get("sha256_prefix"), recorded):
        if expected and not found.startswith(expected):
            raise click.ClickException(
                f"{path}: SHA-256 {found[:16]}... is not the expected {expected[:16]}; delete it and fetch it again"
            )
    return found


if __name__ == "__main__":
    main()
