"""Bootstrap over prompts: intervals of figures that have no formula.

The prompt is what is resampled, with everything that belongs to it (both orders, all raters). Instead of copying rows,
each round draws how often every prompt counts (multinomial), so that a figure is computed for all rounds at once.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from trainer.evaluation.statistics import Interval

Array = NDArray[np.float64]
ROUNDS = 2000


def resampled_counts(units: int, rounds: int = ROUNDS, seed: int = 0) -> Array:
    """How often each of `units` prompts is drawn, [rounds, units]; each row sums to `units`."""
    if units < 1 or rounds < 1:
        raise ValueError(f"a bootstrap needs at least one prompt and one round, got {units} and {rounds}")
    generator = np.random.default_rng(seed)
    return generator.multinomial(units, np.full(units, 1 / units), size=rounds).astype(np.float64)


def percentile_interval(draws: Array, confidence: float = 0.95) -> Interval:
    """The middle share `confidence` of bootstrap draws [rounds]; rounds without a figure (NaN) are left out.

    Raises ValueError where fewer than nine in ten rounds gave one: the figure is then not to be trusted at all.
    """
    known = draws[np.isfinite(draws)]
    if len(known) < 0.9 * len(draws):
        raise ValueError(f"only {len(known)} of {len(draws)} bootstrap rounds gave a figure: there is too little data")
    low, high = np.quantile(known, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(float(low), float(high))


def bootstrap_mean(
    scores: Array, *, confidence: float = 0.95, rounds: int = ROUNDS, seed: int = 0, corrected: bool = True
) -> Interval:
    """Interval of the mean of per-prompt scores [n]: BCa, or plain percentiles where not `corrected`.

    BCa moves the percentiles by the bias z0 of the draws and by the skew a of the jackknife values:
    alpha' = Phi(z0 + (z0 + z) / (1 - a (z0 + z))). Source: Efron (1987), Better bootstrap confidence intervals.
    """
    scores = np.asarray(scores, dtype=np.float64)
    return bootstrap(
        lambda counts: counts @ scores / counts.sum(axis=1),
        units=len(scores),
        confidence=confidence,
        rounds=rounds,
        seed=seed,
        corrected=corrected,
    )


def bootstrap(
    figure: Callable[[Array], Array],
    *,
    units: int,
    confidence: float = 0.95,
    rounds: int = ROUNDS,
    seed: int = 0,
    corrected: bool = False,
) -> Interval:
    """Interval of `figure`, which takes how often each prompt counts [R, units] and gives its value per row [R]."""
    draws = figure(resampled_counts(units, rounds, seed))
    if not corrected:
        return percentile_interval(draws, confidence)
    point = float(figure(np.ones((1, units)))[0])
    known = draws[np.isfinite(draws)]
    below = (np.sum(known < point) + 0.5 * np.sum(known == point)) / len(known)
    if units < 2 or not 0 < below < 1:  # all draws on one side of the figure: there is no bias to correct by
        return percentile_interval(draws, confidence)
    left_out = figure(1 - np.eye(units))
    deviation = left_out.mean() - left_out
    spread = float(np.sum(deviation**2)) ** 1.5
    skew = float(np.sum(deviation**3)) / (6 * spread) if spread > 0 else 0.0
    bias = float(ndtri(below))
    z = bias + ndtri(np.array([0.5 - confidence / 2, 0.5 + confidence / 2]))
    low, high = np.quantile(known, ndtr(bias + z / (1 - skew * z)))
    return Interval(float(low), float(high))
