"""Two checkpoints judged on the same prompts: the paired difference, which needs a third to two thirds of the prompts
that two separate win rates need, because what a prompt does to both cancels.

Leaves out where scores come from and comparisons of more than two (multiplicity.py adjusts their p-values).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, stdtr, stdtrit

from trainer.evaluation.statistics import SAME, Interval


@dataclass(frozen=True)
class PairedDifference:
    """Mean of b - a over `n` prompts in win-rate units (-1..1), with its paired t test and exact McNemar test.

    `unpaired_error` is what the standard error would be had the prompts not been shared. t and p are None where every
    difference is the same. only_a and only_b: prompts won (score > .5) by one of the two only.
    """

    difference: float
    standard_error: float
    unpaired_error: float
    interval: Interval
    t: float | None
    p: float | None
    n: int
    only_a: int
    only_b: int
    mcnemar_p: float


def paired_difference(a: Sequence[float], b: Sequence[float], confidence: float = 0.95) -> PairedDifference:
    """Per-prompt scores of two checkpoints against one baseline, prompt by prompt in the same order.

    Paired t: t = mean(d) / (sd(d) / sqrt n), n-1 degrees of freedom, d = b - a. Raises ValueError where the scores
    differ in number, there are fewer than two, or one lies outside 0..1.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1 or len(x) < 2:
        raise ValueError(f"a paired difference needs two or more prompts scored for both, got {x.shape} and {y.shape}")
    if not bool(np.all((x >= 0) & (x <= 1) & (y >= 0) & (y <= 1))):
        raise ValueError("a score lies outside 0 (loss) to 1 (win): leave out prompts with an invalid verdict")
    d = y - x
    n, mean = len(d), float(d.mean())
    error = float(d.std(ddof=1)) / math.sqrt(n)
    varies = float(np.ptp(d)) > SAME
    half = float(stdtrit(n - 1, 0.5 + confidence / 2)) * error
    t = mean / error if varies else None
    only_a, only_b = int(np.sum((x > 0.5) & (y <= 0.5))), int(np.sum((y > 0.5) & (x <= 0.5)))
    return PairedDifference(
        difference=mean,
        standard_error=error,
        unpaired_error=math.sqrt((x.var(ddof=1) + y.var(ddof=1)) / n),
        interval=Interval(max(-1.0, mean - half), min(1.0, mean + half)),
        t=t,
        p=None if t is None else float(2 * stdtr(n - 1, -abs(t))),
        n=n,
        only_a=only_a,
        only_b=only_b,
        mcnemar_p=mcnemar(only_a, only_b),
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact two-sided p-value that the `only_a + only_b` prompts which separate two checkpoints fall by a fair coin.

    Twice the smaller binomial tail, at most 1; 1 where nothing separates them.
    Source: McNemar (1947), Note on the sampling error of the difference between correlated proportions.
    """
    if only_a < 0 or only_b < 0:
        raise ValueError(f"counts cannot be negative, got {only_a} and {only_b}")
    return min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))
