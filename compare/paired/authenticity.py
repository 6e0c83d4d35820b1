"""The authenticity score of the paired benchmark: metrics/authenticity.py trained on rendered/ and real/ of identities
that are never evaluated.

The region is the inner face: skin, brows, eyes, nose and lips. It was chosen on held-out training identities (500 to
learn from, 200 held out), with a test that both looks of one person in one pose allow: the real inner face set into the
rendered picture, and the rendered one into the real picture. A score of the whole picture ranks such a pair by the face
in 8 % of the cases: it knows the studio backdrop. One of face and hair does so in 27 %: the outlines of hair let the
backdrop through. One of the inner face cannot see any of it; its border is drawn in a little, because labels are good
to about a pixel. Evaluation pictures took no part in the choice.
"""

import hashlib

import numpy as np
import torch
from torch.nn.functional import max_pool2d

import weights
from alignment.evenly import evenly
from alignment.tensors import to_tensor
from losses.perceptual import load_perceptual
from losses.resize import downsample
from metrics.authenticity import CONTRAST, Authenticity, auc, fit, region_features
from postprocess.masks import inner_face

from .data import find, read_labels, read_picture, training_identities

IDENTITIES = 600  # evenly spread over the training identities; every fourth is held out
SIDE = 128  # pixels: larger pictures are reduced to this
BORDER = 0.015  # of the side: by so much the inner face is eroded
PORTION = 16


class Judge:
    """judge(pixels uint8 [N, R, R, 3], labels [N, R, R]) -> float64 [N], the logit of "real". report: how well it does
    on the held-out identities: accuracy, auc, means of the logits, counts."""

    def __init__(self, classifier, network, device, report):
        self.classifier, self.network, self.device, self.report = classifier, network, device, report

    def __call__(self, pixels, labels):
        return self.classifier(inner_features(self.network, pixels, labels, self.device)).numpy()


def train_judge(data, size, file, device="cpu", identities=IDENTITIES, progress=True):
    """A Judge for pictures of `size`, from `file` when that was made from the same set and networks, else trained and
    written there (2 to 3 minutes on one core). Raises ClickException for unreadable data and ValueError for too few
    identities."""
    names = evenly(training_identities(data), identities)
    network = load_perceptual().to(device)
    made_with = {
        "identities": hashlib.sha256("\n".join(names).encode()).hexdigest(),
        "perceptual": weights.sha256(weights.DEMO / "perceptual.safetensors"),
        "side": min(size, SIDE),
        "border": BORDER,
        "contrast": CONTRAST,
    }
    if not (file.is_file() and weights.card(file).get("made_with") == made_with):
        tensors, report = learn(data, names, min(size, SIDE), network, device, progress)
        weights.save(file, tensors, kind="authenticity", config={}, card={"made_with": made_with, "report": report})
    tensors, _ = weights.load(file, "authenticity")  # from the file in every case: it rounds
    tensors = {name: tensor.double() for name, tensor in tensors.items()}
    classifier = Authenticity(tensors["mean"], tensors["scale"], tensors["weight"], float(tensors["bias"]))
    return Judge(classifier, network, device, weights.card(file)["report"])


def learn(data, names, side, network, device, progress):
    """({name: tensor} of an Authenticity, report): trained on three quarters of the identities, tried on the rest."""
    from tqdm import tqdm

    features = {"real": [], "rendered": []}
    for start in tqdm(range(0, len(names), PORTION), desc="authenticity", disable=not progress, mininterval=1):
        part = names[start : start + PORTION]
        labels = np.stack([read_labels(find(data / "parsing", name), side) for name in part])
        for look, found in features.items():
            pixels = np.stack([read_picture(find(data / look, name), side) for name in part])
            found.append(inner_features(network, pixels, labels, device))
    real, rendered = (torch.cat(features[look]) for look in ("real", "rendered"))
    held_out = torch.arange(len(names)) % 4 == 3
    classifier = fit(real[~held_out], rendered[~held_out])
    above, below = classifier(real[held_out]), classifier(rendered[held_out])
    report = {
        "trained_on": int((~held_out).sum()),
        "held_out": int(held_out.sum()),
        "accuracy": float((torch.cat([above, -below]) > 0).double().mean()),
        "auc": auc(above, below),
        "mean_real": float(above.mean()),
        "mean_rendered": float(below.mean()),
    }
    tensors = {"mean": classifier.mean, "scale": classifier.scale, "weight": classifier.weight}
    return tensors | {"bias": torch.tensor(classifier.bias)}, report


def inner_features(network, pixels, labels, device):
    """float64 [N, F] of pictures uint8 [N, R, R, 3] over their inner faces, at most SIDE pixels wide."""
    side = min(SIDE, pixels.shape[1])
    step = pixels.shape[1] // side
    outside = torch.from_numpy(~inner_face(labels[:, step // 2 :: step, step // 2 :: step][:, :side, :side]))
    width = max(round(BORDER * side), 1)
    region = max_pool2d(outside[:, None].float(), 2 * width + 1, 1, width)[:, 0].to(device) == 0  # [N, side, side]
    parts = []
    for start in range(0, len(pixels), PORTION):
        images = downsample(to_tensor(pixels[start : start + PORTION], device), side)
        parts.append(region_features(network, images, region[start : start + PORTION]).cpu())
    return torch.cat(parts)


def described(report):
    """One sentence about a Judge for a caption."""
    return (
        f"held-out training identities: AUC {report['auc']:.3f}, accuracy {report['accuracy']:.3f}, mean logit "
        f"{report['mean_real']:.1f} of real and {report['mean_rendered']:.1f} of rendered pictures"
    )
