"""Numbers that say during a run whether it goes well, on the same latents every time: some of the run's file of
latents, or fixed z.

identity_distance   dlib's embedding distance between g_real's and g_rendering's picture of a latent (same person < 0.6)
blurred_lpips       Eq. 2 on these latents: how much the colours moved
feature_distance    of the generated pictures to the training set (metrics/feature_distance.py; not an FID)
fid_N               FID of the N pictures to as many of the training set, where the Inception weights are there

The first two need a g_real, the others more than one training picture. An FID of few pictures is too large; it compares
with itself only.
"""

import torch

from losses.color import color_loss
from losses.perceptual import load_perceptual
from losses.resize import downsample
from metrics import fid
from metrics.feature_distance import frechet_distance, pooled_features
from metrics.identity import embedding, identity_distance

PORTION = 8  # pictures drawn at a time
IDENTITIES = 32  # dlib looks at so many; it takes about 0.1 s a picture
SIDES = (64, 256)  # smaller pictures are enlarged and larger ones reduced to these for dlib and the features


class ProgressMetrics:
    """`metrics(G)` -> {name: float}. What does not change during the run is computed once, at the first call."""

    def __init__(self, run, images):
        count = run.config.metrics_pictures
        self.config, self.g_real, self.device = run.config, run.g_real, run.device
        self.z = torch.randn([count, run.G.z_dim], generator=torch.Generator().manual_seed(2)).to(run.device)
        self.w_plus = None
        if run.w_plus is not None:
            chosen = torch.linspace(0, len(run.w_plus) - 1, min(count, len(run.w_plus))).long()
            self.w_plus = run.w_plus[chosen].float().to(run.device)
        self.embedded = load_perceptual().to(run.device, memory_format=torch.channels_last)
        self.perceptual = load_perceptual(run.config.perceptual_weights_file).to(run.device)
        self.inception = fid.load_inception(device=run.device) if fid.FILE.is_file() else None
        chosen = torch.linspace(0, len(images) - 1, min(count, len(images))).long().tolist()
        starts = range(0, len(chosen), PORTION)
        parts = [images[chosen[i : i + PORTION]].to(run.device).float() / 127.5 - 1 for i in starts]
        self.real_features = torch.cat([self._features(part) for part in parts])
        if self.inception is not None:
            self.real_inception = torch.cat([fid.inception_features(self.inception, part) for part in parts])
        self.real_embeddings = None

    @torch.no_grad()
    def __call__(self, G):
        features, inception, colors, embeddings, real_embeddings = [], [], [], [], []
        latents = G.mapping(self.z) if self.w_plus is None else self.w_plus
        for w_plus in latents.split(PORTION):
            y = G.synthesis(w_plus, noise_mode="const")
            features.append(self._features(y))
            if self.inception is not None:
                inception.append(fid.inception_features(self.inception, y))
            if self.g_real is None:
                continue
            x = self.g_real.synthesis(w_plus, noise_mode="const")
            colors.append(color_loss(self.perceptual, x, y, self.config.color) * len(y))
            left = max(IDENTITIES - len(embeddings), 0)
            embeddings += _embeddings(y[:left])
            if self.real_embeddings is None:
                real_embeddings += _embeddings(x[:left])
        result = {}
        if len(self.real_features) > 1:  # the spread of one picture is not known
            result["feature_distance"] = frechet_distance(torch.cat(features), self.real_features)
        if inception and len(self.real_features) > 1:
            result[f"fid_{len(latents)}"] = fid.fid(torch.cat(inception), self.real_inception)
        if self.g_real is not None:
            self.real_embeddings = self.real_embeddings or real_embeddings
            distances = list(map(identity_distance, embeddings, self.real_embeddings))
            result["identity_distance"] = sum(distances) / len(distances)
            result["blurred_lpips"] = float(sum(colors)) / len(latents)
        return result

    def _features(self, images):
        return pooled_features(self.embedded, _middle_size(images)).cpu()


def _middle_size(images):
    return downsample(images, min(max(images.shape[2], SIDES[0]), SIDES[1]))


def _embeddings(images):
    pixels = ((_middle_size(images) + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
    return [embedding(picture) for picture in pixels]
