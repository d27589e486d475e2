"""Shares and win rates with their confidence intervals.

Free of torch, numpy and scipy, so that forms, API and command line share it at no cost. It leaves out where
scores come from (preferences, judges, the preference model) and what a figure leads to (trainer/gate.py).
The unit is the prompt: average several rows of one prompt before calling anything here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

SAME = 1e-12  # scores closer than this differ by rounding only


@dataclass(frozen=True)
class Interval:
    """A two-sided confidence interval: of a share with both ends in 0..1, elsewhere in the figure's own unit."""

    low: float
    high: float


@dataclass(frozen=True)
class Accuracy:
    """`right` of `n` decided pairs were ordered correctly; `interval` is Wilson's."""

    right: int
    n: int
    interval: Interval

    @property
    def rate(self) -> float:
        return self.right / self.n


@dataclass(frozen=True)
class WinRate:
    """Mean per-prompt score `rate` over `n` prompts; the interval is Wilson's at `n_effective` trials."""

    rate: float
    interval: Interval
    n: int
    n_effective: float


def wilson(successes: float, n: float, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of `successes` out of `n` trials; both may be fractional.

    Raises ValueError where n is not positive, successes lie outside 0..n, or confidence outside (0, 1).
    Source: Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    if not n > 0:
        raise ValueError(f"an interval needs at least one trial, got n = {n}: leave out what was not counted")
    if not -SAME * n <= successes <= n * (1 + SAME):
        raise ValueError(f"successes must lie between 0 and n = {n}, got {successes}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}: for 95 per cent give 0.95")
    p = min(max(successes / n, 0.0), 1.0)
    z2 = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (p * (1 - p) + z2 / (4 * n)) / n) / (1 + z2 / n)
    low = 0.0 if p == 0 else max(0.0, centre - half)  # exact where rounding would leave 1e-17
    high = 1.0 if p == 1 else min(1.0, centre + half)
    return Interval(low, high)


def accuracy(correct: Sequence[bool], confidence: float = 0.95) -> Accuracy:
    """How many decided pairs were ordered correctly, with its interval. ValueError where there are none."""
    right = sum(bool(c) for c in correct)
    return Accuracy(right=right, n=len(correct), interval=wilson(right, len(correct), confidence))


def win_rate(scores: Sequence[float], confidence: float = 0.95, *, counts: Sequence[int] | None = None) -> WinRate:
    """Mean of per-prompt scores (1 win, .5 tie, 0 loss, or any share) with its n_eff-Wilson interval.

    Wilson at n_eff = n p(1-p) / s^2, where s^2 is the sample variance of the scores and p their mean;
    n_eff = n where s = 0. Without ties this is Wilson with n - 1 trials. Plain Wilson with ties as half wins
    covers 99.5 to 100 per cent instead of 95; this covers 93.6 to 96.5 over 30-200 prompts, 0-85 per cent ties.
    Coverage was simulated; the simulation is repeated in the tests. counts: how many prompts had each score, where
    they were counted before; one each by default.

    Raises ValueError where there are no scores or one lies outside 0..1.
    """
    times = [1] * len(scores) if counts is None else counts
    n = sum(times)
    if n == 0:
        raise ValueError("a win rate needs at least one score, got none: leave out what was not compared")
    for score in scores:
        if not 0 <= score <= 1:  # also refuses NaN
            raise ValueError(f"a score must lie in 0 (loss) to 1 (win), got {score}: leave out invalid ones")
    rate = math.fsum(score * k for score, k in zip(scores, times, strict=True)) / n
    n_effective = float(n)
    if max(scores) - min(scores) > SAME:
        variance = math.fsum(k * (score - rate) ** 2 for score, k in zip(scores, times, strict=True)) / (n - 1)
        n_effective = n * rate * (1 - rate) / variance
    return WinRate(rate, wilson(rate * n_effective, n_effective, confidence), n, n_effective)


def standard_error(scores: Sequence[float]) -> float:
    """Standard error of the mean of per-prompt scores: n-1 standard deviation / sqrt n. ValueError below two scores."""
    n = len(scores)
    if n < 2:
        raise ValueError(f"a standard error needs at least two scores, got {n}: compare more prompts")
    mean = math.fsum(scores) / n
    return math.sqrt(math.fsum((score - mean) ** 2 for score in scores) / (n - 1) / n)


def interval_of_estimate(rate: float, error: float, confidence: float = 0.95) -> Interval:
    """Interval of a share estimated at `rate` with standard error `error` > 0: Wilson at n_eff = rate(1-rate)/error^2.

    For shares whose error does not come from a plain mean (pooled, clustered). It never leaves 0..1; at a rate of
    exactly 0 or 1 there is no such n_eff and ValueError is raised.
    """
    if not (0 < rate < 1 and error > 0):
        raise ValueError(f"n_eff needs a rate inside (0, 1) and a positive error, got {rate} and {error}")
    n_effective = rate * (1 - rate) / error**2
    return wilson(rate * n_effective, n_effective, confidence)
