"""Length control of every pair of a file: what is known of difficulty and anchors comes from the other pairs.

The baseline of a pair is whichever of the two met more other models; the fit is made from the challenger's side and
turned back. Difficulty is the rows' own `difficulty`, else that of the baseline's other challengers; anchors are pairs
of the baseline all of whose rows carry the tag `anchor`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.length_control import (
    Anchors,
    LengthControlled,
    length_controlled,
    length_controlled_interval,
    prompt_difficulty,
    tanh_length,
)
from trainer.evaluation.pairs import Pair
from trainer.evaluation.statistics import Interval

Array = NDArray[np.float64]

ANCHOR = "anchor"


@dataclass(frozen=True)
class LengthFigures:
    """model_a's length-controlled win rate, or None with the sentence that says why there is none."""

    rate: float | None
    interval: Interval | None
    fit: LengthControlled | None  # from the side of `challenger`
    challenger: str
    prompts: int
    anchors: int
    why_not: str | None


class LengthControl:
    """Ask it for one pair at a time."""

    def __init__(self, pairs: Sequence[Pair], known_effect: float | None = None, *, rounds: int) -> None:
        """rounds of the bootstrap; 0 leaves the intervals out."""
        self._rounds = rounds
        self._known_effect = known_effect
        self._opponents: dict[str, set[str]] = {}
        self._against: dict[
            str, list[tuple[Pair, dict[str, float]]]
        ] = {}  # a baseline's pairs: its challengers' scores
        for pair in pairs:
            self._opponents.setdefault(pair.model_a, set()).add(pair.model_b)
            self._opponents.setdefault(pair.model_b, set()).add(pair.model_a)
            if pair.model_a != pair.model_b:
                for baseline, scores in ((pair.model_b, pair.scores), (pair.model_a, 1 - pair.scores)):
                    by_prompt = dict(zip(pair.prompts, scores.tolist(), strict=True))
                    self._against.setdefault(baseline, []).append((pair, by_prompt))
        self._anchor_pairs = [pair for pair in pairs if pair.n and all(ANCHOR in tags for tags in pair.tags)]

    def of(self, pair: Pair) -> LengthFigures | None:
        """None where no prompt has both lengths."""
        known = np.isfinite(pair.length_a) & np.isfinite(pair.length_b)
        if not known.any():
            return None
        turn = len(self._opponents[pair.model_a]) > len(self._opponents[pair.model_b])
        seen = _turned(pair) if turn else pair
        difficulty = self._difficulty(pair, seen)
        hard = None if difficulty is None else difficulty[known]
        anchors = self._anchors(seen.model_b, with_difficulty=hard is not None)
        count = 0 if anchors is None else len(anchors.scores)
        data = (seen.scores[known], seen.length_a[known], seen.length_b[known])
        prompts = [prompt for prompt, keep in zip(pair.prompts, known, strict=True) if keep]
        held: dict[str, Any] = {"difficulty": hard, "anchors": anchors, "known_effect": self._known_effect}
        interval: Interval | None = None
        try:
            fit = length_controlled(*data, **held)
            if not fit.identifiable:
                why = f"not identifiable: lengths hardly overlap (mean tanh {fit.mean_tanh:.2f})"
                return LengthFigures(None, None, fit, seen.model_a, len(prompts), count, why)
            if self._rounds:
                interval = length_controlled_interval(*data, **held, prompts=prompts, rounds=self._rounds)
        except ValueError as error:
            return LengthFigures(None, None, None, seen.model_a, len(prompts), count, str(error))
        rate = 1 - fit.rate if turn else fit.rate
        if interval and turn:
            interval = Interval(1 - interval.high, 1 - interval.low)
        return LengthFigures(rate, interval, fit, seen.model_a, len(prompts), count, None)

    def _difficulty(self, pair: Pair, seen: Pair) -> Array | None:
        if np.isfinite(seen.difficulty).all():
            return seen.difficulty
        prompts = set(seen.prompts)
        # a challenger met on other prompts says nothing about these
        past = [
            np.array([scores.get(prompt, np.nan) for prompt in seen.prompts])
            for other, scores in self._against.get(seen.model_b, [])
            if other is not pair and len(prompts & scores.keys()) > len(prompts) / 2
        ]
        return prompt_difficulty(past)

    def _anchors(self, baseline: str, *, with_difficulty: bool) -> Anchors | None:
        parts = []
        for pair in self._anchor_pairs:
            if baseline not in (pair.model_a, pair.model_b):
                continue
            seen = _turned(pair) if pair.model_a == baseline else pair
            known = np.isfinite(seen.length_a) & np.isfinite(seen.length_b)
            hard = seen.difficulty if with_difficulty else np.zeros(seen.n)
            known &= np.isfinite(hard)
            if known.any():
                prompts = tuple(prompt for prompt, keep in zip(seen.prompts, known, strict=True) if keep)
                tanh = tanh_length(seen.length_a[known], seen.length_b[known])
                parts.append(Anchors(seen.scores[known], tanh, hard[known], prompts))
        if not parts:
            return None
        return Anchors(
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.tanh_length for part in parts]),
            np.concatenate([part.difficulty for part in parts]),
            tuple(prompt for part in parts for prompt in part.prompts),
        )


def _turned(pair: Pair) -> Pair:
    return Pair(
        model_a=pair.model_b,
        model_b=pair.model_a,
        prompts=pair.prompts,
        scores=1 - pair.scores,
        length_a=pair.length_b,
        length_b=pair.length_a,
        difficulty=-pair.difficulty,
        tags=pair.tags,
        flips=pair.flips,
        invalid=pair.invalid,
    )
