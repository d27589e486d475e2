"""Comparisons waiting for people, the choices they make, and the pairs derived from them.

A choice, once acknowledged, is never lost and never counted twice: the client's id makes the write idempotent, undo
sets `withdrawn_at`, and there is one standing preference per comparison and labeller.
"""

import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import Session, col, func, or_, select

from storage.errors import Conflict, NotFound
from storage.prompts import Messages
from storage.tables import (
    Choice,
    Comparison,
    ComparisonState,
    Completion,
    Feedback,
    Labeller,
    Preference,
    Prompt,
    Purpose,
    Split,
    Strength,
    now,
)

LEASE = timedelta(minutes=15)


@dataclass(frozen=True)
class PreferencePair:
    """A decided comparison of one prompt. Lengths of `preference_ids` > 1 where several people agreed."""

    prompt_id: int
    messages: Messages
    group_key: str
    split: Split
    chosen: Completion
    rejected: Completion
    preference_ids: tuple[int, ...]

    @property
    def newest(self) -> int:
        return max(self.preference_ids)


def record_labeller(session: Session, *, labeller_id: str, name: str = "") -> Labeller:
    known = session.get(Labeller, labeller_id)
    if known is None:
        known = Labeller(id=labeller_id, name=name)
        session.add(known)
    elif name:
        known.name = name
    session.flush()
    return known


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
    )
    session.add(comparison)
    session.flush()
    return comparison


def claim_comparison(session: Session, *, labeller_id: str | None) -> Comparison | None:
    """Lease the next waiting comparison. A labeller who holds one gets the same again (a reload loses nothing)."""
    moment = now()
    if labeller_id is not None:
        held = select(Comparison).where(Comparison.state == ComparisonState.leased, Comparison.leased_to == labeller_id)
        mine = session.exec(held.order_by(col(Comparison.created_at))).first()
        if mine is not None:
            mine.leased_until = moment + LEASE
            session.add(mine)
            return mine
    free = select(Comparison).where(
        or_(
            Comparison.state == ComparisonState.waiting,
            (col(Comparison.state) == ComparisonState.leased) & (col(Comparison.leased_until) < moment),
        )
    )
    comparison = session.exec(free.order_by(col(Comparison.created_at), col(Comparison.id))).first()
    if comparison is None:
        return None
    lease_comparison(session, comparison, labeller_id=labeller_id)
    return comparison


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
    """Drop comparisons not yet shown that were made under an older deployment; returns how many."""
    stale = session.exec(
        select(Comparison).where(
            Comparison.state == ComparisonState.waiting, col(Comparison.generation) < before_generation
        )
    ).all()
    for comparison in stale:
        comparison.state = ComparisonState.dropped
        session.add(comparison)
    return len(stale)


def get_comparison(session: Session, comparison_id: str) -> Comparison:
    comparison = session.get(Comparison, comparison_id)
    if comparison is None:
        raise NotFound(f"There is no comparison {comparison_id!r}.", hint="POST /api/v1/comparisons/next gives one.")
    return comparison


def sides(session: Session, comparison: Comparison) -> tuple[Completion, Completion]:
    left, right = session.get(Completion, comparison.left_id), session.get(Completion, comparison.right_id)
    assert left is not None and right is not None
    return left, right


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
            hint="Undo it first: DELETE /api/v1/preferences/{id}.",
        )
    if comparison.state == ComparisonState.dropped:
        raise Conflict(
            f"Comparison {comparison.id} was dropped, because another model is served now.",
            hint="Ask for the next one: POST /api/v1/comparisons/next.",
        )
    if comparison.state == ComparisonState.decided:
        raise Conflict(f"Comparison {comparison.id} was already decided by another labeller.")
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
    return session.exec(query.order_by(col(Preference.id).desc())).first()


def count_choices(session: Session, *, after: int = 0, labeller_id: str | None = None) -> int:
    """Standing choices made here by people (not skips, not imports) with an id above `after`."""
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


def preference_pairs(
    session: Session, *, splits: Iterable[Split] = (Split.train,), after: int = 0
) -> list[PreferencePair]:
    """Pairs for training, oldest first: standing choices of purpose `train`, merged by majority per comparison, plus
    edited replies, chosen against their originals. Ties, skips and both_bad make no pair.
    """
    rows = session.exec(
        select(Preference, Comparison, Prompt)
        .join(Comparison, col(Preference.comparison_id) == col(Comparison.id))
        .join(Prompt, col(Comparison.prompt_id) == col(Prompt.id))
        .where(
            Preference.purpose == Purpose.train,
            col(Preference.withdrawn_at).is_(None),
            col(Preference.id) > after,
            col(Prompt.split).in_(list(splits)),
        )
        .order_by(col(Preference.id))
    ).all()
    by_comparison: dict[str, list[tuple[Preference, Comparison, Prompt]]] = defaultdict(list)
    for preference, comparison, prompt in rows:
        by_comparison[comparison.id].append((preference, comparison, prompt))
    completions = _completions_of(session, [c for _, c, _ in rows])
    pairs = []
    for group in by_comparison.values():
        winner = _majority([p.choice for p, _, _ in group])
        if winner is None:
            continue
        _, comparison, prompt = group[0]
        left, right = completions[comparison.left_id], completions[comparison.right_id]
        chosen, rejected = (left, right) if winner is Choice.left else (right, left)
        ids = tuple(p.id for p, _, _ in group if p.id is not None and p.choice is winner)
        pairs.append(_pair(prompt, chosen, rejected, ids))
    return sorted(pairs, key=lambda pair: pair.newest)


def edited_pairs(session: Session, *, splits: Iterable[Split] = (Split.train,)) -> list[PreferencePair]:
    """Edited replies chosen against their originals; they carry no preference id."""
    rows = session.exec(
        select(Feedback, Completion, Prompt)
        .join(Completion, col(Feedback.completion_id) == col(Completion.id))
        .join(Prompt, col(Completion.prompt_id) == col(Prompt.id))
        .where(col(Feedback.edited_text).is_not(None), col(Prompt.split).in_(list(splits)))
        .order_by(col(Feedback.id))
    ).all()
    newest = {completion.id: (feedback, completion, prompt) for feedback, completion, prompt in rows}
    return [
        _pair(p, Completion(prompt_id=c.prompt_id, text=f.edited_text or "", finish_reason="edited"), c, ())
        for f, c, p in newest.values()
        if f.edited_text != c.text
    ]


def _pair(prompt: Prompt, chosen: Completion, rejected: Completion, ids: tuple[int, ...]) -> PreferencePair:
    assert prompt.id is not None
    return PreferencePair(prompt.id, prompt.messages, prompt.group_key, prompt.split, chosen, rejected, ids)


def _completions_of(session: Session, comparisons: Sequence[Comparison]) -> dict[int, Completion]:
    wanted = sorted({i for c in comparisons for i in (c.left_id, c.right_id)})
    found: dict[int, Completion] = {}
    for start in range(0, len(wanted), 500):  # SQLite binds a limited number of variables
        part = wanted[start : start + 500]
        for completion in session.exec(select(Completion).where(col(Completion.id).in_(part))):
            assert completion.id is not None
            found[completion.id] = completion
    return found


def _majority(made: Sequence[Choice]) -> Choice | None:
    """left or right where it has more than half of the choices that are not skips."""
    counted = [c for c in made if c is not Choice.skip]
    for side in (Choice.left, Choice.right):
        if 2 * sum(c is side for c in counted) > len(counted):
            return side
    return None
