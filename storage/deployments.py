"""The append-only ledger of what should be served, and what came of it."""

from dataclasses import dataclass

from sqlmodel import Session, col, select

from storage.checkpoints import get_checkpoint
from storage.errors import Conflict
from storage.tables import CheckpointKind, Deployment, DeploymentEvent, DeploymentReason


@dataclass(frozen=True)
class LedgerEntry:
    deployment: Deployment
    events: list[DeploymentEvent]

    @property
    def state(self) -> str:
        """serving, failed, loading ... : the last thing that happened (a drained old model ends nothing)."""
        told = [e.event for e in self.events if e.event != "drained"]
        return told[-1] if told else "requested"


def record_deployment(
    session: Session, *, checkpoint_id: str, reason: DeploymentReason, by: str, note: str = ""
) -> tuple[Deployment, bool]:
    """State that this checkpoint should be served; (row, whether it is new: not if it already is the wanted one)."""
    checkpoint = get_checkpoint(session, checkpoint_id)
    if checkpoint.kind is CheckpointKind.reward_model:
        raise Conflict(f"{checkpoint_id} is a reward model; it scores text and cannot be served.")
    wanted = current_deployment(session)
    if wanted is not None and wanted.checkpoint_id == checkpoint_id:
        return wanted, False
    deployment = Deployment(
        checkpoint_id=checkpoint_id,
        previous_id=wanted.checkpoint_id if wanted else None,
        reason=reason,
        note=note,
        by=by,
    )
    session.add(deployment)
    session.flush()
    return deployment, True


def record_event(session: Session, *, deployment_id: int, event: str, detail: str = "") -> None:
    session.add(DeploymentEvent(deployment_id=deployment_id, event=event, detail=detail))


def _told(session: Session, deployment: Deployment, event: str) -> bool:
    query = select(DeploymentEvent).where(
        DeploymentEvent.deployment_id == deployment.id, DeploymentEvent.event == event
    )
    return session.exec(query).first() is not None


def current_deployment(session: Session) -> Deployment | None:
    """The newest deployment that has not failed: what is, or is about to be, served."""
    for deployment in session.exec(select(Deployment).order_by(col(Deployment.id).desc())):
        if not _told(session, deployment, "failed"):
            return deployment
    return None


def previously_served(session: Session) -> str | None:
    """The checkpoint that was really served before the current one: where a roll back goes."""
    current = current_deployment(session)
    if current is None:
        return None
    others = select(Deployment).where(Deployment.checkpoint_id != current.checkpoint_id)
    for deployment in session.exec(others.order_by(col(Deployment.id).desc())):
        if _told(session, deployment, "serving"):
            return deployment.checkpoint_id
    return None


def served_checkpoints(session: Session) -> list[str]:
    """Distinct checkpoints that have been served, in order of their first time."""
    query = (
        select(Deployment.checkpoint_id)
        .join(DeploymentEvent, col(DeploymentEvent.deployment_id) == col(Deployment.id))
        .where(DeploymentEvent.event == "serving")
        .order_by(col(Deployment.id))
    )
    return list(dict.fromkeys(session.exec(query)))


def ledger(session: Session, *, limit: int = 100) -> list[LedgerEntry]:
    """Newest first."""
    rows = session.exec(select(Deployment).order_by(col(Deployment.id).desc()).limit(limit)).all()
    events = session.exec(
        select(DeploymentEvent)
        .where(col(DeploymentEvent.deployment_id).in_([d.id for d in rows]))
        .order_by(col(DeploymentEvent.id))
    ).all()
    return [LedgerEntry(d, [e for e in events if e.deployment_id == d.id]) for d in rows]
