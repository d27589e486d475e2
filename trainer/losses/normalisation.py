"""Bringing scores, rewards and advantages to a known mean and spread.

    whiten           (x - mu) / sqrt(var + 1e-8), with mu added back where the mean is to stay
    to_unit          gain = 1 / std, bias = -mean / std, on samples of the reference policy
    RunningMoments   mean and variance of all scores so far (Chan et al. 1979)

Variances are biased (LMHP) or unbiased (TRL), as asked for. torchtune's `whiten` keeps the mean where it says it
removes it; here `keep_mean=True` keeps it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

EPSILON = 1e-8


def whiten(values: Tensor, mask: Tensor | None = None, *, keep_mean: bool = False, unbiased: bool = True) -> Tensor:
    """`values` of any shape with variance 1 over the positions whose mask is 1, and mean 0 unless it is kept.

    Positions masked out give 0. Rewards keep their mean (LMHP), advantages lose it. Raises ValueError with fewer
    than 2 positions, where there is no spread.
    """
    here = torch.ones_like(values, dtype=torch.bool) if mask is None else mask.bool()
    known = values[here]
    if known.numel() < 2:
        raise ValueError(f"whitening needs at least 2 values, there are {known.numel()}; use a larger batch")
    variance, mean = torch.var_mean(known, unbiased=unbiased)
    result = (values - mean) * torch.rsqrt(variance + EPSILON)
    return torch.where(here, result + mean if keep_mean else result, torch.zeros_like(values))


def to_unit(scores: Tensor) -> tuple[float, float]:
    """(gain, bias) such that gain * score + bias has mean 0 and unbiased standard deviation 1 over `scores` [N].

    Taken on samples of the reference policy, so that a KL coefficient means the same for every reward model (Ziegler
    et al. 2019). Raises ValueError where the scores do not vary.
    """
    deviation = float(scores.double().std()) if scores.numel() > 1 else 0.0
    if not deviation > 0:
        raise ValueError(f"{scores.numel()} scores without spread cannot be scaled; score more varied samples")
    return 1 / deviation, -float(scores.double().mean()) / deviation


@dataclass(frozen=True)
class RunningMoments:
    """Count, mean and biased variance of every score seen; `updated` gives the next, nothing changes in place."""

    count: int = 0
    mean: float = 0.0
    variance: float = 0.0

    def updated(self, scores: Tensor) -> "RunningMoments":
        """The moments with a batch of scores, of any shape, added."""
        batch = scores.detach().double()
        count = self.count + batch.numel()
        if count == self.count:
            return self
        delta = float(batch.mean()) - self.mean
        squares = self.variance * self.count + float(batch.var(unbiased=False)) * batch.numel()
        squares += delta**2 * self.count * batch.numel() / count
        return RunningMoments(count, self.mean + delta * batch.numel() / count, squares / count)

    @property
    def std(self) -> float:
        """Unbiased standard deviation; 0 for fewer than 2 scores."""
        return (self.variance * self.count / (self.count - 1)) ** 0.5 if self.count > 1 else 0.0

    def normalised(self, scores: Tensor, *, centred: bool = True) -> Tensor:
        """Scores over the standard deviation, less the mean where `centred`. TRL 0.7.1 updates before it normalises."""
        return (scores - self.mean if centred else scores) / (self.std + torch.finfo(scores.dtype).eps)
