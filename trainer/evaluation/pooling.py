"""Few choices of people and many verdicts of a judge as one estimate of the people's win rate.

Prediction-powered: the judge's mean over the prompts without a human choice, plus how far it is off where there is one.
The people's figure is what is estimated; the judge only narrows it, as far as it correlates with them.
Wrong for: human choices on prompts that were not a random sample of the judged ones (the hard ones, say).
Source: Angelopoulos et al. (2023), Prediction-powered inference; the weight: the same (2023), PPI++.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.statistics import Interval, interval_of_estimate, wilson

Array = NDArray[np.float64]
MIN_PEOPLE = 50  # prompts with a human choice; with fewer its normal interval promises too much


@dataclass(frozen=True)
class Pooled:
    """The people's win rate from both. `weight` is how much the judge counts: 1 in full, 0 people alone."""

    rate: float
    standard_error: float
    interval: Interval
    people_only_error: float
    weight: float
    people: int
    judged: int


def pool(
    people: Array, judge: Array, judge_elsewhere: Array, *, weight: float | None = 1.0, confidence: float = 0.95
) -> Pooled:
    """people and judge [h]: scores of both on the same prompts; judge_elsewhere [m]: its scores on all other prompts.

    rate = w mean(elsewhere) + mean(people - w judge); SE^2 = w^2 var(elsewhere)/m + var(people - w judge)/h. A weight
    of None takes the one with the least error, cov(people, judge) / (var(judge) (1 + h/m)), clipped to 0..1.
    Raises ValueError with fewer than MIN_PEOPLE or no other prompts.
    """
    h, m = len(people), len(judge_elsewhere)
    if h != len(judge) or h < MIN_PEOPLE or m < 2:
        raise ValueError(
            f"pooling needs {MIN_PEOPLE} or more prompts with both verdicts and 2 or more judged alone, got {h} "
            f"choices of people, {len(judge)} verdicts on them and {m} others"
        )
    spread = float(np.concatenate([judge, judge_elsewhere]).var(ddof=1))
    if weight is None:
        best = float(np.cov(people, judge)[0, 1]) / (spread * (1 + h / m)) if spread > 0 else 0.0
        weight = min(1.0, max(0.0, best))
    corrected = people - weight * judge
    rate = weight * float(judge_elsewhere.mean()) + float(corrected.mean())
    error = math.sqrt(weight**2 * float(judge_elsewhere.var(ddof=1)) / m + float(corrected.var(ddof=1)) / h)
    rate = min(1.0, max(0.0, rate))
    if 0 < rate < 1 and error > 0:
        interval = interval_of_estimate(rate, error, confidence)
    else:
        interval = wilson(rate * h, h, confidence)
    return Pooled(rate, error, interval, float(people.std(ddof=1)) / math.sqrt(h), weight, h, h + m)
