"""Completions that people rated by themselves, for KTO: thumbs in the chat, and both sides of a both_bad."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from storage.pairs import both_bad_pairs
from storage.prompts import Messages
from storage.tables import Completion, Feedback, Prompt, Split


@dataclass(frozen=True)
class RatedCompletion:
    """A completion that is good or bad. `preference_ids` are those of a both_bad; a thumb has none."""

    messages: Messages
    group_key: str
    completion: Completion
    good: bool
    preference_ids: tuple[int, ...]

    @property
    def newest(self) -> int:
        """The newest of the preference ids; 0 for a thumb."""
        return max(self.preference_ids, default=0)


def rejected_both(
    session: Session, *, splits: Iterable[Split] = (Split.train,), after: int = 0
) -> list[RatedCompletion]:
    """Both sides of every comparison whose majority found both bad, by standing choices with an id above `after`."""
    return [
        RatedCompletion(pair.messages, pair.group_key, side, False, pair.preference_ids)
        for pair in both_bad_pairs(session, splits=splits, after=after)
        for side in (pair.chosen, pair.rejected)
    ]


def thumbed(
    session: Session,
    *,
    splits: Iterable[Split] = (Split.train,),
    after: datetime | None = None,
    until: datetime | None = None,
) -> list[RatedCompletion]:
    """Replies that got a thumb after one moment and until another.

    Each labeller's newest thumb counts; a reply with as many up as down is left out.
    """
    query = (
        select(Feedback, Completion, Prompt)
        .join(Completion, col(Feedback.completion_id) == col(Completion.id))
        .join(Prompt, col(Completion.prompt_id) == col(Prompt.id))
        .where(col(Feedback.thumb).is_not(None), col(Prompt.split).in_(list(splits)))
    )
    if after is not None:
        query = query.where(col(Feedback.created_at) > after)
    if until is not None:
        query = query.where(col(Feedback.created_at) <= until)
    thumbs: dict[int, dict[str, bool]] = defaultdict(dict)
    rated: dict[int, tuple[Completion, Prompt]] = {}
    for feedback, completion, prompt in session.exec(query.order_by(col(Feedback.id))):
        thumbs[feedback.completion_id][feedback.labeller_id] = feedback.thumb == "up"
        rated[feedback.completion_id] = completion, prompt
    return [
        RatedCompletion(prompt.messages, prompt.group_key, completion, 2 * up > len(thumbs[place]), ())
        for place, (completion, prompt) in rated.items()
        if 2 * (up := sum(thumbs[place].values())) != len(thumbs[place])
    ]
