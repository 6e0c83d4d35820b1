"""The training set itself: a folder or an uncompressed zip in the layout that StyleGAN2-ADA users have.

00000/img00000000.png ... 00000/img00000999.png, 00001/img00001000.png ... and dataset.json
"""

import json
import os
import shutil
import zipfile

from weights.files import written_atomically

EPOCH = (1980, 1, 1, 0, 0, 0)  # of every member: the same pictures give the same zip, byte for byte


def numbered(count):
    """The file names of `count` pictures."""
    return [f"{index // 1000:05d}/img{index:08d}.png" for index in range(count)]


def dataset_json(labels):
    """labels: one int a picture, or None where there are none -> the text of dataset.json."""
    pairs = [list(pair) for pair in zip(numbered(len(labels)), labels, strict=True)] if labels else None
    return json.dumps({"labels": pairs})


def pack_zip(path, crops, labels, progress=lambda items: items):
    """Write the PNG files `crops` into the zip `path`, stored as they are, whole or not at all."""
    with written_atomically(path) as unfinished:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED) as file:
            for name, crop in progress(list(zip(numbered(len(crops)), crops, strict=True))):
                file.writestr(_member(name), crop.read_bytes())
            file.writestr(_member("dataset.json"), dataset_json(labels))


def pack_folder(path, crops, labels, progress=lambda items: items):
    """Put the PNG files `crops` into the folder `path` in place of whatever it held, whole or not at all.

    The files are hard links to the crops where the file system has them: they take no space of their own.
    """
    unfinished, old = path.with_name(f".{path.name}.part"), path.with_name(f".{path.name}.old")
    for leftover in (unfinished, old):
        shutil.rmtree(leftover, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        for name, crop in progress(list(zip(numbered(len(crops)), crops, strict=True))):
            target = unfinished / name
            target.parent.mkdir(exist_ok=True)
            try:
                os.link(crop, target)
            except OSError:
                shutil.copyfile(crop, target)
        (unfinished / "dataset.json").write_text(dataset_json(labels))
        if path.exists():
            path.rename(old)
        unfinished.rename(path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _member(name):
    info = zipfile.ZipInfo(name, EPOCH)
    info.external_attr = 0o644 << 16
    return info
