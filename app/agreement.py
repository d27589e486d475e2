"""How far judges and people agree, people among themselves, and each labeller with himself; how fast they choose.

From evaluation choices between two checkpoints, among the newest WINDOW choices, and the judges' verdicts on the same
prompts and pairs; a labeller with himself also from hidden repeats. Figures are trainer/evaluation/'s. Opinions of a
verdict are given after reading it, and stand apart.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median
from types import MappingProxyType
from typing import Any

from sqlmodel import Session, col, select

from app.win_rates import Measured
from storage.evaluations import CHOICE_SCORE, scores_of
from storage.preferences import newest_preference_id
from storage.repeats import RepeatedChoice, repeated_choices
from storage.tables import Choice, Comparison, Completion, Preference, Purpose
from storage.transfer.exporting import labeller_name
from storage.verdict_choices import verdict_choices
from trainer.evaluation.statistics import Accuracy, accuracy

WINDOW = 20_000  # newest choices of any kind, of which the evaluating ones are looked at
PAUSE_S = 300.0  # a longer gap between two choices is a pause, not a slow choice
JUDGE = "judge:"


@dataclass(frozen=True)
class ChoiceRow:
    """A standing choice between two checkpoints; `who` is the labeller's shown name, never the session's id."""

    who: str
    prompt_id: int
    comparison_id: str
    left: str
    right: str
    choice: Choice
    left_length: int
    right_length: int
    at: datetime


@dataclass(frozen=True)
class Habits:
    """One labeller. took_left: of decided choices. same: of pairs of texts seen again, how often the same was chosen;
    `repeats` of them were hidden repeats. left_twice: of repeats on which the same side, and so another text, was taken
    both times, how often it was the left one.

    seconds: the median between two choices, of `timed`; None where there were no two in a row.
    """

    choices: int
    ties: float | None
    took_left: Accuracy | None
    same: Accuracy | None
    repeats: int
    left_twice: Accuracy | None
    seconds: float | None
    timed: int


def agreement_report(session: Session, measured: Measured) -> dict[str, Any]:
    """Plain data: `choices` looked at, `judges` by id, `people` (null for one labeller), `labellers` by name."""
    from trainer.evaluation.pairs import aligned
    from trainer.evaluation.plain import plain
    from trainer.evaluation.rater_report import rater_report

    rows = newest_choices(session)
    judged = _judge_outcomes(session, measured, rows)
    names = [JUDGE + judge for judge in measured.judges]
    found = rater_report(aligned([*_people_outcomes(rows), *judged]), names)
    about = _about_verdicts(session, measured)
    judges = {
        judge: {"name": measured.source_name(judge), "agreement": found["agreement"].get(JUDGE + judge), "read": read}
        for judge in measured.judges
        if (read := about.get(judge)) is not None or JUDGE + judge in found["agreement"]
    }
    made = {
        "choices": len(rows),
        "judges": judges,
        "people": found["raters"],
        "labellers": habits(rows, _texts(session, rows), _hidden_repeats(session)),
    }
    return {key: plain(value) for key, value in made.items()}


def newest_choices(session: Session) -> list[ChoiceRow]:
    """The standing evaluation choices among the newest WINDOW choices, oldest first; skips are none."""
    # by id alone: with more conditions SQLite would search all evaluation choices and sort them
    query: Any = (
        select(  # type: ignore[call-overload]
            Preference.purpose,
            Preference.withdrawn_at,
            Preference.labeller_id,
            Preference.prompt_id,
            Preference.comparison_id,
            Preference.left_checkpoint_id,
            Preference.right_checkpoint_id,
            Preference.choice,
            Preference.left_length,
            Preference.right_length,
            Preference.created_at,
        )
        .where(col(Preference.id) > newest_preference_id(session) - WINDOW)
        .order_by(col(Preference.id))
    )
    return [
        ChoiceRow(labeller_name(who), *row)
        for purpose, withdrawn_at, who, *row in session.exec(query)
        if purpose == Purpose.evaluate and withdrawn_at is None and _measures(ChoiceRow(who, *row))
    ]


def _measures(row: ChoiceRow) -> bool:
    return row.choice is not Choice.skip and None not in (row.left, row.right) and row.left != row.right


def habits(
    rows: Sequence[ChoiceRow],
    texts: dict[str, tuple[str, str]],
    repeats: Mapping[str, Sequence[RepeatedChoice]] = MappingProxyType({}),
) -> dict[str, Habits]:
    """Of every labeller, by name in first-seen order. texts: left and right of the comparisons that may be repeats by
    chance; repeats: the hidden ones, by labeller."""
    by_labeller: dict[str, list[ChoiceRow]] = defaultdict(list)
    for row in rows:
        by_labeller[row.who].append(row)
    made = {}
    for who in dict.fromkeys([*by_labeller, *repeats]):
        own, hidden = by_labeller[who], repeats.get(who, ())
        decided = [row.choice is Choice.left for row in own if row.choice in (Choice.left, Choice.right)]
        same, seconds = [*_repeats(own, texts), *(one.same for one in hidden)], _gaps(own)
        twice = [one.side is Choice.left for one in hidden if one.side is not None]
        made[who] = Habits(
            choices=len(own),
            ties=1 - len(decided) / len(own) if own else None,
            took_left=accuracy(decided) if decided else None,
            same=accuracy(same) if same else None,
            repeats=len(hidden),
            left_twice=accuracy(twice) if twice else None,
            seconds=median(seconds) if seconds else None,
            timed=len(seconds),
        )
    return made


def _repeats(own: Sequence[ChoiceRow], texts: dict[str, tuple[str, str]]) -> list[bool]:
    """Whether the same text (or again neither) was chosen, for every two texts met again, on whichever side."""
    before: dict[tuple[int, frozenset[str]], str | None] = {}
    same = []
    for row in own:
        if row.comparison_id not in texts:
            continue
        left, right = texts[row.comparison_id]
        chosen = {Choice.left: left, Choice.right: right}.get(row.choice)
        key = row.prompt_id, frozenset((left, right))
        if key in before:
            same.append(before[key] == chosen)
        before[key] = chosen
    return same


def _hidden_repeats(session: Session) -> dict[str, list[RepeatedChoice]]:
    found: dict[str, list[RepeatedChoice]] = defaultdict(list)
    for one in repeated_choices(session, after=newest_preference_id(session) - WINDOW):
        found[labeller_name(one.labeller_id)].append(one)
    return found


def _gaps(own: Sequence[ChoiceRow]) -> list[float]:
    gaps = [(later.at - row.at).total_seconds() for row, later in pairwise(own)]
    return [gap for gap in gaps if 0 <= gap <= PAUSE_S]


def _texts(session: Session, rows: Sequence[ChoiceRow]) -> dict[str, tuple[str, str]]:
    """Left and right text of the comparisons whose labeller met the prompt more than once."""
    met: dict[tuple[str, int], list[str]] = defaultdict(list)
    for row in rows:
        met[row.who, row.prompt_id].append(row.comparison_id)
    wanted = sorted({one for comparisons in met.values() if len(comparisons) > 1 for one in comparisons})
    left, right = Completion.__table__.alias("left_side"), Completion.__table__.alias("right_side")  # type: ignore[attr-defined]
    found: dict[str, tuple[str, str]] = {}
    for start in range(0, len(wanted), 500):  # SQLite binds a limited number of variables
        query: Any = (
            select(Comparison.id, left.c.text, right.c.text)
            .join(left, col(Comparison.left_id) == left.c.id)
            .join(right, col(Comparison.right_id) == right.c.id)
            .where(col(Comparison.id).in_(wanted[start : start + 500]))
        )
        found |= {comparison: (one, other) for comparison, one, other in session.exec(query)}
    return found


def _people_outcomes(rows: Sequence[ChoiceRow]) -> list[Any]:
    from trainer.evaluation.outcomes import Outcome

    return [
        Outcome(
            prompt=str(row.prompt_id),
            model_a=row.left,
            model_b=row.right,
            score_a=CHOICE_SCORE[row.choice],
            length_a=row.left_length,
            length_b=row.right_length,
            rater=row.who,
            order="ab",
        )
        for row in rows
    ]


def _judge_outcomes(session: Session, measured: Measured, rows: Sequence[ChoiceRow]) -> list[Any]:
    """The judges' verdicts on pairs that people compared, too."""
    from trainer.evaluation.outcomes import Outcome

    compared = {frozenset((row.left, row.right)) for row in rows}
    return [
        Outcome(
            prompt=str(score.prompt_id),
            model_a=one.tally.a,
            model_b=one.tally.b,
            score_a=score.score,
            length_a=score.candidate_length,
            length_b=score.baseline_length,
            rater=JUDGE + one.judge_id,
        )
        for one in measured.judged
        if frozenset((one.tally.a, one.tally.b)) in compared
        for score in scores_of(session, one.evaluation_id)
    ]


def _about_verdicts(session: Session, measured: Measured) -> dict[str, Any]:
    """Per judge, how many of the opinions about its newest verdicts agree with them; clustered by prompt."""
    from trainer.evaluation.agreement import agreement

    judge_of = {one.evaluation_id: one.judge_id for one in measured.judged}
    said: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for choice in verdict_choices(session):
        if choice.evaluation_id in judge_of:
            said[judge_of[choice.evaluation_id]].append((1 if choice.agrees else -1, 1, str(choice.prompt_id)))
    return {judge: agreement(rows).with_ties for judge, rows in said.items()}
