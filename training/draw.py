"""What the augmentation draws at random, for a share of a batch; or, for tests, one percentile of each distribution."""

import torch


class Draw:
    """Random numbers for a share of a batch, or one percentile of their distributions."""

    def __init__(self, share, p, percentile):
        self.share, self.p, self.percentile = share, p, percentile

    def uniform(self):
        if self.percentile is not None:
            return torch.full([self.share.n], float(self.percentile), device=self.share.device)
        return self.share.rand()

    def normal(self, std):
        if self.percentile is not None:
            value = torch.erfinv(torch.tensor(2 * float(self.percentile) - 1, device=self.share.device))
            return value.expand(self.share.n) * std  # as the reference has it, without the factor sqrt(2)
        return self.share.randn() * std

    def half_normal(self, std):
        """|normal|; the reference takes erfinv of the percentile itself here."""
        if self.percentile is not None:
            value = torch.erfinv(torch.tensor(float(self.percentile), device=self.share.device)).abs()
            return value.expand(self.share.n) * std
        return self.share.randn().abs() * std

    def when(self, multiplier, value, otherwise, probability=None):
        """`value` with probability multiplier * p (or `probability`), else `otherwise`; per picture."""
        if self.percentile is not None:
            return value
        probability = multiplier * self.p if probability is None else probability
        return torch.where(self.share.rand() < probability, value, otherwise)

    def when_both(self, multiplier, values):
        """Two values that are kept or set to 0 together."""
        if self.percentile is not None:
            return values
        keep = self.share.rand() < multiplier * self.p
        return [torch.where(keep, value, 0) for value in values]
