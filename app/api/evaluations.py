"""Evaluations by a judge or by people: who may judge, against what, what it takes, start, watch, stop.

Leaves out the verdicts prompt by prompt (verdicts.py).
"""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Le
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from app.api.shapes import PREFIX, Body, Cursor, Limit, Page, RowId, divide, errors_for, finite, number_of
from app.evaluations import LEAST_PROMPTS, EvaluationView
from storage.tables import RunStatus
from trainer.evaluation.judged_texts import MOST_PROMPTS

if TYPE_CHECKING:
    from app.main import Application


class NewEvaluation(Body):
    candidate: str = Field(description="a checkpoint id")
    baseline: str = Field(
        max_length=200,
        description='one of GET /api/v1/baselines: a checkpoint id, "initial", "chosen" for the data\'s chosen texts, '
        'or "outside:MODEL" for imported outputs',
    )
    judge: str = Field(description="one of GET /api/v1/judges, by name")
    prompts: Annotated[int, Ge(LEAST_PROMPTS), Le(MOST_PROMPTS)] = Field(
        MOST_PROMPTS, description="how many held-out prompts at most; a smaller set is part of a larger one"
    )
    rubric: str | None = Field(
        None,
        max_length=200,
        description="one of GET /api/v1/rubrics, or NAME@HASH for an earlier version; null: helpful. Only for judges "
        "with by_rubric",
    )


class JudgeShape(BaseModel):
    name: str
    kind: str
    about: str
    by_rubric: bool = Field(description="whether it goes by a rubric that can be chosen")


class BaselineShape(BaseModel):
    id: str = Field(description="what an evaluation calls it")
    name: str
    kind: str = Field(description="checkpoint, chosen or outside")
    prompts: int | None = Field(description="held-out prompts it has a text for; null: it writes one when asked")


class EstimateShape(BaseModel):
    """Before any text is there: at most so many calls and tokens, about what cost, and the most that can be spent."""

    prompts: int
    calls: int = Field(description="by people: choices")
    input_tokens: int = Field(description="about, of all calls")
    output_tokens: int = Field(description="at most; 0 where the judge writes nothing")
    cost: float = Field(description="about, in the currency of the operator's prices; 0 where nothing is paid")
    most: float = Field(description="without retries, and never above the budget")
    budget: float | None = Field(description="the most that one evaluation may spend; null: no limit")


class MeasuredRate(BaseModel):
    """The candidate's win rate with its 95% n_eff-Wilson interval, in 0..1."""

    rate: float
    low: float
    high: float
    n: int
    n_effective: float


class PeopleShape(BaseModel):
    """How far people are: comparisons wanted, chosen on, skipped, and still to come or before somebody."""

    wanted: int
    chosen: int
    skipped: int
    left: int


class RubricShape(BaseModel):
    """GET /api/v1/rubrics/NAME/versions/HASH gives its text."""

    name: str
    digest: str = Field(description="SHA-256 of its content")


class EvaluationShape(BaseModel):
    id: int
    candidate: str
    baseline: str = Field(description="a checkpoint id, chosen for the dataset's chosen texts, or outside:MODEL")
    judge: str
    rubric: RubricShape | None = Field(description="what the judge goes by, in that version; null where it has none")
    run_id: str | None = Field(description="the run whose gate made it; null where somebody asked for it")
    status: RunStatus = Field(description="queued, running, evaluating (before people), succeeded, failed or cancelled")
    config: dict[str, Any]
    stage: str
    step: int
    total_steps: int
    left_s: float | None = Field(description="of the current stage, from its own pace; null when it is not known")
    win_rate: MeasuredRate | None = Field(description="null before the first valid verdict, or where none is trusted")
    verdicts: dict[str, int] = Field(description="prompts by verdict; empty before the end")
    people: PeopleShape | None = Field(description="null by a judge; people's choices are in GET /api/v1/win-rates")
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


