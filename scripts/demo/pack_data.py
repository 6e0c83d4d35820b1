"""Pack the avatars for training elsewhere: one file a look, together small enough to be carried to a borrowed machine.

    python scripts/demo/pack_data.py ../shared/avatars256 ../shared/avatars -o PACK

Of the folders given (each with rendered/ and real/) the first that has an identity is used, so give the largest
pictures first. PACK then holds real.zip and rendered.zip. Identities from 003440 on are left out: they are for choosing
and measuring.
"""

import io
import sys
import zipfile
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts.demo import HELD_OUT  # noqa: E402

LOOKS = ("real", "rendered")
LIMIT = 60 * 2**20  # bytes of both looks


@click.command(help=__doc__)
@click.argument(
    "folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DATA..."
)
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="PACK.")
@click.option("--quality", default=90, show_default=True, type=click.IntRange(1, 95), help="Of the JPEGs.")
def main(folders, out, quality):
    out.mkdir(parents=True, exist_ok=True)
    packed = [pack(folders, look, out / f"{look}.zip", quality) for look in LOOKS]
    total = sum(size for _, size in packed)
    for look, (sides, size) in zip(LOOKS, packed, strict=True):
        counted = ", ".join(f"{sides.count(side)} at {side}x{side}" for side in sorted(set(sides)))
        click.echo(f"{out / look}.zip: {counted}, {size / 2**20:.1f} MiB")
    if total > LIMIT:
        raise click.ClickException(f"{out}: {total / 2**20:.1f} MiB, more than {LIMIT >> 20}; lower --quality")


def pack(folders, look, target, quality):
    """Write the training pictures of one look to a zip, `SIDE/NAME.jpg`. Returns (their sides, its bytes)."""
    from PIL import Image

    from weights.files import written_atomically

    chosen = {}
    for folder in folders:
        found = sorted((folder / look).iterdir()) if (folder / look).is_dir() else []
        for path in found:
            if path.stem < HELD_OUT and path.suffix in (".jpg", ".png"):
                chosen.setdefault(path.stem, path)
    if not chosen:
        raise click.ClickException(f"{folders[0] / look}: holds no training pictures (numbers below {HELD_OUT})")
    sides = []
    with written_atomically(target) as unfinished, zipfile.ZipFile(unfinished, "w") as archive:
        for stem, path in sorted(chosen.items()):
            data = io.BytesIO()
            with Image.open(path) as image:
                sides.append(image.width)
                image.convert("RGB").save(data, "JPEG", quality=quality, subsampling=0)
            entry = zipfile.ZipInfo(f"{sides[-1]}/{stem}.jpg")  # a fixed date: the same pictures give the same bytes
            archive.writestr(entry, data.getvalue())
    return sides, target.stat().st_size


def unpack(archive, folder, side):
    """The pictures of a packed look that have at least `side` pixels, as files below `folder`; what lies there stays.
    Raises ValueError when there are none."""
    with zipfile.ZipFile(archive) as file:
        names = [name for name in file.namelist() if int(name.split("/")[0]) >= side]
        if not names:
            raise ValueError(f"{archive}: holds no pictures of {side}x{side} or more")
        for name in names:
            if not (folder / name).exists():
                file.extract(name, folder)
    return folder


if __name__ == "__main__":
    main()
