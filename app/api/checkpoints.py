"""Checkpoints with where they come from and what the gate said of them."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlmodel import Session

from app.api.gates import GateShape, gate_shape
from app.api.shapes import PREFIX, Cursor, Limit, Page, divide, errors_for, finite, number_of
from storage.checkpoints import get_checkpoint, lineage, list_checkpoints
from storage.evaluations import gate_decision_of
from storage.tables import Checkpoint, CheckpointKind

if TYPE_CHECKING:
    from app.main import Application


class LineageShape(BaseModel):
    run_id: str | None
    base_id: str | None
    started_from_id: str | None
    algorithm: str | None
    config: dict[str, Any] | None
    dataset_digest: str | None
    preference_ids: list[int] = Field(description="the choices it learned from")


class CheckpointShape(BaseModel):
    id: str
    name: str
    kind: CheckpointKind
    algorithm: str | None
    digest: str = Field(description="SHA-256 of its manifest, or of the weights of a foreign model")
    metrics: dict[str, float | None]
    served: bool = Field(description="whether requests are answered by it now")
    lineage: LineageShape
    gate: GateShape | None
    created_at: datetime


def routes(application: "Application") -> APIRouter:
    router = APIRouter(prefix=PREFIX, tags=["checkpoints"])

    def shape(session: Session, checkpoint: Checkpoint) -> CheckpointShape:
        return CheckpointShape(
            id=checkpoint.id,
            name=checkpoint.name,
            kind=checkpoint.kind,
            algorithm=checkpoint.algorithm,
            digest=checkpoint.digest,
            metrics=finite(checkpoint.metrics),
            served=application.slot.current_id == checkpoint.id,
            lineage=LineageShape(**lineage(session, checkpoint)),
            gate=gate_shape(gate_decision_of(session, checkpoint.id)),
            created_at=checkpoint.created_at,
        )

    @router.get(
        "/checkpoints", summary="List checkpoints", response_model=Page[CheckpointShape], responses=errors_for(422)
    )
    def list_all(limit: Limit = 50, cursor: Cursor = None) -> Page[CheckpointShape]:
        """Oldest first; the first one is the initial model."""
        start = number_of(cursor) or 0
        with application.database.read() as session:
            # rows are only ever appended, so that a position is a lasting cursor
            page, last = divide(list_checkpoints(session)[start:], limit)
            items = [shape(session, checkpoint) for checkpoint in page]
        return Page(items=items, next_cursor=str(start + limit) if last else None)

    @router.get(
        "/checkpoints/{checkpoint_id}",
        summary="One checkpoint",
        response_model=CheckpointShape,
        responses=errors_for(404, 422),
    )
    def get(checkpoint_id: str) -> CheckpointShape:
        with application.database.read() as session:
            return shape(session, get_checkpoint(session, checkpoint_id))

    return router
