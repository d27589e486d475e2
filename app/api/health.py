"""GET /healthz (alive), /readyz (a model is served) and /metrics (Prometheus)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import BaseModel
from sqlmodel import Session, col, func, select

from app.api.shapes import errors_for
from app.api.traffic import Traffic
from storage.comparisons import count_waiting
from storage.errors import Unavailable
from storage.tables import GateDecisionRow, Outcome, Preference, RunStatus, TrainingRun

if TYPE_CHECKING:
    from app.main import Application


class Alive(BaseModel):
    status: str


class Ready(BaseModel):
    status: str
    checkpoint_id: str


def routes(application: "Application", traffic: Traffic) -> APIRouter:
    router = APIRouter(tags=["health"])
    traffic.registry.register(Gauges(application))

    @router.get("/healthz", summary="Whether the process is alive", response_model=Alive)
    def healthz() -> Alive:
        """The only route that asks for no token."""
        return Alive(status="ok")

    @router.get("/readyz", summary="Whether a model is served", response_model=Ready, responses=errors_for(503))
    def readyz() -> Ready:
        served = application.slot.current_id
        if served is None and application.failure:
            raise Unavailable(application.failure, hint="The log has the details.", code="not_ready", retry_after_s=60)
        if served is None:
            raise Unavailable("The model is still loading.", hint="Try again in a few seconds.", code="not_ready")
        return Ready(status="ready", checkpoint_id=served)

    @router.get(
        "/metrics",
        summary="Prometheus metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}, "description": "text exposition format"}, **errors_for()},
    )
    def metrics() -> Response:
        return Response(generate_latest(traffic.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return router


class Gauges(Collector):
    """Read from the rows whenever Prometheus asks."""

    def __init__(self, application: "Application") -> None:
        self._application = application

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry would otherwise read the database when this is registered, before it is migrated."""
        return []

    def collect(self) -> Iterable[Metric]:
        yield _gauge(
            "prefloop_served_checkpoint", "1 for the checkpoint that is served.", "checkpoint_id", self._served()
        )
        engine = self._application.engine
        yield GaugeMetricFamily("prefloop_live_rows", "Completions being decoded.", engine.live_rows)
        yield GaugeMetricFamily("prefloop_waiting_requests", "Requests waiting for the model.", engine.waiting)
        with self._application.database.read() as session:
            waiting = {str(purpose): n for purpose, n in count_waiting(session).items()}
            yield _gauge("prefloop_comparisons_waiting", "Comparisons ready to be shown.", "purpose", waiting)
            yield _gauge("prefloop_choices", "Standing choices, imported ones too.", "choice", _choices(session))
            yield _gauge("prefloop_training_runs", "Training runs by status.", "status", _runs(session))
            yield _gauge("prefloop_gate_decisions", "Gate decisions by outcome.", "outcome", _outcomes(session))

    def _served(self) -> dict[str, int]:
        served = self._application.slot.current_id
        return {} if served is None else {served: 1}


def _gauge(name: str, told: str, label: str, values: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, told, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _choices(session: Session) -> dict[str, int]:
    query = select(Preference.choice, func.count()).where(col(Preference.withdrawn_at).is_(None))
    return {str(choice): n for choice, n in session.exec(query.group_by(col(Preference.choice)))}


def _runs(session: Session) -> dict[str, int]:
    rows = session.exec(select(TrainingRun.status, func.count()).group_by(col(TrainingRun.status)))
    return {str(s): 0 for s in RunStatus} | {str(status): n for status, n in rows}


def _outcomes(session: Session) -> dict[str, int]:
    rows = session.exec(select(GateDecisionRow.outcome, func.count()).group_by(col(GateDecisionRow.outcome)))
    return {str(o): 0 for o in Outcome} | {str(outcome): n for outcome, n in rows}
