"""The two of like content that people are the most likely to decide about, learnt from what they decided so far.

A tie teaches the trainer nothing. Which differences people care for shows soon: somebody who wants politeness ties
emoji with no emoji. So a logistic regression says how likely a pair is to be decided, from how far its sides differ in
what a reader sees at a glance (`surface`) and in each of the commonest words; it does not say which side will win.
Its Gaussian prior takes every difference to matter a little: before any choice the most different pair is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from app.selection.judged import Judged
from app.selection.seen import Scales, Seen
from app.selection.strategies import best_pair
from trainer.evaluation.features import surface
from trainer.prompting import Messages
from trainer.text_measures import words

COMMONEST = 25  # words; 120 were worse in experiments, for there are few choices to learn from
PRIOR_MEAN, PRIOR_VARIANCE = 0.5, 3.0  # of each weight
PRIOR_BIAS = -1.5  # two texts that differ in nothing are hardly ever decided
MOST_SPREADS = 3.0  # beyond so many standard deviations a difference counts no more
STEPS, ENOUGH = 20, 1e-6  # of Newton's method; the loss falls by less: done

Array = NDArray[np.float64]


class Decisive:
    """Fitted anew for each comparison, on all the choices it is given."""

    def __init__(self) -> None:
        self._seen = Seen(COMMONEST)

    def __call__(self, messages: Messages, texts: Sequence[str], judged: Sequence[Judged]) -> tuple[int, int]:
        scales = self._seen.take(texts)
        weights = fit(
            np.array([_difference(_Look.of(j.left), _Look.of(j.right), scales) for j in judged]),
            np.array([j.preferred is not None for j in judged], dtype=np.float64),
            width=1 + len(scales.spread) + len(scales.commonest),
        )
        looks = [_Look.of(text) for text in texts]

        def score(a: int, b: int) -> float:
            decided = expit(_difference(looks[a], looks[b], scales) @ weights)
            return scales.shared(looks[a].said, looks[b].said) * float(decided)

        return best_pair(len(texts), score)


@dataclass(frozen=True)
class _Look:
    """A text's visible features [S] and its words."""

    surface: Array
    said: set[str]

    @classmethod
    def of(cls, text: str) -> "_Look":
        return cls(surface(text), set(words(text)))


def _difference(one: _Look, two: _Look, scales: Scales) -> Array:
    """[1 + S + W]: a one for the bias, how far the visible features lie apart in 0..1, which common words one lacks."""
    apart = np.minimum(np.abs(one.surface - two.surface) / scales.spread, MOST_SPREADS) / MOST_SPREADS
    lacks = [float((word in one.said) != (word in two.said)) for word in scales.commonest]
    return np.array([1.0, *apart, *lacks])


def fit(differences: Array, decided: Array, *, width: int) -> Array:
    """Weights [width] of the likeliest logistic regression under the prior: differences [N, width], decided [N] 0 or 1.

    By Newton's method with halved steps; without any choice it is the prior's mean.
    """
    mean = np.full(width, PRIOR_MEAN)
    mean[0] = PRIOR_BIAS
    if len(decided) == 0:
        return mean

    def loss(weights: Array) -> float:
        logits = differences @ weights
        prior = ((weights - mean) ** 2).sum() / (2 * PRIOR_VARIANCE)
        return float(np.logaddexp(0, logits).sum() - decided @ logits + prior)

    weights, now = mean, loss(mean)
    for _ in range(STEPS):
        chance = expit(differences @ weights)
        slope = differences.T @ (chance - decided) + (weights - mean) / PRIOR_VARIANCE
        curvature = (differences.T * (chance * (1 - chance))) @ differences + np.eye(width) / PRIOR_VARIANCE
        step, before = np.linalg.solve(curvature, slope), now
        while (now := loss(weights - step)) > before and np.abs(step).max() > ENOUGH:
            step = step / 2
        weights = weights - step
        if before - now < ENOUGH:
            break
    return weights
