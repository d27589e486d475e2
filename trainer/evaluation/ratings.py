"""Ratings of many models for people to read: scale, intervals, who is ranked, rank ranges, and where the model fails.

Scale: rating = 1000 + 400/ln 10 x strength, mean 1000 over the models that comparisons link (an island); ratings of
different islands have nothing to do with each other. A model is ranked only with 30 comparisons, a win and a loss, on
the largest island: a model with two ties gets an interval of half a point from a bootstrap and of 700 from its
information. Where there is no finite optimum (someone never lost, say) a weak prior is used and said.
Leaves out the fit itself (bradley_terry.py). Elo is not here: it depends on the order of the rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr, ndtri

from trainer.evaluation.bradley_terry import PRIOR_SD, BradleyTerry, fit_bradley_terry
from trainer.evaluation.connectivity import connectivity
from trainer.evaluation.multiplicity import holm
from trainer.evaluation.statistics import Interval

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

POINTS = float(400 / np.log(10))
CENTRE = 1000.0
MIN_COMPARISONS = 30  # fewer say nothing about a rank
MIN_PAIR = 10  # a pair met less often is not checked against the fit
SUSPICIOUS_Z = 3.0


@dataclass(frozen=True)
class Rating:
    """One model. `ranks` is (best, worst) by pairwise tests; None where it is not ranked, with the `reason`."""

    rating: float
    standard_error: float
    interval: Interval
    comparisons: int
    wins: int
    losses: int
    ties: int
    island: int
    prior: bool
    ranks: tuple[int, int] | None
    reason: str | None


@dataclass(frozen=True)
class Residual:
    """A pair's observed and fitted win rate of `a`; |z| > 3 says that one number per model does not describe it."""

    a: int
    b: int
    n: int
    observed: float
    fitted: float
    z: float


@dataclass(frozen=True)
class Ratings:
    """`models` has None for those without a comparison; `covariance` [M, M] is in points^2, zero between islands."""

    models: tuple[Rating | None, ...]
    residuals: tuple[Residual, ...]
    covariance: Array


def rate(
    a: Indices,
    b: Indices,
    scores: Array,
    models: int,
    *,
    clusters: Indices | None = None,
    repeats: Array | None = None,
    confidence: float = 0.95,
) -> Ratings:
    """Ratings from comparisons between model numbers a, b [N], a's score [N]; clusters, repeats as in bradley_terry.py.

    A comparison of a model with itself is left out. Raises ValueError for misshapen input or scores outside 0..1.
    """
    apart = a != b
    a, b, scores = a[apart], b[apart], scores[apart]
    clusters, repeats = _take(clusters, apart), _take(repeats, apart)
    links = connectivity(a, b, scores, models)
    strengths, covariance, information = np.zeros(models), np.zeros((models, models)), np.zeros(models)
    prior = np.zeros(models, dtype=np.bool_)
    for number, finite in enumerate(links.finite):
        members = np.flatnonzero(links.island == number)
        if len(members) < 2:
            continue
        rows = links.island[a] == number
        dependence = {"clusters": _take(clusters, rows), "repeats": _take(repeats, rows)}
        fitted = _fit_island(members, a[rows], b[rows], scores[rows], dependence, finite=bool(finite))
        strengths[members] = fitted.strengths
        covariance[np.ix_(members, members)] = fitted.sandwich * POINTS**2
        information[members] = np.diag(fitted.information) * POINTS**2
        prior[members] = not finite
    times = np.ones(len(a)) if repeats is None else repeats
    tallies = _tallies(a, b, scores, times, models)
    reasons = [_reason(tallies[m], links.island[m] == links.largest) for m in range(models)]
    ranks = _ranks(strengths * POINTS, covariance, [m for m in range(models) if reasons[m] is None], 1 - confidence)
    z = float(ndtri(0.5 + confidence / 2))
    rated: list[Rating | None] = []
    for m, (wins, losses, ties) in enumerate(tallies):
        if wins + losses + ties == 0:
            rated.append(None)
            continue
        value = CENTRE + POINTS * float(strengths[m])
        # with too few comparisons the robust error is too small, down to zero for ties only
        squared = covariance[m, m] if reasons[m] is None else max(covariance[m, m], information[m])
        error = float(np.sqrt(squared))
        interval = Interval(value - z * error, value + z * error)
        count = wins + losses + ties
        rated.append(
            Rating(
                value,
                error,
                interval,
                count,
                wins,
                losses,
                ties,
                int(links.island[m]),
                bool(prior[m]),
                ranks.get(m),
                reasons[m],
            )
        )
    return Ratings(tuple(rated), _residuals(a, b, scores, times, strengths), covariance)


