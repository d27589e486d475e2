"""What is served: now, its ledger, promotion by hand and roll back."""

from datetime import datetime
from typing import TYPE_CHECKING

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from app.api.shapes import PREFIX, Body, Cursor, LabellerId, Limit, Page, divide, errors_for, number_of
from storage.deployments import LedgerEntry
from storage.errors import Conflict, Unavailable
from storage.tables import Deployment, DeploymentReason

if TYPE_CHECKING:
    from app.main import Application

WHOLE_LEDGER = 1_000_000


class NewDeployment(Body):
    checkpoint_id: str
    note: str = Field("", max_length=10_000)


class RollBack(Body):
    note: str = Field("", max_length=10_000)


class EventShape(BaseModel):
    event: str = Field(description="loading, verified, warmed, serving, drained or failed")
    detail: str
    created_at: datetime


class DeploymentShape(BaseModel):
    id: int
    checkpoint_id: str
    previous_id: str | None
    reason: DeploymentReason
    note: str
    by: str
    state: str = Field(description="the last event, but for drained; requested when there is none")
    events: list[EventShape]
    created_at: datetime


class ServedShape(BaseModel):
    checkpoint_id: str
    checkpoint: str = Field(description="its name")
    deployment_id: int
    previous_id: str | None
    reason: DeploymentReason
    note: str
    by: str
    created_at: datetime
    paused_choices: int = Field(description="choices still to be made before promotion is automatic again; mostly 0")


def routes(application: "Application") -> APIRouter:
    router = APIRouter(prefix=PREFIX, tags=["deployments"])
    promotion = application.promotion

    @router.get(
        "/deployments/current", summary="What is served now", response_model=ServedShape, responses=errors_for(503)
    )
    def current() -> ServedShape:
        """The checkpoint that requests are really answered by, whatever has been asked for since."""
        serving = promotion.serving()
        if serving is None or serving.deployment.id is None:
            raise Unavailable("No model is served yet.", hint="It is being loaded; try again.", code="not_ready")
        row = serving.deployment
        return ServedShape(
            checkpoint_id=serving.checkpoint.id,
            checkpoint=serving.checkpoint.name,
            deployment_id=serving.deployment.id,
            previous_id=row.previous_id,
            reason=row.reason,
            note=row.note,
            by=row.by,
            created_at=row.created_at,
            paused_choices=promotion.paused_for(),
        )

    @router.get("/deployments", summary="The ledger", response_model=Page[DeploymentShape], responses=errors_for(422))
    def list_all(limit: Limit = 50, cursor: Cursor = None) -> Page[DeploymentShape]:
        """Newest first, with what came of each."""
        before = number_of(cursor)
        entries = promotion.ledger(limit=limit + 1 if before is None else WHOLE_LEDGER)
        found = [e for e in entries if before is None or (e.deployment.id or 0) < before]
        page, last = divide(found, limit)
        return Page(items=[_shape(e) for e in page], next_cursor=str(last.deployment.id) if last else None)

    @router.post(
        "/deployments",
        summary="Serve a checkpoint",
        status_code=201,
        response_model=DeploymentShape,
        responses={200: {"model": DeploymentShape, "description": "it is served already"}, **errors_for(404, 409, 422)},
    )
    def promote(body: NewDeployment, labeller: LabellerId, response: Response) -> DeploymentShape:
        """Loads it beside the one served, checks it, and swaps without dropping a request. One that the gate did not
        promote is recorded as an override. Where it cannot be loaded the old one goes on serving: 409 says why.
        """
        deployment, created = promotion.promote(body.checkpoint_id, by=_by(labeller), note=body.note)
        response.status_code = 201 if created else 200
        return outcome(deployment)

    @router.post(
        "/deployments/rollback",
        summary="Serve the checkpoint from before",
        status_code=201,
        response_model=DeploymentShape,
        responses=errors_for(409, 422),
    )
    def roll_back(labeller: LabellerId, body: RollBack | None = None) -> DeploymentShape:
        return outcome(promotion.roll_back(by=_by(labeller), note=body.note if body else ""))

    def outcome(deployment: Deployment) -> DeploymentShape:
        entry = next(e for e in promotion.ledger(limit=WHOLE_LEDGER) if e.deployment.id == deployment.id)
        if entry.state == "failed":
            reason = next(e.detail for e in reversed(entry.events) if e.event == "failed")
            raise Conflict(
                f"{deployment.checkpoint_id} could not be served: {reason}",
                hint=f"{application.slot.current_id} is still served.",
                code="swap_failed",
            )
        return _shape(entry)

    return router


def _by(labeller: str | None) -> str:
    return "a person" if labeller else "a program"


def _shape(entry: LedgerEntry) -> DeploymentShape:
    row = entry.deployment
    assert row.id is not None
    return DeploymentShape(
        id=row.id,
        checkpoint_id=row.checkpoint_id,
        previous_id=row.previous_id,
        reason=row.reason,
        note=row.note,
        by=row.by,
        state=entry.state,
        events=[EventShape(event=e.event, detail=e.detail, created_at=e.created_at) for e in entry.events],
        created_at=row.created_at,
    )