def routes(application: "Application") -> APIRouter:
    router = APIRouter(prefix=PREFIX, tags=["evaluations"])

    @router.get("/judges", summary="Who may judge", response_model=Page[JudgeShape], responses=errors_for())
    def judges() -> Page[JudgeShape]:
        """The starter's judge, those that the operator listed, the project's reward models, and people."""
        found = application.evaluations.judges()
        items = [JudgeShape(name=j.name, kind=j.kind, about=j.about, by_rubric=j.by_rubric) for j in found]
        return Page(items=items, next_cursor=None)

    @router.get(
        "/baselines",
        summary="What a checkpoint may be held against",
        response_model=Page[BaselineShape],
        responses=errors_for(),
    )
    def baselines() -> Page[BaselineShape]:
        """Checkpoints, the data's chosen texts, and outside models whose outputs were imported."""
        items = [BaselineShape(**asdict(one)) for one in application.evaluations.baselines()]
        return Page(items=items, next_cursor=None)

    @router.post(
        "/evaluations",
        summary="Queue an evaluation",
        status_code=201,
        response_model=EvaluationShape,
        responses={**errors_for(404, 422), 200: {"model": EvaluationShape, "description": "it waits or runs already"}},
    )
    def start(body: NewEvaluation, response: Response) -> EvaluationShape:
        """One runs at a time, in a process of its own; the others wait in the order they were queued. By people, the
        process only writes the texts; then its comparisons come among the ordinary ones."""
        view, new = application.evaluations.start(**body.model_dump())
        response.status_code = 201 if new else 200
        return _shape(view)

    @router.post(
        "/evaluations/estimate",
        summary="What an evaluation would take",
        response_model=EstimateShape,
        responses=errors_for(404, 422),
    )
    def estimate(body: NewEvaluation) -> EstimateShape:
        """Starts nothing and asks nobody. The evaluation tells the exact figures once its texts are there."""
        plan = application.evaluations.plan(**body.model_dump())
        figures = asdict(plan.estimate) | {"most": plan.most}
        return EstimateShape(prompts=plan.prompts, budget=plan.budget, **figures)

    @router.get(
        "/evaluations", summary="List evaluations", response_model=Page[EvaluationShape], responses=errors_for(422)
    )
    def list_all(limit: Limit = 50, cursor: Cursor = None) -> Page[EvaluationShape]:
        """Oldest first."""
        found = application.evaluations.list(after=number_of(cursor) or 0, limit=limit + 1)
        page, last = divide(found, limit)
        return Page(items=[_shape(v) for v in page], next_cursor=str(last.evaluation.id) if last else None)

    @router.get(
        "/evaluations/{evaluation_id}",
        summary="One evaluation",
        response_model=EvaluationShape,
        responses=errors_for(404, 422),
    )
    def get(evaluation_id: RowId) -> EvaluationShape:
        return _shape(application.evaluations.get(evaluation_id))

    @router.post(
        "/evaluations/{evaluation_id}/cancel",
        summary="Stop an evaluation",
        response_model=EvaluationShape,
        responses=errors_for(404, 409, 422),
    )
    def cancel(evaluation_id: RowId) -> EvaluationShape:
        """One that waits is cancelled at once, one that runs within seconds. What was judged stays stored: the same
        evaluation asked for again goes on from there."""
        return _shape(application.evaluations.cancel(evaluation_id))

    return router


def _shape(view: EvaluationView) -> EvaluationShape:
    evaluation = view.evaluation
    assert evaluation.id is not None
    return EvaluationShape(
        id=evaluation.id,
        candidate=evaluation.candidate_id,
        baseline=evaluation.baseline,
        judge=view.judge,
        rubric=RubricShape(name=view.rubric.name, digest=view.rubric.digest) if view.rubric else None,
        run_id=evaluation.run_id,
        status=evaluation.status,
        config=finite(evaluation.config),
        stage=evaluation.stage,
        step=evaluation.step,
        total_steps=evaluation.total_steps,
        left_s=view.left_s,
        win_rate=_rate(view),
        verdicts=view.verdicts,
        people=PeopleShape(**asdict(view.people)) if view.people else None,
        error=evaluation.error,
        created_at=evaluation.created_at,
        started_at=evaluation.started_at,
        finished_at=evaluation.finished_at,
    )


def _rate(view: EvaluationView) -> MeasuredRate | None:
    if view.rate is None:
        return None
    return MeasuredRate(
        rate=view.rate.rate,
        low=view.rate.interval.low,
        high=view.rate.interval.high,
        n=view.rate.n,
        n_effective=view.rate.n_effective,
    )
