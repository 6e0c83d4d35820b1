"""The paired comparison as a whole: make what is missing, measure everything alike, write the report."""

import numpy as np
import torch
from tqdm import tqdm

import weights

from .paired_authenticity import described, train_judge
from .paired_data import evenly, find, read_picture, read_results, to_tensor, training_identities
from .paired_measures import Ruler, set_features, table_rows
from .paired_methods import make, read_card
from .paired_report import write_report
from .systems import System

REAL_SET = 512  # pictures of the training identities' photo look, for the feature distance


def compare(methods, foreign, bundle, portraits, out, report, caption, batch, data=None):
    """Make `methods` in out/methods/NAME, read the results folders `foreign` ({name: folder}), measure all, and write
    the files of jobs/paired_report.py into the folder `report`. Returns (the table in Markdown, notes).

    bundle: of project.load_bundle. portraits: of jobs/paired_data.py. data: a folder laid out like shared/avatars: its
    training identities then judge authenticity and stand for the real set; None = neither is measured.
    """
    size, device = bundle.g_real.img_resolution, bundle.device
    systems, pictures = {}, {}
    with tqdm(total=len(portraits.names) * sum(m.steps for m in methods), unit="step", mininterval=1) as bar:
        for method in methods:
            systems[method.name] = make(method, out / "methods" / method.name, portraits, batch, device, bar)
    for name, folder in ({m.name: out / "methods" / m.name for m in methods} | foreign).items():
        pictures[name] = read_results(folder, portraits.names, size)
        systems.setdefault(name, read_card(folder) or System(name))

    labels, judge, real_features, facts = portraits.labels, None, None, {}
    if labels is None:
        labels = parsed(bundle, portraits.inputs)
    if data is not None:
        judge = train_judge(data, size, out / "authenticity.safetensors", device)
        facts["authenticity"] = judge.report
        caption += f" Authenticity on {described(judge.report)}."
        real = [read_picture(find(data / "real", name), size) for name in evenly(training_identities(data), REAL_SET)]
        ruler = Ruler(portraits, bundle.perceptual, labels, device, judge)
        real_features = set_features(ruler.embedded, np.stack(real), device)
        pictures["truth"] = portraits.truths
        pictures["real look"] = np.stack([read_picture(find(data / "real", name), size) for name in portraits.names])
    else:
        ruler = Ruler(portraits, bundle.perceptual, labels, device)
    measured = {name: ruler(pixels) for name, pixels in tqdm(pictures.items(), desc="measures", mininterval=1)}

    columns = {"input": portraits.inputs} | {name: shown for name, shown in pictures.items() if name != "real look"}
    facts["networks"] = {role: weights.sha256(path) for role, path in bundle.files.items()}
    facts["torch"] = torch.__version__
    tables = table_rows(measured, real_features)
    return write_report(report, caption, tables, measured, systems, columns, portraits, facts)


@torch.no_grad()
def parsed(bundle, pixels):
    """Integer [N, R, R]: the bundle's parser on pictures uint8 [N, R, R, 3]."""
    from postprocess.parsing import parse

    return np.stack([parse(bundle.parser, to_tensor(p[None], bundle.device))[0].cpu().numpy() for p in pixels])
