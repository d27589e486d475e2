"""How far judges and people agree: the numbers behind the agreement page."""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.agreement import agreement_report
from app.api.shapes import PREFIX, errors_for

if TYPE_CHECKING:
    from app.main import Application


class JudgeShape(BaseModel):
    name: str
    agreement: dict[str, Any] | None = Field(
        description="people, ceiling, longest, always_first, most_common, majority, kappa, items (docs/statistics.md); "
        "null where people compared nothing that it judged"
    )
    read: dict[str, Any] | None = Field(
        description="rate, agree, total, interval of people's opinions of its verdicts, given after reading them"
    )


class AgreementShape(BaseModel):
    choices: int = Field(description="evaluation choices looked at: those among the newest 20,000 choices")
    judges: dict[str, JudgeShape] = Field(description="by id; those with anything in common with people")
    people: dict[str, Any] | None = Field(
        description="alpha, ordinal_alpha, people, by_rater (docs/statistics.md); null below two labellers"
    )
    labellers: dict[str, dict[str, Any]] = Field(
        description="by name: choices, ties, took_left, same (of texts met again), repeats (how many of those were "
        "hidden ones), left_twice (of repeats on the same side twice), seconds (median), timed"
    )


def routes(application: "Application") -> APIRouter:
    router = APIRouter(prefix=PREFIX, tags=["evaluations"])

    @router.get(
        "/agreement",
        summary="How far judges and people agree",
        response_model=AgreementShape,
        responses=errors_for(),
    )
    def agreement() -> AgreementShape:
        """From choices between two checkpoints on held-out prompts; those are the only ones that measure."""
        measured = application.win_rates.read()
        with application.database.read() as session:
            return AgreementShape(**agreement_report(session, measured))

    return router