def _fit_island(
    members: Indices, a: Indices, b: Indices, scores: Array, dependence: dict[str, Any], *, finite: bool
) -> BradleyTerry:
    ridge = 0.0 if finite else 1 / PRIOR_SD**2
    at = np.searchsorted(members, np.stack([a, b]))
    return fit_bradley_terry(at[0], at[1], scores, len(members), ridge=ridge, **dependence)


def _take(values: NDArray[Any] | None, rows: NDArray[np.bool_]) -> NDArray[Any] | None:
    return None if values is None else values[rows]


def _tallies(a: Indices, b: Indices, scores: Array, times: Array, models: int) -> list[tuple[int, int, int]]:
    """(wins, losses, ties) of each model, a score above .5 being a win."""

    def count(of: Indices, rows: NDArray[np.bool_]) -> Array:
        return np.bincount(of[rows], weights=times[rows], minlength=models).astype(np.float64)

    won, lost = scores > 0.5, scores < 0.5
    tied = ~(won | lost)
    wins, losses, ties = count(a, won) + count(b, lost), count(b, won) + count(a, lost), count(a, tied) + count(b, tied)
    return [(int(w), int(x), int(t)) for w, x, t in zip(wins, losses, ties, strict=True)]


def _reason(tally: tuple[int, int, int], on_largest: bool) -> str | None:
    """Why a model is not ranked, None where it is."""
    wins, losses, ties = tally
    count = wins + losses + ties
    if count < MIN_COMPARISONS:
        return f"not enough comparisons: {count} of at least {MIN_COMPARISONS}"
    if not wins or not losses:
        missing = "win" if not wins else "loss"
        return f"not enough comparisons: no {missing} among {count}"
    return None if on_largest else "no chain of comparisons links it to most of the models"


def _ranks(points: Array, covariance: Array, ranked: Sequence[int], alpha: float) -> dict[int, tuple[int, int]]:
    """(best, worst) rank of each ranked model: 1 + those significantly better, all but those significantly worse.

    Pairwise z tests of rating differences, Holm-adjusted over all pairs, so that all ranges hold together.
    """
    count = len(ranked)
    if count == 0:
        return {}
    at = np.array(ranked)
    among = covariance[np.ix_(at, at)]
    variance = np.diag(among)[:, None] + np.diag(among)[None, :] - 2 * among
    first, second = np.triu_indices(count, k=1)
    gap = points[at][first] - points[at][second]
    z = gap / np.sqrt(np.maximum(variance[first, second], 1e-12))
    differs = holm(np.minimum(1.0, 2 * ndtr(-np.abs(z)))) <= alpha
    better = np.zeros(count, dtype=np.int64)
    worse = np.zeros(count, dtype=np.int64)
    winner, loser = np.where(gap > 0, first, second)[differs], np.where(gap > 0, second, first)[differs]
    np.add.at(better, loser, 1)
    np.add.at(worse, winner, 1)
    return {int(m): (1 + int(better[i]), count - int(worse[i])) for i, m in enumerate(at)}


def _residuals(a: Indices, b: Indices, scores: Array, times: Array, strengths: Array) -> tuple[Residual, ...]:
    """Observed minus fitted win rate of every pair met MIN_PAIR times, the most surprising first.

    z = (observed - fitted) / sqrt(phi p (1-p) / n): phi, the mean of (s-p)^2 / (p(1-p)) over all comparisons, is 1
    without ties and smaller with them; without it ties would hide everything.
    """
    if len(a) == 0:
        return ()
    models = len(strengths)
    low, high = np.minimum(a, b), np.maximum(a, b)
    of_low = np.where(a < b, scores, 1 - scores)
    places = low * models + high
    table = np.bincount(places, weights=times, minlength=models * models)
    keys = np.flatnonzero(table)
    n = table[keys]
    observed = np.bincount(places, weights=times * of_low, minlength=models * models)[keys] / n
    squared = np.bincount(places, weights=times * of_low**2, minlength=models * models)[keys] / n
    i, j = keys // models, keys % models
    p = expit(strengths[i] - strengths[j])
    spread = np.maximum(p * (1 - p), 1e-12)
    phi = float(np.sum(n * (squared - 2 * p * observed + p**2) / spread) / n.sum())
    z = (observed - p) / np.sqrt(max(phi, 1e-12) * spread / n)
    rows = [k for k in np.argsort(-np.abs(z), kind="stable") if n[k] >= MIN_PAIR]
    return tuple(Residual(int(i[k]), int(j[k]), int(n[k]), float(observed[k]), float(p[k]), float(z[k])) for k in rows)
