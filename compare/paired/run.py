"""The paired comparison as a whole: make what is missing, measure everything alike, write the report."""

from functools import partial

import click
import numpy as np
import torch
from tqdm import tqdm

import weights
from alignment.evenly import evenly
from alignment.tensors import to_tensor
from alignment.text import shown
from compare.systems import read_system
from losses.perceptual import load_perceptual

from .authenticity import described, train_judge
from .data import read_picture, read_results, training_identities
from .make import make
from .measures import PORTION, REFERENCES, Ruler, set_features, table_rows
from .report import sheet_rows, write_report

REAL_SET = 512  # pictures of the training identities' photo look, for the feature distance


def compare(methods, foreign, bundle, portraits, out, report, caption, batch):
    """Make `methods` in out/methods/NAME, read the results folders `foreign` ({name: folder}), measure all, and write
    the files of compare/paired/report.py into the folder `report`. Returns (the table in Markdown, notes).

    bundle: of pipeline.load_bundle. portraits: of compare/paired/data.py; the training identities of their data folder
    judge authenticity and stand for the real set; without one, neither is measured. Raises ClickException for a name of
    `foreign` that is a row of ours.
    """
    size, device, names, data = bundle.g_real.img_resolution, bundle.device, portraits.names, portraits.data
    for name in foreign:
        if name in REFERENCES or name in {method.name for method in methods}:
            raise click.ClickException(f"--results {shown(name)}=...: a row of that name is ours; choose another name")
    folders = {method.name: out / "methods" / method.name for method in methods}
    theirs = {name: read_foreign(folder, names) for name, folder in foreign.items()}
    systems = {}
    with tqdm(total=len(names) * sum(m.steps for m in methods), unit="step", mininterval=1) as bar:
        for method in methods:
            systems[method.name] = make(method, folders[method.name], portraits, batch, device, bar)

    labels = parsed(bundle, portraits.inputs) if portraits.labels is None else portraits.labels
    judge, real_features, facts = None, None, {}
    pictures = {name: partial(read_results, folder, names, size) for name, folder in folders.items()}
    for name, (system, paths) in theirs.items():
        systems[name] = system
        pictures[name] = lambda paths=paths: np.stack([read_picture(path, size) for path in paths])
    if data is not None:
        judge = train_judge(data, size, out / "authenticity.safetensors", device)
        facts["authenticity"] = judge.report
        caption += f" Authenticity on {described(judge.report)}."
        real_features = real_set(data, size, device)
        pictures["truth"] = lambda: portraits.truths
        pictures["real look"] = partial(read_results, data / "real", names, size)
    ruler = Ruler(portraits, bundle.perceptual, labels, device, judge)
    measured, sheet = {}, {"input": portraits.inputs[sheet_rows(names)]}
    for name, read in tqdm(pictures.items(), desc="measures", mininterval=1):  # one method's pictures at a time
        pixels = read()
        measured[name] = ruler(pixels)
        if name != "real look":
            sheet[name] = pixels[sheet_rows(names)]

    facts["networks"] = {role: weights.sha256(path) for role, path in bundle.files.items()}
    facts["torch"] = torch.__version__
    rows, differences = table_rows(measured, real_features)
    if "restored" in measured:
        differences = table_rows(measured, real_features, ours="restored")[1] | differences
    return write_report(report, caption, (rows, differences), measured, systems, sheet, names, facts)


def read_foreign(folder, names):
    """(System, paths) of another system's results, one for every name. Raises ClickException when some are missing."""
    system, found = read_system(folder, [f"{name}.png" for name in names])
    missing = [name for name in names if name not in found]
    if missing:
        said = f"no result for {shown(missing[0])} ({len(missing)} of {len(names)} missing)"
        raise click.ClickException(f"{shown(folder)}: {said}")
    return system, [found[name] for name in names]


def real_set(data, size, device):
    """float64 [REAL_SET, C]: features of the photo look of training identities, evenly spread."""
    names, embedded = evenly(training_identities(data), REAL_SET), load_perceptual().to(device)
    starts = range(0, len(names), PORTION)
    parts = (read_results(data / "real", names[start : start + PORTION], size) for start in starts)
    return torch.cat([set_features(embedded, part, device) for part in parts])


@torch.no_grad()
def parsed(bundle, pixels):
    """Integer [N, R, R]: the bundle's parser on pictures uint8 [N, R, R, 3]."""
    from postprocess.parsing import parse

    return np.stack([parse(bundle.parser, to_tensor(p[None], bundle.device))[0].cpu().numpy() for p in pixels])
