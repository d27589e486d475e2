"""What else a verdict may hang on: the position of a text, its length, its lists, and who wrote it.

All are associations measured on the comparisons at hand. The length and list preferences mix a judge's taste with the
truth that better texts may be longer: read them beside those of people. Leaves out the correction
(length_control.py, style.py). Legend: N rows of verdicts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from trainer.evaluation.statistics import SAME, Interval, WinRate, standard_error, win_rate

Array = NDArray[np.float64]

POSITION_ALARM = 0.10
FLIP_ALARM = 0.25
MIN_LENGTH_GAP = 30  # characters; closer texts count as equally long (AlpacaEval)


@dataclass(frozen=True)
class PositionEffect:
    """A text's mean score when shown first minus when shown second, in -1..1. `flips` of `both` prompts judged in
    both orders had verdicts that disagree; `alarm` where |effect| > .10 or flips > 25%."""

    effect: float | None
    interval: Interval | None
    first: int
    second: int
    flips: int
    both: int
    alarm: bool


def position_effect(
    scores: Sequence[float],
    first: Sequence[bool],
    prompts: Sequence[str],
    pairs: Sequence[str],
    confidence: float = 0.95,
) -> PositionEffect:
    """model_a's scores [N], whether it was shown first, the prompt, and the pair of models that each row is of.

    Least squares of the score on the position within each pair, so that a strong model shown first more often is not
    taken for an effect; clustered by prompt, so that both orders of one prompt count as the paired difference they are.
    """
    s, x = np.asarray(scores, dtype=np.float64), np.asarray(first, dtype=np.float64)
    place = np.unique(np.asarray(pairs, dtype=str), return_inverse=True)[1] if len(s) else np.zeros(0, dtype=np.int64)
    shift, level = _within(x, place), _within(s, place)
    flips, both = _flips(s, x > 0.5, prompts, pairs)
    moved = float(shift @ shift)
    effect, interval = None, None
    if moved > SAME:
        effect = float(shift @ level) / moved
        cluster = np.unique(np.asarray(prompts, dtype=str), return_inverse=True)[1]
        sums = np.bincount(cluster, weights=shift * (level - effect * shift))
        count = len(sums)
        error = math.sqrt(count / max(count - 1, 1) * float(sums @ sums)) / moved
        half = float(ndtri(0.5 + confidence / 2)) * error
        interval = Interval(max(-1.0, effect - half), min(1.0, effect + half))
    return PositionEffect(
        effect=effect,
        interval=interval,
        first=int(x.sum()),
        second=int(len(x) - x.sum()),
        flips=flips,
        both=both,
        alarm=(effect is not None and abs(effect) > POSITION_ALARM) or (both > 0 and flips / both > FLIP_ALARM),
    )


def preference_for(scores: Sequence[float], leads: Sequence[float], prompts: Sequence[str], gap: float = 0) -> WinRate:
    """Mean score of the text that has more of something (characters, list items), averaged per prompt first.

    scores [N] of model_a, leads [N] = its amount minus the other's; rows with |lead| <= gap are left out. Raises
    ValueError where no row is left.
    """
    by_prompt: dict[str, list[float]] = {}
    for score, lead, prompt in zip(scores, leads, prompts, strict=True):
        if abs(lead) > gap:
            by_prompt.setdefault(prompt, []).append(score if lead > 0 else 1 - score)
    return win_rate([float(np.mean(values)) for values in by_prompt.values()])


@dataclass(frozen=True)
class SelfPreference:
    """By how much a judge scores its own model's texts above what people do, on the same n prompts."""

    judge: float
    people: float
    excess: float
    interval: Interval
    n: int


def self_preference(judge: Sequence[float], people: Sequence[float], confidence: float = 0.95) -> SelfPreference:
    """Per-prompt scores of the judge's own model, by the judge and by people. Raises ValueError below two prompts.

    Without people a judge that loves its own texts and one whose texts are good look alike.
    """
    if len(judge) != len(people):
        raise ValueError(f"self-preference needs the same prompts from both, got {len(judge)} and {len(people)}")
    excess = [mine - theirs for mine, theirs in zip(judge, people, strict=True)]
    error, mean = standard_error(excess), float(np.mean(excess))
    half = float(ndtri(0.5 + confidence / 2)) * error
    return SelfPreference(
        float(np.mean(judge)), float(np.mean(people)), mean, Interval(mean - half, mean + half), len(excess)
    )


def _within(values: Array, place: NDArray[np.int64]) -> Array:
    """Values minus the mean of their pair."""
    if len(values) == 0:
        return values
    means = np.bincount(place, weights=values) / np.maximum(np.bincount(place), 1)
    return np.asarray(values - means[place])


def _flips(scores: Array, first: NDArray[np.bool_], prompts: Sequence[str], pairs: Sequence[str]) -> tuple[int, int]:
    """(prompts whose two orders disagree, prompts judged in both orders), a prompt counting once per pair of models."""
    seen: dict[tuple[str, str], tuple[list[float], list[float]]] = {}
    for score, shown, prompt, pair in zip(scores, first, prompts, pairs, strict=True):
        seen.setdefault((prompt, pair), ([], []))[0 if shown else 1].append(float(score))
    both = [(np.mean(a), np.mean(b)) for a, b in seen.values() if a and b]
    return sum(bool((a - 0.5) * (b - 0.5) < 0) for a, b in both), len(both)
