"""Reads for the page: the loop in four figures, and pages of prompts and preferences to look through.

Everything is derived from rows when it is asked for. Leaves out what people do (labelling, runs, promotion), the
win rates (app/win_rates.py) and the texts behind them (app/verdicts.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, func, select

from app.verdicts import last_user_turn
from storage.preferences import count_choices
from storage.prompts import count_prompts, list_prompts
from storage.tables import (
    Checkpoint,
    Choice,
    Comparison,
    Completion,
    GateDecisionRow,
    ImportedFile,
    Preference,
    Prompt,
    Purpose,
    Split,
)
from storage.transfer.exporting import labeller_name

SEARCHED = 2000  # newest preferences that a search looks through


@dataclass(frozen=True)
class Totals:
    """What has been gathered so far."""

    choices: int
    people: int
    imported: int
    prompts: int
    checkpoints: int


@dataclass(frozen=True)
class PromptRow:
    id: int
    text: str
    messages: int
    split: Split
    tags: Sequence[str]
    source: str
    created_at: datetime


@dataclass(frozen=True)
class PreferenceRow:
    """A standing preference with the texts it was about; checkpoints are None where it was imported."""

    id: int
    prompt: str
    choice: Choice
    strength: str | None
    reason: str | None
    left: str
    right: str
    left_checkpoint: str | None
    right_checkpoint: str | None
    who: str
    purpose: Purpose
    created_at: datetime


def totals(session: Session) -> Totals:
    people = select(func.count(func.distinct(Preference.labeller_id))).where(col(Preference.imported).is_(False))
    imported = select(func.count()).where(col(Preference.imported), col(Preference.withdrawn_at).is_(None))
    return Totals(
        choices=count_choices(session),
        people=session.exec(people).one(),
        imported=session.exec(imported).one(),
        prompts=sum(count_prompts(session).values()),
        checkpoints=session.exec(select(func.count(col(Checkpoint.id)))).one(),
    )


def newest_decision(session: Session) -> GateDecisionRow | None:
    """What the gate decided last."""
    return session.exec(select(GateDecisionRow).order_by(col(GateDecisionRow.created_at).desc()).limit(1)).first()


def checkpoint_names(session: Session) -> dict[str, str]:
    return {c.id: c.name for c in session.exec(select(Checkpoint))}


def prompt_rows(
    session: Session, *, search: str = "", split: Split | None = None, after: int = 0, limit: int = 50
) -> list[PromptRow]:
    """Up to `limit` prompts with an id above `after`, by id."""
    return [
        PromptRow(
            p.id or 0, last_user_turn(p.messages), len(p.messages), p.split, p.tags, _source(p.source), p.created_at
        )
        for p in list_prompts(session, search=search, split=split, after=after, limit=limit)
    ]


def preference_rows(
    session: Session,
    *,
    search: str = "",
    choice: Choice | None = None,
    imported: bool | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[PreferenceRow]:
    """Standing preferences, newest first, with ids below `before`; a search looks through the newest SEARCHED."""
    left, right = Completion.__table__.alias("left_side"), Completion.__table__.alias("right_side")  # type: ignore[attr-defined]
    query = (
        select(Preference, Prompt, left.c.text, right.c.text)
        .join(Comparison, col(Preference.comparison_id) == col(Comparison.id))
        .join(Prompt, col(Comparison.prompt_id) == col(Prompt.id))
        .join(left, col(Comparison.left_id) == left.c.id)
        .join(right, col(Comparison.right_id) == right.c.id)
        .where(col(Preference.withdrawn_at).is_(None))
        .order_by(col(Preference.id).desc())
        .limit(SEARCHED if search else limit)
    )
    if choice is not None:
        query = query.where(Preference.choice == choice)
    if imported is not None:
        query = query.where(col(Preference.imported).is_(imported))
    if before is not None:
        query = query.where(col(Preference.id) < before)
    names = checkpoint_names(session)
    rows = [_preference(names, *row) for row in session.exec(query)]
    return [row for row in rows if _matches(row, search)][:limit]


def imported_files(session: Session, *, limit: int = 10) -> list[ImportedFile]:
    """Newest first."""
    return list(session.exec(select(ImportedFile).order_by(col(ImportedFile.created_at).desc()).limit(limit)))


def _preference(names: dict[str, str], preference: Preference, prompt: Prompt, left: str, right: str) -> PreferenceRow:
    return PreferenceRow(
        id=preference.id or 0,
        prompt=last_user_turn(prompt.messages),
        choice=preference.choice,
        strength=preference.strength,
        reason=preference.reason,
        left=left,
        right=right,
        left_checkpoint=names.get(preference.left_checkpoint_id or ""),
        right_checkpoint=names.get(preference.right_checkpoint_id or ""),
        who="imported" if preference.imported else labeller_name(preference.labeller_id),
        purpose=preference.purpose,
        created_at=preference.created_at,
    )


def _matches(row: PreferenceRow, search: str) -> bool:
    wanted = search.lower()
    return not wanted or any(wanted in text.lower() for text in (row.prompt, row.left, row.right, row.reason or ""))


def _source(source: str) -> str:
    return "imported" if source.startswith("import:") else source
