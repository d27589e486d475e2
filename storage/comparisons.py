"""Completions, and the comparisons of two of them that wait for people, are leased to one, decided or dropped.

Leaves out those of an evaluation by people before their turn (storage/people_evaluations.py).
"""

import secrets
from datetime import timedelta

from sqlmodel import Session, col, func, or_, select

from storage.errors import NotFound
from storage.tables import Comparison, ComparisonState, Completion, Purpose, now

LEASE = timedelta(minutes=15)


def record_completion(session: Session, completion: Completion) -> Completion:
    session.add(completion)
    session.flush()
    return completion


def record_comparison(
    session: Session,
    *,
    prompt_id: int,
    left: Completion,
    right: Completion,
    purpose: Purpose,
    generation: int = 0,
    state: ComparisonState = ComparisonState.waiting,
    evaluation_id: int | None = None,
) -> Comparison:
    """Store two new completions and their comparison. The sides are as given: the caller has tossed the coin."""
    session.add(left)
    session.add(right)
    session.flush()
    assert left.id is not None and right.id is not None
    comparison = Comparison(
        id=secrets.token_hex(16),
        prompt_id=prompt_id,
        left_id=left.id,
        right_id=right.id,
        purpose=purpose,
        state=state,
        generation=generation,
        evaluation_id=evaluation_id,
    )
    session.add(comparison)
    session.flush()
    return comparison


def claim_comparison(session: Session, *, labeller_id: str | None) -> Comparison | None:
    """Lease the next waiting comparison. A labeller who holds one gets the same again (a reload loses nothing)."""
    moment = now()
    if (mine := held_comparison(session, labeller_id=labeller_id)) is not None:
        mine.leased_until = moment + LEASE
        session.add(mine)
        return mine
    free = select(Comparison).where(
        or_(
            Comparison.state == ComparisonState.waiting,
            (col(Comparison.state) == ComparisonState.leased) & (col(Comparison.leased_until) < moment),
        ),
        Comparison.purpose != Purpose.repeat,  # says something about its labeller only
    )
    comparison = session.exec(free.order_by(col(Comparison.created_at), col(Comparison.id)).limit(1)).first()
    if comparison is None:
        return None
    lease_comparison(session, comparison, labeller_id=labeller_id)
    return comparison


def held_comparison(session: Session, *, labeller_id: str | None) -> Comparison | None:
    """What this labeller has before them, however long ago it was leased; None for a bare call."""
    if labeller_id is None:
        return None
    held = select(Comparison).where(Comparison.state == ComparisonState.leased, Comparison.leased_to == labeller_id)
    return session.exec(held.order_by(col(Comparison.created_at)).limit(1)).first()


def lease_comparison(session: Session, comparison: Comparison, *, labeller_id: str | None) -> None:
    comparison.state = ComparisonState.leased
    comparison.leased_to = labeller_id
    comparison.leased_until = now() + LEASE
    session.add(comparison)
    session.flush()


def count_waiting(session: Session) -> dict[Purpose, int]:
    query = select(Comparison.purpose, func.count()).where(Comparison.state == ComparisonState.waiting)
    rows = session.exec(query.group_by(col(Comparison.purpose))).all()
    return {p: 0 for p in Purpose} | {Purpose(p): n for p, n in rows}


def drop_waiting(session: Session, *, before_generation: int) -> int:
    """Drop comparisons not yet shown that were made under an older deployment; returns how many.

    Those of an evaluation by people are of two given checkpoints, whatever is served: they wait for their turn again.
    """
    stale = session.exec(
        select(Comparison).where(
            Comparison.state == ComparisonState.waiting, col(Comparison.generation) < before_generation
        )
    ).all()
    for comparison in stale:
        asked = comparison.evaluation_id is not None
        comparison.state = ComparisonState.prepared if asked else ComparisonState.dropped
        session.add(comparison)
    return sum(comparison.evaluation_id is None for comparison in stale)


def get_comparison(session: Session, comparison_id: str) -> Comparison:
    comparison = session.get(Comparison, comparison_id)
    if comparison is None:
        raise NotFound(f"There is no comparison {comparison_id!r}.", hint="POST /api/v1/comparisons/next gives one.")
    return comparison


def sides(session: Session, comparison: Comparison) -> tuple[Completion, Completion]:
    left, right = session.get(Completion, comparison.left_id), session.get(Completion, comparison.right_id)
    assert left is not None and right is not None
    return left, right
