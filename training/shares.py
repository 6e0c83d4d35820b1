"""One batch, divided: among processes, and within a process into portions that fit the memory.

Every random number is drawn for the whole batch, and each share takes its rows, so a run gives the same weights however
it is divided. Share `index` of `count` holds the pictures index, index + count, ...: the groups of the minibatch
standard deviation then hold the same pictures as in the undivided batch.
"""

import torch


class Share:
    """Share `index` of `count` of a batch of `batch` pictures (a multiple of `count`), and random numbers for it."""

    def __init__(self, index, count, batch, device):
        self.index, self.count, self.batch, self.device = index, count, batch, device
        self.n = batch // count

    def of(self, whole):
        """The rows of `whole` [batch, ...] that belong to this share, [n, ...]; of a tensor a copy, so that the rest of
        it is not kept alive."""
        rows = whole[self.index :: self.count]
        return rows.clone() if torch.is_tensor(rows) and self.count > 1 else rows

    def smaller(self, factor):
        """The same share of a batch that is `factor` times smaller (at least one picture a share)."""
        return Share(self.index, self.count, self.count * max(self.n // factor, 1), self.device)

    def randn(self, *shape):
        """Standard normal numbers [n, *shape]."""
        return self.of(torch.randn([self.batch, *shape], device=self.device))

    def rand(self, *shape):
        """Uniform numbers in [0, 1), [n, *shape]."""
        return self.of(torch.rand([self.batch, *shape], device=self.device))

    def randint(self, low, high):
        """Integers in [low, high), [n]."""
        return self.of(torch.randint(low, high, [self.batch], device=self.device))

    def noise(self, G):
        """Noise inputs for G.synthesis, a list of [n, 1, R, R]; given to two generators, both draw the same."""
        return [self.randn(1, *shape) for shape in G.synthesis.noise_shapes()]
