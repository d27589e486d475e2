"""Outcomes between two checkpoints counted by the database: how many prompts had which score, never a row each.

The unit is the prompt: people's choices on one prompt and pair are averaged before they are counted, whichever side a
checkpoint was on. Leaves out every figure made of the counts (app/win_rates.py) and the texts (app/verdicts.py).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Select, Subquery, case
from sqlmodel import Session, col, func, select

from storage.tables import Choice, Preference, Purpose, Verdict, VerdictKind

PairIds = tuple[str, str]
# beyond these, one pass over all rows costs less than looking for what changed
MOST_NEW = 2000  # choices since the last time
MOST_CHANGED = 20  # checkpoints that they compare


@dataclass(frozen=True)
class ScoreCount:
    """`prompts` on which `a` had `score` against `b` (0 loss, .5 tie, 1 win), with characters summed over prompts."""

    score: float
    prompts: int
    rows: int
    length_a: float
    length_b: float


@dataclass(frozen=True)
class Kinds:
    """Prompts by verdict, from the side of the first of two."""

    wins: int = 0
    ties: int = 0
    flips: int = 0
    losses: int = 0
    invalid: int = 0


@dataclass(frozen=True)
class Tally:
    """Everything that `a` and `b` had to do with each other: `counts` by score, without the invalid."""

    a: str
    b: str
    counts: tuple[ScoreCount, ...]
    kinds: Kinds

    @property
    def prompts(self) -> int:
        return sum(count.prompts for count in self.counts)

    @property
    def choices(self) -> int:
        """How many choices people made, or verdicts there are."""
        return sum(count.rows for count in self.counts)

    def turned(self) -> "Tally":
        """The same from b's side."""
        counts = tuple(ScoreCount(1 - c.score, c.prompts, c.rows, c.length_b, c.length_a) for c in self.counts)
        kinds = replace(self.kinds, wins=self.kinds.losses, losses=self.kinds.wins)
        return Tally(self.b, self.a, counts, kinds)


@dataclass(frozen=True)
class Stamp:
    """What tells which of people's tallies are still true: ids only grow, and a withdrawn choice stays withdrawn.

    `withdrawn` counts withdrawn choices by pair; those are few beside the standing ones.
    """

    last_id: int
    withdrawn: Mapping[PairIds, int]


def stamp(session: Session) -> Stamp:
    left, right = col(Preference.left_checkpoint_id), col(Preference.right_checkpoint_id)
    last = session.exec(select(func.max(Preference.id))).one() or 0
    withdrawn = (
        select(left, right, func.count())
        .where(Preference.purpose == Purpose.evaluate, col(Preference.withdrawn_at).is_not(None), left != right)
        .group_by(left, right)
    )
    return Stamp(last, {(str(a), str(b)): count for a, b, count in session.exec(withdrawn)})


def people_tallies(session: Session, *, among: Collection[str] | None = None) -> dict[PairIds, Tally]:
    """People's standing evaluation choices per pair of checkpoints, each pair in one direction; skips do not count.

    among: only pairs of two of these checkpoints.
    """
    cells = _cells(among)
    query: Any = select(  # type: ignore[call-overload]
        cells.c.a,
        cells.c.b,
        cells.c.score,
        func.count(),
        func.sum(cells.c.made),
        func.sum(cells.c.length_a),
        func.sum(cells.c.length_b),
    ).group_by(cells.c.a, cells.c.b, cells.c.score)
    found: dict[PairIds, list[ScoreCount]] = defaultdict(list)
    for a, b, score, prompts, made, length_a, length_b in session.exec(query):
        found[a, b].append(ScoreCount(float(score), prompts, int(made), float(length_a), float(length_b)))
    return {pair: Tally(*pair, tuple(counts), _kinds(counts)) for pair, counts in found.items()}


def newly_compared(session: Session, *, after: int) -> set[str]:
    """The checkpoints of evaluation choices with an id above `after`."""
    left, right = col(Preference.left_checkpoint_id), col(Preference.right_checkpoint_id)
    # by id and in its order: asked for the purpose or for distinct ones, SQLite reads all instead of the few new
    query = select(Preference.purpose, left, right).where(col(Preference.id) > after).order_by(col(Preference.id))
    made = [sides for purpose, *sides in session.exec(query) if purpose == Purpose.evaluate]
    return {checkpoint for sides in made for checkpoint in sides if checkpoint is not None}


