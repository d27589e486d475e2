"""Outcomes gathered into pairs of models: one score per prompt, whoever stood on which side of a row.

A pair's direction is the one it is first met in; rows the other way round are turned. Both orders, repeats and raters
of a prompt are averaged before anything is counted, because the prompt is the unit of every interval.
Leaves out every figure (report.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.outcomes import Outcome
from trainer.evaluation.statistics import SAME

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """Per-prompt scores [n] of model_a, with lengths and difficulty [n] (NaN where unknown) and the tags per prompt.

    flips: prompts whose two orders disagreed. invalid: prompts with rows but without a valid verdict; outside n.
    """

    model_a: str
    model_b: str
    prompts: tuple[str, ...]
    scores: Array
    length_a: Array
    length_b: Array
    difficulty: Array
    tags: tuple[tuple[str, ...], ...]
    flips: int
    invalid: int

    @property
    def n(self) -> int:
        return len(self.scores)

    @property
    def wins(self) -> int:
        return int(np.sum(self.scores > 0.5 + SAME))

    @property
    def losses(self) -> int:
        return int(np.sum(self.scores < 0.5 - SAME))

    @property
    def ties(self) -> int:
        return self.n - self.wins - self.losses


def turned(outcome: Outcome) -> Outcome:
    """The same comparison from the other model's side; difficulty and order turn with it."""
    order = outcome.a_first
    return Outcome(
        prompt=outcome.prompt,
        model_a=outcome.model_b,
        model_b=outcome.model_a,
        score_a=None if outcome.score_a is None else 1 - outcome.score_a,
        flip=outcome.flip,
        length_a=outcome.length_b,
        length_b=outcome.length_a,
        rater=outcome.rater,
        order=outcome.order if order is None else "ba" if order else "ab",
        tags=outcome.tags,
        difficulty=None if outcome.difficulty is None else -outcome.difficulty,
        style_a=outcome.style_b,
        style_b=outcome.style_a,
    )


def aligned(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Every outcome in the direction that its pair is first met in, in the same order."""
    first: dict[tuple[str, str], bool] = {}
    rows = []
    for outcome in outcomes:
        key = (outcome.model_a, outcome.model_b)
        if key not in first:
            first[key] = True
            first.setdefault((outcome.model_b, outcome.model_a), False)
        rows.append(outcome if first[key] or outcome.model_a == outcome.model_b else turned(outcome))
    return rows


def gather(rows: Sequence[Outcome]) -> list[Pair]:
    """Pairs of aligned rows in first-seen order."""
    pairs: dict[tuple[str, str], dict[str, list[Outcome]]] = {}
    for row in rows:
        pairs.setdefault((row.model_a, row.model_b), {}).setdefault(row.prompt, []).append(row)
    return [_pair(a, b, prompts) for (a, b), prompts in pairs.items()]


def _pair(model_a: str, model_b: str, by_prompt: dict[str, list[Outcome]]) -> Pair:
    valid = {
        prompt: kept for prompt, rows in by_prompt.items() if (kept := [row for row in rows if row.score_a is not None])
    }
    return Pair(
        model_a=model_a,
        model_b=model_b,
        prompts=tuple(valid),
        scores=np.array([_mean([row.score_a for row in rows]) for rows in valid.values()], dtype=np.float64),
        length_a=np.array([_mean([row.length_a for row in rows]) for rows in valid.values()], dtype=np.float64),
        length_b=np.array([_mean([row.length_b for row in rows]) for rows in valid.values()], dtype=np.float64),
        difficulty=np.array([_mean([row.difficulty for row in rows]) for rows in valid.values()], dtype=np.float64),
        tags=tuple(tuple(dict.fromkeys(tag for row in rows for tag in row.tags)) for rows in valid.values()),
        flips=sum(_flipped(rows) for rows in valid.values()),
        invalid=len(by_prompt) - len(valid),
    )


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else float("nan")


def _flipped(rows: Sequence[Outcome]) -> bool:
    """Said to be a flip, or judged in both orders with verdicts that disagree."""
    if len(rows) == 1:
        return rows[0].flip
    first = [row.score_a for row in rows if row.a_first is True]
    second = [row.score_a for row in rows if row.a_first is False]
    if first and second:
        return (_mean(first) - 0.5) * (_mean(second) - 0.5) < 0
    return any(row.flip for row in rows)
