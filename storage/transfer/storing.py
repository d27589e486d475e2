"""One imported row becomes rows of the database, once: what is here already is found by its digest.

A pair is its prompt, two completions without a checkpoint, a decided comparison and a preference by the labeller
"import"; the side of the chosen one is tossed by the row's hash. Leaves out files, batches and reports (importing.py).
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from storage.prompts import Messages, digest_messages, record_prompt
from storage.tables import Choice, Comparison, ComparisonState, Completion, Preference, Prompt, Purpose, Split
from storage.transfer.formats import Format
from storage.transfer.json_line import read_object, remember
from storage.transfer.reading import Line
from storage.transfer.rows import PairRow, PromptRow, turns_of

LABELLER = "import"
DECIDED = (Choice.left, Choice.right)


@dataclass(frozen=True)
class Origin:
    """What every row of one import shares: `file` is the head of its digest, `source` is kept with new prompts."""

    format: Format
    file: str
    source: str
    split: Split | None
    offered: bool


@dataclass(frozen=True)
class _Pair:
    """A new pair, ready to store."""

    digest: str
    prompt_id: int
    left: Completion
    right: Completion
    choice: Choice
    source: dict[str, Any]


def store_rows(session: Session, rows: Sequence[tuple[Line, PairRow | PromptRow]], origin: Origin) -> int:
    """Store what is new among the rows; returns how many were."""
    known, prompts, pairs = _known_pairs(session, rows), 0, []
    for line, row in rows:
        if isinstance(row, PromptRow):
            prompts += _prompt(session, row, origin)[1]
        elif row.digest not in known:
            known.add(row.digest)
            pairs += _new_pair(session, line, row, origin)
        elif origin.offered:
            _prompt(session, PromptRow(row.prompt), origin)
    _store_pairs(session, pairs)
    return prompts + len(pairs)


def _client_id(digest: str) -> str:
    return f"import:{digest}"


def _known_pairs(session: Session, rows: Sequence[tuple[Line, PairRow | PromptRow]]) -> set[str]:
    """Digests of the rows that an earlier import has stored."""
    asked = {_client_id(row.digest): row.digest for _, row in rows if isinstance(row, PairRow)}
    found = session.exec(select(Preference.client_id).where(col(Preference.client_id).in_(asked)))
    return {asked[client_id] for client_id in found}


def _new_pair(session: Session, line: Line, row: PairRow, origin: Origin) -> list[_Pair]:
    """The pair, or nothing where people made this very choice in the app."""
    prompt, is_new = _prompt(session, PromptRow(row.prompt), origin)
    if not is_new and _chosen_here(session, prompt, row):
        return []
    assert prompt.id is not None
    choice = row.choice or DECIDED[int(row.digest[0], 16) % 2]
    chosen, rejected = (_completion(prompt.id, turns) for turns in (row.chosen, row.rejected))
    left, right = (rejected, chosen) if choice is Choice.right else (chosen, rejected)
    return [_Pair(row.digest, prompt.id, left, right, choice, _provenance(line, row, origin))]


def _prompt(session: Session, row: PromptRow, origin: Origin) -> tuple[Prompt, bool]:
    digest = digest_messages(row.messages)
    known = session.exec(select(Prompt).where(Prompt.digest == digest)).first()
    if known is not None:
        if origin.offered and not known.offered:
            known.offered = True
            session.add(known)
        return known, False
    prompt = record_prompt(
        session,
        messages=row.messages,
        source=origin.source,
        group_key=row.group,
        split=origin.split or row.split,
        tags=row.tags,
        reference=row.reference,
        offered=origin.offered,
    )
    return prompt, True


def _chosen_here(session: Session, prompt: Prompt, row: PairRow) -> bool:
    """Whether people made this very choice in the app: a row of one of its own exports."""
    made = session.exec(
        select(Preference, Comparison)
        .join(Comparison, col(Preference.comparison_id) == col(Comparison.id))
        .where(Comparison.prompt_id == prompt.id, col(Preference.imported).is_(False))
    ).all()
    return any(_same_choice(session, preference, comparison, row) for preference, comparison in made)


def _same_choice(session: Session, preference: Preference, comparison: Comparison, row: PairRow) -> bool:
    decided = row.choice is None or row.choice in DECIDED
    if preference.choice is not row.choice and not (decided and preference.choice in DECIDED):
        return False
    left, right = (session.get_one(Completion, i) for i in (comparison.left_id, comparison.right_id))
    first, second = (right, left) if preference.choice is Choice.right else (left, right)
    return (turns_of(first), turns_of(second)) == (row.chosen, row.rejected)


def _store_pairs(session: Session, pairs: list[_Pair]) -> None:
    """One flush per table: thousands of rows take seconds, not a minute."""
    session.add_all([side for pair in pairs for side in (pair.left, pair.right)])
    session.flush()
    for pair in pairs:
        assert pair.left.id is not None and pair.right.id is not None
        comparison = Comparison(
            id=secrets.token_hex(16),
            prompt_id=pair.prompt_id,
            left_id=pair.left.id,
            right_id=pair.right.id,
            purpose=Purpose.train,
            state=ComparisonState.decided,
        )
        preference = Preference(
            client_id=_client_id(pair.digest),
            comparison_id=comparison.id,
            prompt_id=pair.prompt_id,
            labeller_id=LABELLER,
            choice=pair.choice,
            purpose=Purpose.train,
            imported=True,
            left_length=len(pair.left.text),
            right_length=len(pair.right.text),
            source=pair.source,
        )
        session.add_all([comparison, preference])
    session.flush()


def _completion(prompt_id: int, turns: Messages) -> Completion:
    return Completion(prompt_id=prompt_id, text=turns[-1]["content"], turns=turns if len(turns) > 1 else None)


def _provenance(line: Line, row: PairRow, origin: Origin) -> dict[str, Any]:
    """Where the row came from, and the little that its bytes need beside its texts."""
    text = line.text()
    kept = remember(text, read_object(text), origin.format.render(row))
    shape = {"shape": row.shape} if row.shape and "raw" not in kept else {}
    end = {} if line.end == "\n" else {"end": line.end}
    return {"format": origin.format.name, "file": origin.file, "line": line.number, **shape, **kept, **end}
