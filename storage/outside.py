"""Outside models: texts that were written elsewhere for the held-out prompts, to hold checkpoints against.

They are completions without a checkpoint. A stored text never changes, so that a verdict stays about what was judged;
one model has one text per prompt. Leaves out reading the files (transfer/outputs.py).
"""

from collections.abc import Sequence

from sqlmodel import Session, col, func, select

from storage.errors import NotFound
from storage.tables import Completion, Prompt, Split

OUTSIDE = "outside:"  # before the model's name, where a baseline is named
LONGEST_NAME = 100


def outside_baseline(model: str) -> str:
    """What an evaluation calls the model as its baseline."""
    return OUTSIDE + model


def outside_model(baseline: str) -> str | None:
    """The model of such a baseline; None for any other."""
    return baseline.removeprefix(OUTSIDE) if baseline.startswith(OUTSIDE) else None


def outside_models(session: Session) -> dict[str, int]:
    """Name -> on how many held-out prompts that may be asked it has a text, by name."""
    query = (
        select(Completion.outside_model, func.count())
        .join(Prompt, col(Completion.prompt_id) == col(Prompt.id))
        .where(col(Completion.outside_model).is_not(None), Prompt.split == Split.heldout, col(Prompt.offered))
        .group_by(col(Completion.outside_model))
        .order_by(col(Completion.outside_model))
    )
    return {str(model): count for model, count in session.exec(query)}


def outside_texts(session: Session, model: str) -> dict[int, str]:
    """Prompt id -> its text. Raises NotFound for a model that has none."""
    query = select(Completion.prompt_id, Completion.text).where(Completion.outside_model == model)
    found = dict(session.exec(query).all())
    if not found:
        known = ", ".join(outside_models(session)) or "none yet"
        raise NotFound(
            f"No outputs of an outside model {model[:LONGEST_NAME]!r} were imported; there are {known}.",
            hint="Import them: prefloop import --format alpaca-eval FILE.",
        )
    return found


def stored_outputs(session: Session, *, models: Sequence[str], prompt_ids: Sequence[int]) -> dict[tuple[str, int], str]:
    """(model, prompt id) -> text, of those given; at most some hundreds of each."""
    query = select(Completion.outside_model, Completion.prompt_id, Completion.text).where(
        col(Completion.outside_model).in_(models), col(Completion.prompt_id).in_(prompt_ids)
    )
    return {(str(model), prompt_id): text for model, prompt_id, text in session.exec(query)}
