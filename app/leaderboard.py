"""Every checkpoint against every other: Bradley-Terry ratings with rank ranges, and the matrix of pairs.

One source at a time, a judge or people. The mathematics is trainer/evaluation/ratings.py's; each prompt of a pair is
one comparison there, so that errors take prompts of different pairs as independent (docs/statistics.md).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.win_rates import PEOPLE, Measured, WinRateRow, points
from storage.tallies import Tally
from trainer.evaluation.ratings import Rating, Ratings, rate


@dataclass(frozen=True)
class Rank:
    """One line of the leaderboard. `ranks` is (best, worst), None where it is not ranked for the `reason`.

    `choices`: choices of people, or verdicts. `point` is its win rate against the initial model, if it met it.
    """

    checkpoint_id: str
    checkpoint: str
    source: str
    rating: float
    low: float
    high: float
    ranks: tuple[int, int] | None
    reason: str | None
    choices: int
    wins: int
    ties: int
    losses: int
    prior: bool
    point: WinRateRow | None


@dataclass(frozen=True)
class Cell:
    """The row's win rate against the column's checkpoint; `n` prompts. None of both for a pair that never met."""

    rate: float | None
    n: int


@dataclass(frozen=True)
class Matrix:
    """Win rates of `names` against each other, `cells` by row; the diagonal is empty."""

    names: Sequence[str]
    cells: Sequence[Sequence[Cell]]


def sources(measured: Measured) -> list[str]:
    """Those who compared anything: judges as they came, then people."""
    judges = list(dict.fromkeys(one.judge_id for one in measured.judged))
    return [*judges, PEOPLE] if measured.people else judges


def tallies_of(measured: Measured, source: str) -> list[Tally]:
    """All tallies of one source between two checkpoints."""
    found = measured.people.values() if source == PEOPLE else [j.tally for j in measured.judged if j.judge_id == source]
    return [
        t for t in found if t.prompts and t.a in measured.checkpoints and t.b in measured.checkpoints and t.a != t.b
    ]


def leaderboard(measured: Measured, source: str) -> list[Rank]:
    """Best first; those that are not ranked come last."""
    tallies = tallies_of(measured, source)
    if not tallies:
        return []
    choices: Counter[str] = Counter()
    for tally in tallies:
        choices.update({tally.a: tally.choices, tally.b: tally.choices})
    names = [name for name in measured.checkpoints if name in choices]
    against_initial = {
        row.checkpoint_id: row for row in points(measured) if row.source == source and row.against == "initial"
    }
    rated = zip(names, _ratings(names, tallies).models, strict=True)
    ranks = [
        _rank(measured, source, name, model, choices[name], against_initial.get(name)) for name, model in rated if model
    ]
    return sorted(ranks, key=lambda r: (r.ranks is None, -r.rating))


def pair_matrix(measured: Measured, source: str, checkpoint_ids: Sequence[str]) -> Matrix:
    """Of these checkpoints, in this order."""
    met = {(t.a, t.b): t for t in tallies_of(measured, source)}
    cells = [[_cell(met.get((a, b)), met.get((b, a))) for b in checkpoint_ids] for a in checkpoint_ids]
    return Matrix([measured.name(name) for name in checkpoint_ids], cells)


def _ratings(names: Sequence[str], tallies: Sequence[Tally]) -> Ratings:
    number = {name: i for i, name in enumerate(names)}
    rows = [(number[t.a], number[t.b], c.score, c.prompts) for t in tallies for c in t.counts]
    a, b, scores, prompts = (np.array(column) for column in zip(*rows, strict=True))
    return rate(a.astype(np.int64), b.astype(np.int64), scores.astype(np.float64), len(names), repeats=prompts * 1.0)


def _rank(measured: Measured, source: str, name: str, model: Rating, choices: int, point: WinRateRow | None) -> Rank:
    return Rank(
        checkpoint_id=name,
        checkpoint=measured.name(name),
        source=source,
        rating=model.rating,
        low=model.interval.low,
        high=model.interval.high,
        ranks=model.ranks,
        reason=model.reason,
        choices=choices,
        wins=model.wins,
        ties=model.ties,
        losses=model.losses,
        prior=model.prior,
        point=point,
    )


def _cell(tally: Tally | None, other: Tally | None) -> Cell:
    """Of both directions, which judges may have evaluated apart; a prompt judged both ways then counts twice."""
    counts = [*(tally.counts if tally else ()), *(other.turned().counts if other else ())]
    n = sum(count.prompts for count in counts)
    return Cell(sum(count.score * count.prompts for count in counts) / n if n else None, n)
