"""Export: standing preferences, or prompts, as lines of JSON, streamed in the order of their ids.

A row that was imported in the same format is given back byte for byte. Ties, both_bad and skips are written only when
asked for, and only by a format that can tell them; withdrawn choices never are.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from storage.errors import Invalid
from storage.tables import Choice, Comparison, Completion, Preference, Prompt, Purpose, Split
from storage.transfer.formats import Format, get_format
from storage.transfer.json_line import restore, write_object
from storage.transfer.rows import PairRow, PromptRow, turns_of
from storage.transfer.storing import DECIDED, LABELLER

ROWS_AT_ONCE = 200


def export(
    session: Session,
    *,
    format: str,
    undecided: bool = False,
    imported: bool | None = None,
    split: Split | None = None,
) -> Iterator[bytes]:
    """One line per standing preference (or prompt), each with its end; read while the session is open.

    Hidden repeats are no preferences of their own and are left out.

    `undecided` adds ties, both_bad and skips, with the left completion as `chosen`: look at `choice`. `imported`
    keeps only imported rows (True) or only those made here (False). `split` keeps one split's.
    Raises Invalid for an unknown format, and for `undecided` in one that cannot tell them.
    """
    kind = get_format(format)
    if undecided and not kind.undecided:
        raise Invalid(f"The format {format} cannot tell ties, both_bad and skips.", hint="Use trl for them.")
    if kind.name == "prompts":
        return _prompt_lines(session, kind, imported, split)
    return _joined(_preference_lines(session, kind, undecided, imported, split))


def _preference_lines(
    session: Session, kind: Format, undecided: bool, imported: bool | None, split: Split | None
) -> Iterator[tuple[str, str]]:
    left, right = aliased(Completion), aliased(Completion)
    query = (
        select(Preference, Prompt, left, right)
        .join(Comparison, col(Preference.comparison_id) == col(Comparison.id))
        .join(Prompt, col(Comparison.prompt_id) == col(Prompt.id))
        .join(left, col(Comparison.left_id) == left.id)
        .join(right, col(Comparison.right_id) == right.id)
        .where(col(Preference.withdrawn_at).is_(None), Preference.purpose != Purpose.repeat)
        .order_by(col(Preference.id))
    )
    if not undecided:
        query = query.where(col(Preference.choice).in_(DECIDED))
    if imported is not None:
        query = query.where(col(Preference.imported).is_(imported))
    if split is not None:
        query = query.where(Prompt.split == split)
    for preference, prompt, on_left, on_right in session.exec(query.execution_options(yield_per=ROWS_AT_ONCE)):
        sides = (on_right, on_left) if preference.choice is Choice.right else (on_left, on_right)
        yield _line(kind, preference, prompt, *sides)


def _line(
    kind: Format, preference: Preference, prompt: Prompt, chosen: Completion, rejected: Completion
) -> tuple[str, str]:
    """The line and its end."""
    source = preference.source or {}
    same = source.get("format") == kind.name
    shape = source.get("shape", {}) if same else {}
    rendered = kind.render(PairRow(prompt.messages, turns_of(chosen), turns_of(rejected), shape, preference.choice))
    if same:
        return restore(source, rendered), source.get("end", "\n")
    if kind.undecided:
        rendered |= _details(preference, prompt, chosen, rejected)
    return write_object(rendered), "\n"


def _details(preference: Preference, prompt: Prompt, chosen: Completion, rejected: Completion) -> dict[str, Any]:
    return {
        "id": preference.id,
        "choice": preference.choice,
        "strength": preference.strength,
        "reason": preference.reason,
        "labeller": labeller_name(preference.labeller_id),
        "created_at": preference.created_at.isoformat(),
        "purpose": preference.purpose,
        "split": prompt.split,
        "checkpoints": {"chosen": chosen.checkpoint_id, "rejected": rejected.checkpoint_id},
    }


def labeller_name(labeller_id: str) -> str:
    """The same for all choices of one labeller, but not the id, which is the key of a browser's session."""
    return labeller_id if labeller_id == LABELLER else sha256(labeller_id.encode()).hexdigest()[:12]


def _joined(lines: Iterator[tuple[str, str]]) -> Iterator[bytes]:
    """A line without an end (the last of its file) gets one when another follows."""
    open_line = False
    for text, end in lines:
        yield ("\n" if open_line else "").encode() + (text + end).encode()
        open_line = not end


def _prompt_lines(session: Session, kind: Format, imported: bool | None, split: Split | None) -> Iterator[bytes]:
    query = select(Prompt).order_by(col(Prompt.id))
    if imported is not None:
        query = query.where(col(Prompt.source).startswith("import:") == imported)
    if split is not None:
        query = query.where(Prompt.split == split)
    for prompt in session.exec(query.execution_options(yield_per=ROWS_AT_ONCE)):
        row = PromptRow(prompt.messages, prompt.split, tuple(prompt.tags), prompt.reference, prompt.group_key)
        yield (write_object(kind.render(row)) + "\n").encode()
