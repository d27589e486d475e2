"""The verdicts of an evaluation prompt by prompt, and what readers think of them."""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.api.shapes import (
    API_LABELLER,
    PREFIX,
    Body,
    Cursor,
    LabellerId,
    Limit,
    Page,
    RowId,
    divide,
    errors_for,
    finite,
    number_of,
)
from storage.evaluations import get_evaluation, verdicts_of
from storage.tables import Verdict, VerdictKind
from storage.verdict_choices import record_verdict_choice, verdict_choices

if TYPE_CHECKING:
    from app.main import Application


class VerdictShape(BaseModel):
    prompt_id: int
    verdict: VerdictKind
    score: float | None = Field(description="the candidate's, 0..1; null when invalid")
    candidate_length: float = Field(description="characters")
    baseline_length: float = Field(description="characters")
    texts: dict[str, Any] = Field(description="a sample of each side")


class NewOpinion(Body):
    agrees: bool | None = Field(description="true: agree; false: disagree; null takes it back")


class OpinionShape(BaseModel):
    """What is thought of one verdict now."""

    evaluation_id: int
    prompt_id: int
    agrees: bool | None = Field(description="the caller's own opinion")
    agreeing: int = Field(description="labellers who agree, the caller among them")
    disagreeing: int


def routes(application: "Application") -> APIRouter:
    router = APIRouter(prefix=PREFIX, tags=["evaluations"])

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

    @router.post(
        "/evaluations/{evaluation_id}/verdicts/{prompt_id}/opinion",
        summary="Agree or disagree with a verdict",
        response_model=OpinionShape,
        responses=errors_for(404, 422),
    )
    def say(evaluation_id: RowId, prompt_id: RowId, body: NewOpinion, labeller: LabellerId) -> OpinionShape:
        """A choice about the judge, made after reading: it enters the judge's agreement, never a win rate. One per
        labeller and verdict, a later one replaces it; programs without a cookie are one labeller together."""
        with application.database.write() as session:
            record_verdict_choice(
                session,
                evaluation_id=evaluation_id,
                prompt_id=prompt_id,
                labeller_id=labeller or API_LABELLER,
                agrees=body.agrees,
            )
            found = [
                c.agrees for c in verdict_choices(session, evaluation_id=evaluation_id) if c.prompt_id == prompt_id
            ]
        return OpinionShape(
            evaluation_id=evaluation_id,
            prompt_id=prompt_id,
            agrees=body.agrees,
            agreeing=sum(found),
            disagreeing=len(found) - sum(found),
        )

    return router


def _verdict(verdict: Verdict) -> VerdictShape:
    return VerdictShape(
        prompt_id=verdict.prompt_id,
        verdict=verdict.verdict,
        score=verdict.score,
        candidate_length=verdict.candidate_length,
        baseline_length=verdict.baseline_length,
        texts=finite(verdict.texts),
    )
