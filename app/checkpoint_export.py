"""A checkpoint as a folder of its own that transformers loads: merged weights, tokenizer, and a model card."""

import shutil
from pathlib import Path

from sqlmodel import Session, col, func, select

from app.checkpoint_card import Facts, card
from app.win_rates import WinRates
from storage.checkpoints import INITIAL, count_learned, get_checkpoint
from storage.database import Database
from storage.errors import Conflict
from storage.evaluations import gate_decision_of
from storage.tables import CheckpointKind, CheckpointPreference, Preference


def export_checkpoint(
    database: Database, checkpoint_id: str, folder: Path, *, data_dir: Path, model_source: str, device: str = "auto"
) -> None:
    """Write the checkpoint, its adapter merged, to `folder`, which appears complete or not at all.

    Raises NotFound; Conflict where the folder is there already, or the checkpoint is a reward model; CorruptCheckpoint
    where its files are not what they were.
    """
    from trainer.adapters import refuse_unmergeable
    from trainer.policy import load_policy

    with database.read() as session:
        checkpoint = get_checkpoint(session, checkpoint_id)
    if checkpoint.kind is CheckpointKind.reward_model:
        raise Conflict(
            f"{checkpoint_id} is a reward model, which is a folder that transformers loads already.",
            hint=f"Copy {data_dir / checkpoint.source}.",
        )
    if folder.exists():
        raise Conflict(f"{folder} exists, and nothing is written over.", hint="Name a folder that is not there yet.")
    source = model_source if checkpoint_id == INITIAL else data_dir / checkpoint.source
    try:
        refuse_unmergeable(source)
    except ValueError as error:
        raise Conflict(
            f"{checkpoint_id} cannot be exported: it is a bottleneck adapter, which no plain model can hold.",
            hint=f"Copy {source}; trainer.policy.load_policy loads it.",
        ) from error
    policy = load_policy(source, device=device, base=None if checkpoint_id == INITIAL else model_source)
    partial = folder.with_name(folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    policy.model.save_pretrained(partial)
    policy.tokenizer.save_pretrained(partial)
    (partial / "README.md").write_text(card(facts_of(database, checkpoint_id)), encoding="utf-8")
    partial.replace(folder)


def facts_of(database: Database, checkpoint_id: str) -> Facts:
    """What the project's rows say of the checkpoint. Raises NotFound."""
    measured = WinRates(database)
    points = [row for row in measured.points() if row.checkpoint_id == checkpoint_id]
    with database.read() as session:
        return Facts(
            checkpoint=get_checkpoint(session, checkpoint_id),
            initial=get_checkpoint(session, INITIAL),
            choices=count_learned(session, checkpoint_id),
            labellers=_labellers(session, checkpoint_id),
            decision=gate_decision_of(session, checkpoint_id),
            points=points,
            sources=measured.read().judges,
        )


def _labellers(session: Session, checkpoint_id: str) -> int:
    return session.exec(
        select(func.count(func.distinct(col(Preference.labeller_id))))
        .join(CheckpointPreference, col(CheckpointPreference.preference_id) == col(Preference.id))
        .where(CheckpointPreference.checkpoint_id == checkpoint_id)
    ).one()
