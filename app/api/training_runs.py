"""Training runs: queue, watch, cancel, and read their metrics."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from app.api.gates import GateShape, gate_shape
from app.api.shapes import PREFIX, Body, Cursor, LabellerId, Limit, Page, divide, errors_for, finite, number_of
from app.runs import RunView
from storage.tables import RunStatus

if TYPE_CHECKING:
    from app.main import Application


class NewRun(Body):
    algorithm: str = Field(description="one of GET /api/v1/algorithms")
    config: dict[str, Any] | None = Field(None, description="its settings, where they are not the default")


class QueuedRun(BaseModel):
    id: str
    status: RunStatus


class RunShape(BaseModel):
    id: str
    status: RunStatus
    outcome: str = Field(description="the status, or promoted, refused or inconclusive once the gate has decided")
    algorithm: str
    config: dict[str, Any]
    trigger: str
    started_because: str
    stage: str
    step: int
    total_steps: int
    elapsed_s: float | None
    left_s: float | None = Field(description="of the current stage, from its own pace; null when it is not known")
    pairs: int | None
    dataset_note: str
    checkpoint_id: str | None
    gate: GateShape | None
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


def routes(application: "Application") -> APIRouter:
    router = APIRouter(prefix=PREFIX, tags=["training runs"])

    @router.post(
        "/training-runs",
        summary="Queue a training run",
        status_code=201,
        response_model=QueuedRun,
        responses=errors_for(422),
    )
    def start(body: NewRun, labeller: LabellerId) -> QueuedRun:
        """One run is active at a time; the others wait in the order they were queued."""
        by = "a person" if labeller else "a program"
        run = application.runs.start(algorithm=body.algorithm, config=body.config, by=by)
        return QueuedRun(id=run.id, status=run.status)

    @router.get(
        "/training-runs", summary="List training runs", response_model=Page[RunShape], responses=errors_for(422)
    )
    def list_all(limit: Limit = 50, cursor: Cursor = None) -> Page[RunShape]:
        """Newest first."""
        found = application.runs.list(limit=limit + 1, before=number_of(cursor))
        page, last = divide(found, limit)
        return Page(items=[_shape(v) for v in page], next_cursor=str(last.run.number) if last else None)

    @router.get(
        "/training-runs/{run_id}", summary="One training run", response_model=RunShape, responses=errors_for(404, 422)
    )
    def get(run_id: str) -> RunShape:
        return _shape(application.runs.get(run_id))

    @router.post(
        "/training-runs/{run_id}/cancel",
        summary="Cancel a training run",
        response_model=RunShape,
        responses=errors_for(404, 409, 422),
    )
    def cancel(run_id: str) -> RunShape:
        """One that waits is cancelled at once; one that runs saves and stops within seconds: look at its status."""
        application.runs.cancel(run_id)
        return _shape(application.runs.get(run_id))

    @router.get(
        "/training-runs/{run_id}/metrics",
        summary="Metrics of a training run",
        response_model=dict[str, list[tuple[int, float | None]]],
        responses=errors_for(404, 422),
    )
    def metrics(
        run_id: str, after_step: Annotated[int, Query(ge=-1, le=2**63 - 1)] = -1
    ) -> dict[str, list[tuple[int, float | None]]]:
        """[step, value] in the order of steps, per metric; null for a value that was not a number."""
        series = application.runs.metrics(run_id, after_step=after_step)
        return {name: [(step, finite(value)) for step, value in values] for name, values in series.items()}

    return router


def _shape(view: RunView) -> RunShape:
    run = view.run
    return RunShape(
        id=run.id,
        status=run.status,
        outcome=view.outcome,
        algorithm=run.algorithm,
        config=run.config,
        trigger=run.trigger,
        started_because=run.started_because,
        stage=run.stage,
        step=run.step,
        total_steps=run.total_steps,
        elapsed_s=view.elapsed_s,
        left_s=view.left_s,
        pairs=run.pairs,
        dataset_note=run.dataset_note,
        checkpoint_id=run.checkpoint_id,
        gate=gate_shape(view.decision),
        error=run.error,
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
    )
