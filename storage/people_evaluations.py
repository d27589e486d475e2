"""Evaluations by people: comparisons made at once, put among the ordinary ones one by one, and counted.

    prepared -> waiting -> leased -> decided
       ^-----------| a swap            (its stop: what nobody has seen is dropped)

What people choose are evaluation choices like all others; nothing here makes a win rate of them (storage/tallies.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, func, select

from storage.comparisons import record_comparison
from storage.tables import (
    Choice,
    Comparison,
    ComparisonState,
    Completion,
    Evaluation,
    Preference,
    Purpose,
    RunStatus,
    now,
)

PEOPLE = "people"  # the judge by this name
OPEN = (ComparisonState.prepared, ComparisonState.waiting, ComparisonState.leased)


@dataclass(frozen=True)
class PeopleProgress:
    """Comparisons wanted, chosen on and skipped by somebody, and those still to come or before somebody now."""

    wanted: int
    chosen: int
    skipped: int
    left: int


def put_before_people(
    session: Session, evaluation: Evaluation, pairs: Sequence[tuple[int, Completion, Completion]]
) -> None:
    """Store (prompt id, left, right) as its comparisons, in the order of their turn; the sides are drawn already."""
    for prompt_id, left, right in pairs:
        record_comparison(
            session,
            prompt_id=prompt_id,
            left=left,
            right=right,
            purpose=Purpose.evaluate,
            state=ComparisonState.prepared,
            evaluation_id=evaluation.id,
        )
    evaluation.status, evaluation.stage = RunStatus.evaluating, ""
    evaluation.step = evaluation.total_steps = 0
    session.add(evaluation)
    session.flush()


def next_prepared(session: Session) -> str | None:
    """The comparison whose turn it is: of the oldest evaluation, in the order in which they were made."""
    query = select(Comparison.id).where(Comparison.state == ComparisonState.prepared)
    return session.exec(query.order_by(col(Comparison.evaluation_id), col(Comparison.left_id)).limit(1)).first()


def release_prepared(session: Session, comparison_id: str, *, generation: int) -> None:
    """Let it wait behind the ordinary ones made for `generation`, unless its evaluation was stopped meanwhile."""
    comparison = session.get_one(Comparison, comparison_id)
    if comparison.state is ComparisonState.prepared:
        comparison.state, comparison.generation = ComparisonState.waiting, generation
        comparison.created_at = now()  # else it would be the oldest and go before those that wait already
        session.add(comparison)
        session.flush()


def withdraw_unseen(session: Session, evaluation_id: int) -> int:
    """Drop those that nobody has seen; returns how many. One that is before somebody may still be chosen on."""
    query = select(Comparison).where(
        Comparison.evaluation_id == evaluation_id,
        col(Comparison.state).in_((ComparisonState.prepared, ComparisonState.waiting)),
    )
    unseen = session.exec(query).all()
    for comparison in unseen:
        comparison.state = ComparisonState.dropped
        session.add(comparison)
    return len(unseen)


def people_progress(session: Session, evaluation_id: int) -> PeopleProgress:
    """Of an evaluation by people; all 0 before its texts are written."""
    own = Comparison.evaluation_id == evaluation_id
    states = dict(session.exec(select(Comparison.state, func.count()).where(own).group_by(Comparison.state)).all())
    choices = dict(
        session.exec(
            select(Preference.choice, func.count())
            .join(Comparison, col(Preference.comparison_id) == col(Comparison.id))
            .where(own, col(Preference.withdrawn_at).is_(None))
            .group_by(Preference.choice)
        ).all()
    )
    skipped = choices.pop(Choice.skip, 0)
    left = sum(states.get(state, 0) for state in OPEN)
    return PeopleProgress(sum(states.values()), sum(choices.values()), skipped, left)


def answered_evaluations(session: Session) -> list[int]:
    """Those before people of which nothing is left to choose on."""
    before_people = session.exec(select(Evaluation.id).where(Evaluation.status == RunStatus.evaluating)).all()
    return [number for number in before_people if number is not None and not people_progress(session, number).left]


def close_answered(session: Session, evaluation_id: int) -> None:
    """End it, unless an undo or its stop came first."""
    evaluation = session.get_one(Evaluation, evaluation_id)
    if evaluation.status is RunStatus.evaluating and not people_progress(session, evaluation_id).left:
        evaluation.status, evaluation.finished_at = RunStatus.succeeded, now()
        session.add(evaluation)


def asked_of_people(session: Session) -> list[tuple[str, str]]:
    """(candidate, baseline) of every evaluation by people that came before them, oldest first."""
    shown = select(Comparison.evaluation_id).where(col(Comparison.evaluation_id).is_not(None))
    query = select(Evaluation.candidate_id, Evaluation.baseline).where(col(Evaluation.id).in_(shown))
    return list(dict.fromkeys(session.exec(query.order_by(col(Evaluation.id))).all()))
