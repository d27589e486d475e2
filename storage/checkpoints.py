"""Checkpoints and their lineage: run, base, config, dataset digest and the preferences they learned from."""

from collections.abc import Iterable
from typing import Any

from sqlmodel import Session, col, func, select

from storage.errors import Conflict, NotFound
from storage.tables import Checkpoint, CheckpointKind, CheckpointPreference, Project

INITIAL = "initial"


def record_project(session: Session, *, initial_model: str, name: str, digest: str) -> tuple[Project, Checkpoint]:
    """The project of this data directory and its initial checkpoint, made on the first start.

    Raises Conflict when the directory belongs to another initial model, or its weights have changed.
    """
    project = session.get(Project, 1)
    if project is None:
        project = Project(initial_model=initial_model)
        initial = Checkpoint(id=INITIAL, name=name, kind=CheckpointKind.initial, source=initial_model, digest=digest)
        session.add(project)
        session.add(initial)
        session.flush()
        return project, initial
    if project.initial_model != initial_model:
        raise Conflict(
            f"This data directory was begun with {project.initial_model!r}, not {initial_model!r}.",
            hint="Start it with that model, or give another directory with PREFLOOP_DATA_DIR.",
        )
    initial = get_checkpoint(session, INITIAL)
    if initial.digest != digest:
        raise Conflict(
            f"The weights at {initial_model!r} have changed since this data directory was begun "
            f"(SHA-256 {initial.digest[:12]} then, {digest[:12]} now).",
            hint="Restore them, or give another directory with PREFLOOP_DATA_DIR.",
        )
    return project, initial


def record_checkpoint(session: Session, *, checkpoint: Checkpoint, preference_ids: Iterable[int]) -> Checkpoint:
    session.add(checkpoint)
    session.flush()
    for preference_id in sorted(set(preference_ids)):
        session.add(CheckpointPreference(checkpoint_id=checkpoint.id, preference_id=preference_id))
    session.flush()
    return checkpoint


def get_checkpoint(session: Session, checkpoint_id: str) -> Checkpoint:
    checkpoint = session.get(Checkpoint, checkpoint_id)
    if checkpoint is None:
        raise NotFound(f"There is no checkpoint {checkpoint_id!r}.", hint="GET /api/v1/checkpoints lists them.")
    return checkpoint


def list_checkpoints(session: Session) -> list[Checkpoint]:
    """All, oldest first."""
    return list(session.exec(select(Checkpoint).order_by(col(Checkpoint.created_at), col(Checkpoint.id))))


def lineage(session: Session, checkpoint: Checkpoint) -> dict[str, Any]:
    """What it was made of, for people and the API."""
    learned = select(CheckpointPreference.preference_id).where(CheckpointPreference.checkpoint_id == checkpoint.id)
    return {
        "run_id": checkpoint.run_id,
        "base_id": checkpoint.base_id,
        "started_from_id": checkpoint.started_from_id,
        "algorithm": checkpoint.algorithm,
        "config": checkpoint.config,
        "dataset_digest": checkpoint.dataset_digest,
        "preference_ids": list(session.exec(learned.order_by(col(CheckpointPreference.preference_id)))),
    }


def count_learned(session: Session, checkpoint_id: str) -> int:
    return session.exec(select(func.count()).where(CheckpointPreference.checkpoint_id == checkpoint_id)).one()
