"""What is measured of every method of the paired benchmark, picture by picture, and the rows of its table.

LPIPS, L2          to the truth, over the crop; "(face)" over the truth's face and hair alone (metrics/paired.py)
dlib distance      of the faces' embeddings, result to truth (metrics/identity.py)
landmarks          mean distance of 68 landmarks over that of the outer eye corners (metrics/landmarks.py)
authenticity       logit of "real" of the inner face (compare/paired/authenticity.py); the only one where more
                   is better.
                   The truth's row says how far to trust it: the score also knows the studio's light and tones, which
                   the truth shares with the input, so a result above the truth is not better than the truth
feature distance   of all results to the real set (metrics/feature_distance.py)
no face            pictures in which dlib's detector sees none: they have no landmark distance
"""

from dataclasses import dataclass

import numpy as np
import torch

from alignment.tensors import to_tensor
from compare.intervals import difference, number, set_number
from losses.perceptual import load_perceptual
from losses.resize import comparable, downsample
from metrics.face_distance import face_l2, face_lpips
from metrics.feature_distance import paired_distances, pooled_features
from metrics.identity import embedding, identity_distance
from metrics.landmarks import landmark_distance, portrait_landmarks
from postprocess.masks import face_mask

COLUMNS = ("LPIPS", "L2", "LPIPS (face)", "L2 (face)", "dlib distance", "landmarks", "authenticity")
SET_COLUMN = "feature distance"
FAILURES = "no face"
REFERENCES = ("truth", "real look")  # rows that are no method
SIDES = (64, 256)  # smaller pictures are enlarged and larger ones reduced to these for the features of the set
PORTION = 16


@dataclass(frozen=True)
class Measured:
    """values: {column: float64 [N]}, NaN where a picture has none. features: float64 [N, C] or None."""

    values: dict
    features: torch.Tensor | None = None


class Ruler:
    """ruler(pixels uint8 [N, R, R, 3]) -> Measured, against the truths of `portraits`, or, where nobody knows them,
    against the inputs.

    perceptual: of losses/perceptual.py. labels: [N, R, R], the parsing of the truths (of the inputs). judge: of
    compare/paired/authenticity.py or None.
    """

    def __init__(self, portraits, perceptual, labels, device, judge=None):
        self.truths = portraits.inputs if portraits.truths is None else portraits.truths
        self.perceptual, self.labels, self.device, self.judge = perceptual, labels, device, judge
        self.embedded = load_perceptual().to(device)
        self.faces = [embedding(pixels) for pixels in self.truths]
        self.landmarks = [portrait_landmarks(pixels) for pixels in self.truths]

    def __call__(self, pixels):
        found = [portrait_landmarks(picture) for picture in pixels]
        values = self._closeness(pixels)
        values["dlib distance"] = [identity_distance(embedding(p), t) for p, t in zip(pixels, self.faces, strict=True)]
        values["landmarks"] = list(map(landmark_distance, found, self.landmarks))
        values[FAILURES] = [float(landmarks is None) for landmarks in found]
        if self.judge is not None:
            values["authenticity"] = self.judge(pixels, self.labels)
        values = {column: np.asarray(numbers, dtype=np.float64) for column, numbers in values.items()}
        return Measured(values, set_features(self.embedded, pixels, self.device))

    @torch.no_grad()
    def _closeness(self, pixels):
        values = {column: [] for column in COLUMNS[:4]}
        for start in range(0, len(pixels), PORTION):
            part = slice(start, start + PORTION)
            x, truth = (to_tensor(p[part], self.device) for p in (pixels, self.truths))
            face = torch.from_numpy(face_mask(self.labels[part])).to(self.device)
            values["LPIPS"] += self.perceptual(comparable(x), comparable(truth)).tolist()
            values["L2"] += face_l2(x, truth, torch.ones_like(face)).tolist()
            values["LPIPS (face)"] += face_lpips(self.perceptual, x, truth, face).tolist()
            values["L2 (face)"] += face_l2(x, truth, face).tolist()
        return values


def set_features(embedded, pixels, device):
    """float64 [N, C]: pooled features (metrics/feature_distance.py) of pictures uint8 [N, R, R, 3]."""
    side = min(max(pixels.shape[1], SIDES[0]), SIDES[1])
    starts = range(0, len(pixels), PORTION)
    parts = [downsample(to_tensor(pixels[start : start + PORTION], device), side) for start in starts]
    return torch.cat([pooled_features(embedded, part).cpu() for part in parts])


def table_rows(measured, real_features=None, ours="ours"):
    """Two tables of {name: Measured}: {name: {column: Number or count}}, and {"OURS - NAME": {column: Number}}, the
    paired differences of `ours` to each other method.

    real_features: of the real set, [M, C]; None = no feature distance.
    """
    distances = {}
    if real_features is not None:
        distances = {name: paired_distances(m.features, real_features).numpy() for name, m in measured.items()}
    rows, differences = {}, {}
    for name, method in measured.items():
        rows[name] = {column: number(method.values[column]) for column in COLUMNS if column in method.values}
        if name in distances:
            rows[name][SET_COLUMN] = set_number(distances[name], len(method.features))
        rows[name][FAILURES] = int(method.values[FAILURES].sum())
    for name, method in measured.items():
        if name == ours or name in REFERENCES:
            continue
        first = measured[ours].values
        row = {column: difference(first[column], method.values[column]) for column in COLUMNS if column in rows[name]}
        if name in distances:
            row[SET_COLUMN] = set_number(distances[ours] - distances[name], len(method.features))
        differences[f"{ours} - {name}"] = row
    return rows, differences
