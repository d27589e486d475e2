"""Krippendorff's alpha: how far any number of labellers agree above chance, with labels missing too; 1 is perfect.

alpha = 1 - observed / expected disagreement, over all pairs of labels of one item. The value is the krippendorff
package's; the interval resamples items. Wrong for: whether a single labeller is at fault (labellers.py); comparisons
between sets of items of different difficulty. Source: Krippendorff (2004), Content Analysis.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import krippendorff
import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.agreement import Item
from trainer.evaluation.bootstrap import resampled_counts
from trainer.evaluation.statistics import Interval

Level = Literal["nominal", "ordinal"]
ROUNDS = 500


@dataclass(frozen=True)
class Alpha:
    """`value` over `items` with two or more labels; None where only one verdict was ever given."""

    value: float | None
    interval: Interval | None
    items: int
    labels: int


def krippendorff_alpha(
    labels: Mapping[Item, Iterable[int]],
    *,
    level: Level = "nominal",
    confidence: float = 0.95,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> Alpha:
    """Labels of each item, -1 loss, 0 tie, 1 win, at most one per labeller. Items with one label do not count."""
    rows = [list(given) for given in labels.values()]
    counts = np.array([[given.count(v) for v in (-1, 0, 1)] for given in rows if len(given) > 1], dtype=np.int64)
    counts = counts.reshape(-1, 3)
    value = _alpha(counts, level)
    if value is None:
        return Alpha(None, None, len(counts), int(counts.sum()))
    # equal rows are drawn as one: a draw then costs what the few distinct ones do
    distinct, place = np.unique(counts, axis=0, return_inverse=True)
    draws = []
    for drawn in resampled_counts(len(counts), rounds, seed):
        repeats = np.bincount(place.ravel(), weights=drawn, minlength=len(distinct)).astype(np.int64)
        draws.append(_alpha(np.repeat(distinct, repeats, axis=0), level))
    known = np.array([draw for draw in draws if draw is not None])
    interval = None
    if len(known) >= 0.9 * rounds:
        low, high = np.quantile(known, [0.5 - confidence / 2, 0.5 + confidence / 2])
        interval = Interval(float(low), float(high))
    return Alpha(value, interval, len(counts), int(counts.sum()))


def _alpha(counts: NDArray[np.int64], level: Level) -> float | None:
    if len(counts) == 0 or np.count_nonzero(counts.sum(axis=0)) < 2:
        return None
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement=level))
