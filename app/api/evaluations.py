"""Evaluations and their verdicts, prompt by prompt. Leaves out starting one."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlmodel import Session

from app.api.shapes import PREFIX, Cursor, Limit, Page, RowId, divide, errors_for, finite, number_of
from storage.evaluations import get_evaluation, list_evaluations, scores_of, verdicts_of
from storage.tables import Evaluation, RunStatus, Verdict, VerdictKind
from trainer.evaluation.statistics import win_rate

if TYPE_CHECKING:
    from app.main import Application


class MeasuredRate(BaseModel):
    """The candidate's win rate with its 95% n_eff-Wilson interval, in 0..1."""

    rate: float
    low: float
    high: float
    n: int
    n_effective: float


class EvaluationShape(BaseModel):
    id: int
    candidate: str
    baseline: str = Field(description="a checkpoint id, or chosen for the dataset's chosen texts")
    judge: str
    run_id: str | None
    status: RunStatus
    config: dict[str, Any]
    step: int
    total_steps: int
    win_rate: MeasuredRate | None = Field(description="null before the first valid verdict")
    error: str | None
    created_at: datetime
    finished_at: datetime | None


class VerdictShape(BaseModel):
    prompt_id: int
    verdict: VerdictKind
    score: float | None = Field(description="the candidate's, 0..1; null when invalid")
    candidate_length: float = Field(description="characters")
    baseline_length: float = Field(description="characters")
    texts: dict[str, Any] = Field(description="a sample of each side")


def routes(application: "Application") -> APIRouter:
    router = APIRouter(prefix=PREFIX, tags=["evaluations"])

    @router.get(
        "/evaluations", summary="List evaluations", response_model=Page[EvaluationShape], responses=errors_for(422)
    )
    def list_all(limit: Limit = 50, cursor: Cursor = None) -> Page[EvaluationShape]:
        """Oldest first."""
        with application.database.read() as session:
            page, last = divide(list_evaluations(session, after=number_of(cursor) or 0, limit=limit + 1), limit)
            items = [_shape(session, evaluation) for evaluation in page]
        return Page(items=items, next_cursor=str(last.id) if last else None)

    @router.get(
        "/evaluations/{evaluation_id}",
        summary="One evaluation",
        response_model=EvaluationShape,
        responses=errors_for(404, 422),
    )
    def get(evaluation_id: RowId) -> EvaluationShape:
        with application.database.read() as session:
            return _shape(session, get_evaluation(session, evaluation_id))

    @router.get(
        "/evaluations/{evaluation_id}/verdicts",
        summary="The verdicts of an evaluation",
        response_model=Page[VerdictShape],
        responses=errors_for(404, 422),
    )
    def verdicts(evaluation_id: RowId, limit: Limit = 100, cursor: Cursor = None) -> Page[VerdictShape]:
        """In the order of the prompts' ids."""
        with application.database.read() as session:
            get_evaluation(session, evaluation_id)
            found = verdicts_of(session, evaluation_id, after=number_of(cursor) or 0, limit=limit + 1)
        page, last = divide(found, limit)
        return Page(items=[_verdict(v) for v in page], next_cursor=str(last.prompt_id) if last else None)

    return router


def _shape(session: Session, evaluation: Evaluation) -> EvaluationShape:
    assert evaluation.id is not None
    return EvaluationShape(
        id=evaluation.id,
        candidate=evaluation.candidate_id,
        baseline=evaluation.baseline,
        judge=evaluation.judge_id,
        run_id=evaluation.run_id,
        status=evaluation.status,
        config=finite(evaluation.config),
        step=evaluation.step,
        total_steps=evaluation.total_steps,
        win_rate=_rate([s.score for s in scores_of(session, evaluation.id)]),
        error=evaluation.error,
        created_at=evaluation.created_at,
        finished_at=evaluation.finished_at,
    )


def _rate(scores: list[float]) -> MeasuredRate | None:
    if not scores:
        return None
    result = win_rate(scores)
    return MeasuredRate(
        rate=result.rate,
        low=result.interval.low,
        high=result.interval.high,
        n=result.n,
        n_effective=result.n_effective,
    )


def _verdict(verdict: Verdict) -> VerdictShape:
    return VerdictShape(
        prompt_id=verdict.prompt_id,
        verdict=verdict.verdict,
        score=verdict.score,
        candidate_length=verdict.candidate_length,
        baseline_length=verdict.baseline_length,
        texts=finite(verdict.texts),
    )
