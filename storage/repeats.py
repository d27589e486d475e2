"""Hidden repeats: a comparison that its labeller decided before, once more with the sides swapped.

It shows the same two completions, so what it repeats is found by them. Its choice is stored with purpose `repeat`,
which nothing that trains, tallies or decides reads. Leaves out when one is due (app/repeats.py).
"""

import random
import secrets
from dataclasses import dataclass

from sqlalchemy.orm import aliased
from sqlmodel import Session, col, func, select

from storage.comparisons import lease_comparison
from storage.tables import Choice, Comparison, ComparisonState, Preference, Purpose

SWAPPED = {Choice.left: Choice.right, Choice.right: Choice.left}
RECENT = 10  # newest choices of a labeller, which would be recognised
REMEMBERED = 500  # choices before those, of which one is repeated


@dataclass(frozen=True)
class RepeatedChoice:
    """The same two completions before the same labeller twice: chosen first, and again with the sides swapped."""

    labeller_id: str
    first: Choice
    again: Choice

    @property
    def same(self) -> bool:
        """The same completion, or again none of the two."""
        decided = self.first if self.first in SWAPPED else None
        return decided is SWAPPED.get(self.again)

    @property
    def side(self) -> Choice | None:
        """The side that was taken both times, and so another completion; None where there is none."""
        return self.first if self.first is self.again and self.first in SWAPPED else None


def count_made(session: Session, *, labeller_id: str) -> int:
    """Standing choices of this labeller, of whatever kind; repeats too."""
    query = select(func.count()).where(Preference.labeller_id == labeller_id, col(Preference.withdrawn_at).is_(None))
    return session.exec(query).one()


def record_repeat(session: Session, *, labeller_id: str, chance: random.Random) -> Comparison | None:
    """One of the labeller's earlier comparisons again, leased to them; None where there is none to repeat.

    Any that was decided, not by a skip, not among the RECENT newest, and was not repeated before.
    """
    query = (
        select(Comparison)
        .join(Preference, col(Preference.comparison_id) == col(Comparison.id))
        .where(
            Preference.labeller_id == labeller_id,
            col(Preference.withdrawn_at).is_(None),
            col(Preference.imported).is_(False),
            Preference.purpose != Purpose.repeat,
            Preference.choice != Choice.skip,
        )
        .order_by(col(Preference.id).desc())
    )
    earlier = list(session.exec(query.offset(RECENT).limit(REMEMBERED)))
    chance.shuffle(earlier)
    for first in earlier:
        if _repeat_of(session, first) is None:
            again = Comparison(
                id=secrets.token_hex(16),
                prompt_id=first.prompt_id,
                left_id=first.right_id,
                right_id=first.left_id,
                purpose=Purpose.repeat,
                state=ComparisonState.leased,
            )
            lease_comparison(session, again, labeller_id=labeller_id)
            return again
    return None


def _repeat_of(session: Session, first: Comparison) -> str | None:
    query = select(Comparison.id).where(
        Comparison.prompt_id == first.prompt_id,
        Comparison.purpose == Purpose.repeat,
        Comparison.left_id == first.right_id,
        Comparison.right_id == first.left_id,
    )
    return session.exec(query.limit(1)).first()


def repeated_choices(session: Session, *, after: int = 0) -> list[RepeatedChoice]:
    """Of the standing choices on repeats with an id above `after`, oldest first, where both were no skip."""
    again, first = aliased(Preference), aliased(Preference)
    shown, repeated = aliased(Comparison), aliased(Comparison)
    query = (
        select(again.labeller_id, first.choice, again.choice)
        .join(shown, col(again.comparison_id) == col(shown.id))
        .join(
            repeated,
            (col(repeated.prompt_id) == col(shown.prompt_id))
            & (col(repeated.left_id) == col(shown.right_id))
            & (col(repeated.right_id) == col(shown.left_id))
            & (col(repeated.purpose) != Purpose.repeat),
        )
        .join(
            first,
            (col(first.comparison_id) == col(repeated.id)) & (col(first.labeller_id) == col(again.labeller_id)),
        )
        .where(
            again.purpose == Purpose.repeat,
            col(again.withdrawn_at).is_(None),
            col(first.withdrawn_at).is_(None),
            col(again.id) > after,
            again.choice != Choice.skip,
            first.choice != Choice.skip,
        )
        .order_by(col(again.id))
    )
    return [RepeatedChoice(who, Choice(one), Choice(other)) for who, one, other in session.exec(query)]
