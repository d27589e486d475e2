"""Length-controlled win rate: what the win rate would be were both texts of equal length.

Per prompt eta = a tanh((len_baseline - len_own) / sd) + g difficulty + c; cross-entropy with the score as its target;
the figure is mean sigmoid(g difficulty + c), the length term set to zero. Anchors (the baseline told to be concise and
verbose, judged against itself) hold the length effect to what the judge does with length alone; their rows have no c.
Newton instead of the peer's L1 and cross-validation, which cost accuracy and agree to .12 points.
Wrong for: telling whether longer texts are better because they say more; pairs whose lengths hardly overlap.
Source: Dubois et al. (2024), Length-controlled AlpacaEval. Difficulty is looked up by prompt, never by row.
Legend: n prompts, A anchor rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from trainer.evaluation.bootstrap import ROUNDS, percentile_interval, resampled_counts
from trainer.evaluation.newton import NoOptimum, logistic_fits
from trainer.evaluation.statistics import Interval

Array = NDArray[np.float64]

ANCHOR_WEIGHT = 0.1  # lambda/2 of the published loss, per anchor row
TINY_RIDGE = 1e-4  # for separated data only: it moves no figure by .001 points
PRIOR_SD = 0.5  # of a known length effect of the same judge
MIN_OVERLAP = 0.2
MAX_MEAN_TANH = 0.8
MIN_PROMPTS = 10
MIN_PAST_MODELS = 5


@dataclass(frozen=True)
class Anchors:
    """Anchor rows [A] of the baseline against itself: scores, tanh lengths, difficulty, and the prompt of each row."""

    scores: Array
    tanh_length: Array
    difficulty: Array
    prompts: tuple[str, ...]


@dataclass(frozen=True)
class LengthControlled:
    """`rate` in 0..1, with the coefficients a (length), g (difficulty, 0 where there is none) and c (own).

    `identifiable` is False where lengths hardly overlap and nothing else pins the length effect: show no figure then.
    """

    rate: float
    length: float
    difficulty: float
    own: float
    identifiable: bool
    overlap: float
    mean_tanh: float


def tanh_length(own: Array, baseline: Array) -> Array:
    """Lengths [n] of both sides -> tanh((baseline - own) / sd of that difference, ddof 1); 0 where all are equal."""
    difference = np.asarray(baseline - own, dtype=np.float64)
    if not difference.any():
        return np.zeros_like(difference)
    spread = float(difference.std(ddof=1)) if len(difference) > 1 else 0.0
    return np.tanh(difference / spread) if spread > 0 else np.sign(difference)


def prompt_difficulty(past: Sequence[Array]) -> Array | None:
    """Difficulty [n] of each prompt from past models' scores on the same prompts, NaN where one was not judged.

    Centred logit of the mean score, with half a win and half a loss added to keep it finite. None with fewer than
    MIN_PAST_MODELS models: noise then. Higher means easier for the challengers.
    """
    if len(past) < MIN_PAST_MODELS:
        return None
    scores = np.stack(past)
    judged = np.isfinite(scores)
    share = (np.where(judged, scores, 0.0).sum(axis=0) + 0.5) / (judged.sum(axis=0) + 1)
    values = np.asarray(logit(share))
    return np.asarray(values - values.mean())


def length_controlled(
    scores: Array,
    own_lengths: Array,
    baseline_lengths: Array,
    *,
    difficulty: Array | None = None,
    anchors: Anchors | None = None,
    known_effect: float | None = None,
) -> LengthControlled:
    """Fit one model against one baseline: scores in 0..1 and lengths, each [n], the same prompts in the same order.

    known_effect: the length coefficient a of earlier runs of this judge, used as a prior N(a, .5^2) where there are no
    anchors. Raises ValueError for fewer than MIN_PROMPTS prompts or unusable numbers, NoOptimum where nothing varies.
    """
    task = _task(scores, own_lengths, baseline_lengths, difficulty, anchors, known_effect)
    tanh = tanh_length(own_lengths, baseline_lengths)
    theta = task.fit(tanh[None], np.ones((1, task.units)))
    overlap = min(float(np.mean(own_lengths > baseline_lengths)), float(np.mean(own_lengths < baseline_lengths)))
    mean = float(tanh.mean())
    pinned = anchors is not None or known_effect is not None or not tanh.any()
    return LengthControlled(
        rate=float(task.rates(theta, np.ones((1, task.units)))[0]),
        length=float(theta[0, 0]),
        difficulty=float(theta[0, 1]),
        own=float(theta[0, 2]),
        identifiable=pinned or overlap >= MIN_OVERLAP or abs(mean) < MAX_MEAN_TANH,
        overlap=overlap,
        mean_tanh=mean,
    )


def length_controlled_interval(
    scores: Array,
    own_lengths: Array,
    baseline_lengths: Array,
    *,
    difficulty: Array | None = None,
    anchors: Anchors | None = None,
    known_effect: float | None = None,
    prompts: Sequence[str] | None = None,
    confidence: float = 0.95,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> Interval:
    """Bootstrap of the whole fit over prompts, standardisation included; anchor rows follow their prompts.

    prompts [n] name the rows' prompts and are needed only with anchors. The peer's standard error is the spread of
    fitted values over prompts, which leaves out the error of the fit. Raises as `length_controlled` does.
    """
    task = _task(scores, own_lengths, baseline_lengths, difficulty, anchors, known_effect, prompts)
    counts = resampled_counts(task.units, rounds, seed)
    draws = []
    for part in np.array_split(counts, max(1, rounds * len(task.targets) // 400_000)):  # keeps memory at some 50 MB
        tanh = resampled_tanh(np.asarray(baseline_lengths - own_lengths, dtype=np.float64), task.rows_of(part))
        try:
            draws.append(task.rates(task.fit(tanh, part), part))
        except NoOptimum:
            draws.append(np.full(len(part), np.nan))
    return percentile_interval(np.concatenate(draws), confidence)


@dataclass(frozen=True)
class _Task:
    """Model rows [n] stacked on anchor rows [A]; `place` [n + A] is the prompt's number, of `units` prompts."""

    targets: Array
    difficulty: Array
    anchor_tanh: Array
    place: NDArray[np.int64]
    units: int
    n: int
    ridge: Array
    centre: Array

    def rows_of(self, counts: Array) -> Array:
        return counts[:, self.place[: self.n]]

    def fit(self, tanh: Array, counts: Array) -> Array:
        """Parameters [R, 3] for tanh lengths [R, n] and how often each prompt counts [R, units]."""
        rounds, size = len(tanh), len(self.targets)
        design = np.empty((rounds, size, 3))
        design[:, :, 0] = np.concatenate([tanh, np.tile(self.anchor_tanh, (rounds, 1))], axis=1)
        design[:, :, 1] = self.difficulty
        design[:, :, 2] = np.arange(size) < self.n
        weights = np.where(np.arange(size) < self.n, 1.0, ANCHOR_WEIGHT) * counts[:, self.place]
        return logistic_fits(design, self.targets, weights, ridge=self.ridge, centre=self.centre)[0]

    def rates(self, theta: Array, counts: Array) -> Array:
        fitted = expit(theta[:, 1:2] * self.difficulty[None, : self.n] + theta[:, 2:3])
        rows = self.rows_of(counts)
        return np.asarray((rows * fitted).sum(axis=1) / rows.sum(axis=1))