def evaluation_tallies(session: Session, evaluations: Iterable[tuple[int, str, str]]) -> dict[int, Tally]:
    """Verdicts of evaluations given as (id, candidate, baseline), from the candidate's side."""
    query: Any = select(  # type: ignore[call-overload]
        Verdict.verdict,
        Verdict.score,
        func.count(),
        func.sum(Verdict.candidate_length),
        func.sum(Verdict.baseline_length),
    ).group_by(col(Verdict.verdict), col(Verdict.score))
    tallies = {}
    for number, candidate, baseline in evaluations:
        counts: list[ScoreCount] = []
        seen = dict.fromkeys(VerdictKind, 0)
        for kind, score, count, length_a, length_b in session.exec(query.where(Verdict.evaluation_id == number)):
            seen[VerdictKind(kind)] += count
            if score is not None:
                counts.append(ScoreCount(score, count, count, length_a, length_b))
        kinds = Kinds(*(seen[VerdictKind(name)] for name in ("win", "tie", "flip", "loss", "invalid")))
        tallies[number] = Tally(candidate, baseline, tuple(counts), kinds)
    return tallies


def _kinds(counts: Sequence[ScoreCount]) -> Kinds:
    """Of people, who neither flip nor are invalid."""
    wins = sum(count.prompts for count in counts if count.score > 0.5)
    losses = sum(count.prompts for count in counts if count.score < 0.5)
    return Kinds(wins=wins, losses=losses, ties=sum(count.prompts for count in counts) - wins - losses)


def _cells(among: Collection[str] | None) -> Subquery:
    """One row per pair and prompt: a's mean score, mean lengths, how many choices."""
    left, right = col(Preference.left_checkpoint_id), col(Preference.right_checkpoint_id)
    ahead = left < right
    of_left = case(
        (col(Preference.choice) == Choice.left, 1.0), (col(Preference.choice) == Choice.right, 0.0), else_=0.5
    )
    lengths = col(Preference.left_length), col(Preference.right_length)
    a, b = case((ahead, left), else_=right), case((ahead, right), else_=left)
    query: Select[Any] = (
        select(  # type: ignore[call-overload]
            a.label("a"),
            b.label("b"),
            func.avg(case((ahead, of_left), else_=1.0 - of_left)).label("score"),
            func.avg(case((ahead, lengths[0]), else_=lengths[1])).label("length_a"),
            func.avg(case((ahead, lengths[1]), else_=lengths[0])).label("length_b"),
            func.count().label("made"),
        )
        .where(
            Preference.purpose == Purpose.evaluate,
            col(Preference.withdrawn_at).is_(None),
            Preference.choice != Choice.skip,
            left != right,  # neither is null
        )
        .group_by(a, b, col(Preference.prompt_id))
    )
    if among is not None:
        query = query.where(left.in_(among), right.in_(among))
    return query.subquery()


class PeopleTallies:
    """People's tallies, counted anew only among the checkpoints of new and of withdrawn choices.

    Not for several threads at once.
    """

    def __init__(self) -> None:
        self._stamp: Stamp | None = None
        self._tallies: dict[PairIds, Tally] = {}

    def read(self, session: Session) -> dict[PairIds, Tally]:
        """By pair, each in one direction."""
        now, before = stamp(session), self._stamp
        if before is None or now.last_id - before.last_id > MOST_NEW:
            self._tallies = people_tallies(session)
        elif now != before:
            undone = [pair for pair, count in now.withdrawn.items() if before.withdrawn.get(pair) != count]
            changed = newly_compared(session, after=before.last_id) | {name for pair in undone for name in pair}
            if len(changed) > MOST_CHANGED:
                self._tallies = people_tallies(session)
            elif changed:
                kept = {pair: tally for pair, tally in self._tallies.items() if not changed.issuperset(pair)}
                self._tallies = kept | people_tallies(session, among=changed)
        self._stamp = now
        return self._tallies
