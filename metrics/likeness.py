"""Is it the same person? By the recognition network that is here: CurricularFace, as in the paper, or dlib's embedding.

The two measures have names of their own and run in opposite directions: a similarity (1 = the same picture) and a
distance (0 = the same picture, below 0.6 the same person).
"""

import numpy as np
import torch

import weights

from . import curricularface, identity
from .features import Measure
from .fid import eight_bits

SIMILARITY, DISTANCE = "identity similarity (CurricularFace)", "identity distance (dlib)"


def face_measure(device="cpu"):
    """CurricularFace where its weights are, else dlib: compare() gives one value a pair, [N]."""
    if curricularface.FILE.is_file():
        network = curricularface.load_curricularface(curricularface.FILE, device)

        def extract(images):
            return curricularface.embeddings(network, images.to(device)).cpu()

        digest = weights.sha256(curricularface.FILE)
        return Measure(SIMILARITY, digest, extract, curricularface.identity_similarity)
    return Measure(DISTANCE, weights.sha256(identity.network_file()), dlib_embeddings, lambda a, b: (a - b).norm(dim=1))


def dlib_embeddings(images):
    """Pictures [N, 3, R, R] in [-1, 1] -> float64 [N, 128]."""
    pixels = eight_bits(images).permute(0, 2, 3, 1).cpu().numpy()  # [N, R, R, 3]
    return torch.from_numpy(np.stack([identity.embedding(picture) for picture in pixels]))
