"""Pairs to learn from, derived from standing choices and edited replies; never a table."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from storage.prompts import Messages
from storage.tables import Choice, Comparison, Completion, Feedback, Preference, Prompt, Purpose, Split, Strength


@dataclass(frozen=True)
class PreferencePair:
    """A decided comparison of one prompt, or an edited reply. `preference_ids` are those of all who agreed.

    `strength` is what most of them said, None where none of the two was. Of a tie and of two bad ones, chosen is left
    and rejected right.
    """

    prompt_id: int
    messages: Messages
    group_key: str
    split: Split
    chosen: Completion
    rejected: Completion
    preference_ids: tuple[int, ...]
    strength: Strength | None = None

    @property
    def newest(self) -> int:
        """The newest of the preference ids; 0 for an edited reply, which has none."""
        return max(self.preference_ids, default=0)


def preference_pairs(
    session: Session, *, splits: Iterable[Split] = (Split.train,), after: int = 0
) -> list[PreferencePair]:
    """Pairs for training, oldest first: standing choices of purpose `train` with an id above `after`, merged by
    majority per comparison. Ties, skips and both_bad make no pair.
    """
    return _pairs_of(session, splits=splits, after=after, decided=(Choice.left, Choice.right))


def tied_pairs(session: Session, *, splits: Iterable[Split] = (Split.train,), after: int = 0) -> list[PreferencePair]:
    """The comparisons that most called a tie, otherwise as `preference_pairs`."""
    return _pairs_of(session, splits=splits, after=after, decided=(Choice.tie,))


def both_bad_pairs(
    session: Session, *, splits: Iterable[Split] = (Split.train,), after: int = 0
) -> list[PreferencePair]:
    """The comparisons of which most called both sides bad, otherwise as `tied_pairs`."""
    return _pairs_of(session, splits=splits, after=after, decided=(Choice.both_bad,))


def _pairs_of(
    session: Session, *, splits: Iterable[Split], after: int, decided: tuple[Choice, ...]
) -> list[PreferencePair]:
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
        outcome = _majority([p.choice for p, _, _ in group], among=decided)
        if outcome is None:
            continue
        _, comparison, prompt = group[0]
        left, right = completions[comparison.left_id], completions[comparison.right_id]
        chosen, rejected = (right, left) if outcome is Choice.right else (left, right)
        agreed = [p for p, _, _ in group if p.choice is outcome]
        pairs.append(
            _pair(prompt, chosen, rejected, tuple(p.id for p in agreed if p.id is not None), _strength(agreed))
        )
    return sorted(pairs, key=lambda pair: pair.newest)


def edited_pairs(
    session: Session,
    *,
    splits: Iterable[Split] = (Split.train,),
    after: datetime | None = None,
    until: datetime | None = None,
) -> list[PreferencePair]:
    """Replies edited after one moment and until another, chosen against their originals, each as edited last."""
    query = (
        select(Feedback, Completion, Prompt)
        .join(Completion, col(Feedback.completion_id) == col(Completion.id))
        .join(Prompt, col(Completion.prompt_id) == col(Prompt.id))
        .where(col(Feedback.edited_text).is_not(None), col(Prompt.split).in_(list(splits)))
    )
    if after is not None:
        query = query.where(col(Feedback.created_at) > after)
    if until is not None:
        query = query.where(col(Feedback.created_at) <= until)
    rows = session.exec(query.order_by(col(Feedback.id))).all()
    newest = {completion.id: (feedback, completion, prompt) for feedback, completion, prompt in rows}
    return [
        _pair(p, Completion(prompt_id=c.prompt_id, text=f.edited_text or "", finish_reason="edited"), c, ())
        for f, c, p in newest.values()
        if f.edited_text != c.text
    ]


def _pair(
    prompt: Prompt, chosen: Completion, rejected: Completion, ids: tuple[int, ...], strength: Strength | None = None
) -> PreferencePair:
    assert prompt.id is not None
    return PreferencePair(prompt.id, prompt.messages, prompt.group_key, prompt.split, chosen, rejected, ids, strength)


def _completions_of(session: Session, comparisons: Sequence[Comparison]) -> dict[int, Completion]:
    wanted = sorted({i for c in comparisons for i in (c.left_id, c.right_id)})
    found: dict[int, Completion] = {}
    for start in range(0, len(wanted), 500):  # SQLite binds a limited number of variables
        part = wanted[start : start + 500]
        for completion in session.exec(select(Completion).where(col(Completion.id).in_(part))):
            assert completion.id is not None
            found[completion.id] = completion
    return found


def _majority(made: Sequence[Choice], *, among: tuple[Choice, ...]) -> Choice | None:
    """That of `among` which has more than half of the choices that are not skips."""
    counted = [c for c in made if c is not Choice.skip]
    return next((one for one in among if 2 * sum(c is one for c in counted) > len(counted)), None)


def _strength(agreed: Sequence[Preference]) -> Strength | None:
    """The strength that more than half of those who agreed gave."""
    return next((one for one in Strength if 2 * sum(p.strength is one for p in agreed) > len(agreed)), None)