def resampled_tanh(difference: Array, rows: Array) -> Array:
    """tanh of the differences [n] over the ddof-1 deviation that each round's rows [R, n] have."""
    total = rows.sum(axis=1, keepdims=True)
    mean = rows @ difference[:, None] / np.maximum(total, 1)
    variance = np.sum(rows * (difference - mean) ** 2, axis=1, keepdims=True) / np.maximum(total - 1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(difference == 0, 0.0, np.tanh(difference / np.sqrt(variance)))


def _task(
    scores: Array,
    own: Array,
    baseline: Array,
    difficulty: Array | None,
    anchors: Anchors | None,
    known_effect: float | None,
    prompts: Sequence[str] | None = None,
) -> _Task:
    n = len(scores)
    if n < MIN_PROMPTS or own.shape != scores.shape or baseline.shape != scores.shape:
        raise ValueError(f"length control needs {MIN_PROMPTS} or more prompts with both lengths, got {n}")
    if not bool(np.all((scores >= 0) & (scores <= 1)) and np.all(np.isfinite(own)) and np.all(np.isfinite(baseline))):
        raise ValueError("length control needs scores in 0..1 and finite lengths: leave out invalid rows")
    names: list[str | int] = [*(range(n) if prompts is None else prompts)]  # a number is nobody's prompt
    every = names + list(anchors.prompts if anchors else ())
    units = {name: number for number, name in enumerate(dict.fromkeys(every))}
    hard = np.zeros(n) if difficulty is None else difficulty
    ridge = np.full(3, TINY_RIDGE)
    if difficulty is None:
        ridge[1] = 1.0  # an empty column: any curvature holds its coefficient at zero
    centre = np.zeros(3)
    if known_effect is not None and anchors is None:
        ridge[0], centre[0] = 1 / PRIOR_SD**2, known_effect
    return _Task(
        targets=np.concatenate([scores, anchors.scores]) if anchors else scores,
        difficulty=np.concatenate([hard, anchors.difficulty]) if anchors else hard,
        anchor_tanh=anchors.tanh_length if anchors else np.zeros(0),
        place=np.array([units[name] for name in every], dtype=np.int64),
        units=len(units),
        n=n,
        ridge=ridge,
        centre=centre,
    )
