"""The choices people make. Once acknowledged, one is never lost and never counted twice.

The client's id makes the write idempotent, undo sets `withdrawn_at`, and there is one standing preference per
comparison and labeller.
"""

from sqlalchemy.orm import aliased
from sqlmodel import Session, col, func, select

from storage.comparisons import get_comparison, lease_comparison, sides
from storage.errors import Conflict, NotFound
from storage.prompts import Messages
from storage.tables import (
    Choice,
    Comparison,
    ComparisonState,
    Completion,
    Labeller,
    Preference,
    Prompt,
    Purpose,
    Strength,
    now,
)


def record_labeller(session: Session, *, labeller_id: str, name: str = "") -> Labeller:
    known = session.get(Labeller, labeller_id)
    if known is None:
        known = Labeller(id=labeller_id, name=name)
        session.add(known)
    elif name:
        known.name = name
    session.flush()
    return known


def record_preference(
    session: Session,
    *,
    comparison_id: str,
    labeller_id: str,
    choice: Choice,
    client_id: str,
    strength: Strength | None = None,
    reason: str | None = None,
) -> tuple[Preference, bool]:
    """Store a person's choice; (row, whether it is new).

    Raises Conflict when the client_id was used for another payload, when the labeller already has a standing
    preference on this comparison, or when the comparison is leased to another labeller's session or was dropped.
    """
    payload = (comparison_id, choice, strength, reason)
    known = session.exec(select(Preference).where(Preference.client_id == client_id)).first()
    if known is not None:
        if (known.comparison_id, known.choice, known.strength, known.reason) != payload:
            raise Conflict(f"client_id {client_id!r} was used for another choice.", hint="Make a new id per choice.")
        return known, False
    comparison = get_comparison(session, comparison_id)
    _check_open(session, comparison, labeller_id)
    left, right = sides(session, comparison)
    record_labeller(session, labeller_id=labeller_id)
    preference = Preference(
        client_id=client_id,
        comparison_id=comparison_id,
        prompt_id=comparison.prompt_id,
        labeller_id=labeller_id,
        choice=choice,
        strength=strength,
        reason=reason,
        purpose=comparison.purpose,
        left_checkpoint_id=left.checkpoint_id,
        right_checkpoint_id=right.checkpoint_id,
        left_length=len(left.text),
        right_length=len(right.text),
    )
    session.add(preference)
    comparison.state = ComparisonState.decided
    session.add(comparison)
    session.flush()
    return preference, True


def _check_open(session: Session, comparison: Comparison, labeller_id: str) -> None:
    standing = session.exec(
        select(Preference).where(
            Preference.comparison_id == comparison.id,
            Preference.labeller_id == labeller_id,
            col(Preference.withdrawn_at).is_(None),
        )
    ).first()
    if standing is not None:
        raise Conflict(
            f"You have already chosen on comparison {comparison.id} (preference {standing.id}).",
            hint=f"Undo it first: DELETE /api/v1/preferences/{standing.id}.",
        )
    if comparison.state == ComparisonState.dropped:
        raise Conflict(
            f"Comparison {comparison.id} was dropped, because another model is served now.",
            hint="Ask for the next one: POST /api/v1/comparisons/next.",
        )
    if comparison.state == ComparisonState.decided:
        raise Conflict(f"Comparison {comparison.id} was already decided by another labeller.")
    if comparison.purpose is Purpose.repeat and comparison.leased_to != labeller_id:
        raise Conflict(f"Comparison {comparison.id} is before another labeller.")
    leased_elsewhere = (
        comparison.state == ComparisonState.leased
        and comparison.leased_to not in (None, labeller_id)
        and comparison.leased_until is not None
        and comparison.leased_until > now()
    )
    if leased_elsewhere:
        raise Conflict(f"Comparison {comparison.id} is before another labeller now.")


def withdraw_preference(session: Session, *, preference_id: int, labeller_id: str | None = None) -> Preference:
    """Undo: the row stays, marked withdrawn, and its comparison is before its labeller again. Idempotent.

    Raises NotFound, or Conflict where `labeller_id` is given and the choice was another's.
    """
    preference = session.get(Preference, preference_id)
    if preference is None:
        raise NotFound(f"There is no preference {preference_id}.")
    if labeller_id is not None and preference.labeller_id != labeller_id:
        raise Conflict(f"Preference {preference_id} was made by someone else.")
    if preference.withdrawn_at is None:
        preference.withdrawn_at = now()
        session.add(preference)
        comparison = get_comparison(session, preference.comparison_id)
        if preference.imported:  # nobody was shown it, nobody shall be
            comparison.state = ComparisonState.dropped
            session.add(comparison)
        else:
            lease_comparison(session, comparison, labeller_id=preference.labeller_id)
    return preference


def last_preference(session: Session, *, labeller_id: str) -> Preference | None:
    """The labeller's newest standing choice: what Undo takes back."""
    query = select(Preference).where(Preference.labeller_id == labeller_id, col(Preference.withdrawn_at).is_(None))
    return session.exec(query.order_by(col(Preference.id).desc()).limit(1)).first()


def newest_choices(
    session: Session, *, limit: int, until: int | None = None
) -> list[tuple[Messages, str, str, Choice]]:
    """(prompt, left text, right text, choice) of the newest standing choices for training made here; skips are none.

    until: the newest preference id that counts; None: all.
    """
    left, right = aliased(Completion), aliased(Completion)
    query = (
        select(Prompt, col(left.text), col(right.text), Preference)
        .join(Comparison, col(Preference.comparison_id) == col(Comparison.id))
        .join(Prompt, col(Comparison.prompt_id) == col(Prompt.id))
        .join(left, col(Comparison.left_id) == left.id)
        .join(right, col(Comparison.right_id) == right.id)
        .where(
            Preference.purpose == Purpose.train,
            col(Preference.withdrawn_at).is_(None),
            col(Preference.imported).is_(False),
            Preference.choice != Choice.skip,
        )
        .order_by(col(Preference.id).desc())
        .limit(limit)
    )
    if until is not None:
        query = query.where(col(Preference.id) <= until)
    return [(prompt.messages, one, two, made.choice) for prompt, one, two, made in session.exec(query)]


def count_choices(session: Session, *, after: int = 0, labeller_id: str | None = None) -> int:
    """Standing choices made here by people (not skips, not imports) with an id above `after`.

    Hidden repeats count here, where labellers see the number move; what trains or measures leaves them out.
    """
    query = select(func.count()).where(
        col(Preference.id) > after,
        col(Preference.withdrawn_at).is_(None),
        Preference.choice != Choice.skip,
        col(Preference.imported).is_(False),
    )
    if labeller_id is not None:
        query = query.where(Preference.labeller_id == labeller_id)
    return session.exec(query).one()


def newest_preference_id(session: Session) -> int:
    return session.exec(select(func.max(Preference.id))).one() or 0
