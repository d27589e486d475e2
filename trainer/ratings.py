"""Completions rated by themselves, as KTO has them: the sides of pairs, thumbs, and both sides of a both_bad."""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.database import Database
from storage.pairs import PreferencePair
from storage.ratings import RatedCompletion, rejected_both, thumbed
from storage.runs import began_with
from storage.tables import TrainingRun
from trainer.examples import Pair, Rated


@dataclass(frozen=True)
class Ratings:
    """What people rated without comparing: the examples, the preferences behind them, and how many of each kind."""

    rated: tuple[Rated, ...]
    preference_ids: tuple[int, ...]
    note: str


def sides_of(pairs: Sequence[Pair]) -> list[Rated]:
    """The chosen as good and the rejected as bad."""
    return [
        Rated(pair.prompt, text, good, pair.preference_id, pair.group)
        for pair in pairs
        for text, good in ((pair.chosen, True), (pair.rejected, False))
    ]


def ratings_of(
    database: Database, run: TrainingRun, *, first: int, last_since: int | None, edits: Sequence[PreferencePair]
) -> Ratings:
    """The ratings a run learns from beside its pairs, as of its queueing (both_bad) and its first start (thumbs).

    first: the preference its choices begin after, which thumbs follow in time as edited replies do. last_since: of a
    run of the last few choices the oldest it uses, else None; such a run has the both_bad since then, and no thumbs. A
    reply among `edits` is in a pair already, so its thumb does not count. Completions of several turns are left out.
    """
    with database.read() as session:
        both = rejected_both(session, after=first if last_since is None else max(first, last_since - 1))
        after = began_with(session, last_preference_id=first) if first else None
        thumbs = thumbed(session, after=after, until=run.started_at) if last_since is None else []
    edited = {pair.rejected.id for pair in edits}
    both = [one for one in both if one.newest <= run.last_preference_id and one.completion.turns is None]
    thumbs = [one for one in thumbs if one.completion.id not in edited and one.completion.turns is None]
    up = sum(one.good for one in thumbs)
    return Ratings(
        rated=tuple(_example(one) for one in (*both, *thumbs)),
        preference_ids=tuple(dict.fromkeys(i for one in both for i in one.preference_ids)),
        note=f"thumbs: {up} up, {len(thumbs) - up} down; {len(both)} completions of comparisons where both were bad",
    )


def _example(one: RatedCompletion) -> Rated:
    return Rated(one.messages, one.completion.text, one.good, one.newest, one.group_key)
