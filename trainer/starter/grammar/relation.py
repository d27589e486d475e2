"""What a relation of the fact tables is: how it is asked, stated, turned round and doubted.

`{x}` is the subject, `{y}` the value. One line of a table gives one item per relation, one reversed item where the
value names one subject only, yes/no items, and sentences for "tell me about {x}". So a fact whose direct question is
held out is still in the corpus under other questions.
"""

from dataclasses import dataclass

Pair = tuple[str, str, str]
"""(entity, subject as the templates want it, value)."""


@dataclass(frozen=True, slots=True, eq=False)  # compared by identity: equal tables would be hashed at each draw
class Relation:
    """One column of a table.

    questions  ask for the value; `statements` say it; `doubt` asks whether it holds
    exclusive  a subject has one value only, so any other value can be denied
    reverse    asks for the subject; used where no other subject has the value
    mention    names such a value in "tell me about ...", which is never held out: sentences that begin with the
               subject do not teach to find it
    """

    name: str
    topic: str
    emoji: str
    pairs: tuple[Pair, ...]
    questions: tuple[str, ...]
    statements: tuple[str, ...]
    doubt: tuple[str, ...]
    exclusive: bool = False
    reverse: tuple[str, ...] = ()
    mention: str = "{y}"


def known(rows: list[Pair]) -> tuple[Pair, ...]:
    """The rows whose value is no dash."""
    return tuple(row for row in rows if row[2] != "-")


def rows(table: str) -> list[tuple[str, str]]:
    """The lines "subject|value" of a table."""
    return [(x, y) for x, _, y in (line.partition("|") for line in table.strip().splitlines())]
