"""GET and PUT /api/v1/schedule: when runs start by themselves, and what happens after the gate."""

from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter
from pydantic import Field

from app.api.shapes import PREFIX, Body, errors_for
from app.runs import Schedule

if TYPE_CHECKING:
    from app.main import Application


class ScheduleChange(Body):
    """The fields to change; the others stay as they are."""

    algorithm: str | None = Field(None, description="What a scheduled run trains.")
    config: dict[str, Any] | None = Field(None, description="Its settings, where they are not the default.")
    new_preferences: int | None = Field(None, description="Start after this many new choices; 0: never.")
    cron: str | None = Field(None, description="Start at these times (five cron fields, UTC); empty: never.")
    after_gate: Literal["automatic", "ask"] | None = Field(
        None, description="A checkpoint that passed is served by itself, or waits for a person."
    )


def routes(application: "Application") -> APIRouter:
    router = APIRouter(prefix=PREFIX, tags=["schedule"])

    @router.get("/schedule", summary="The schedule", response_model=Schedule, responses=errors_for())
    def get() -> Schedule:
        return application.runs.schedule()

    @router.put("/schedule", summary="Change the schedule", response_model=Schedule, responses=errors_for(422))
    def change(body: ScheduleChange) -> Schedule:
        """Takes effect at once."""
        return application.runs.set_schedule(body.model_dump(exclude_none=True))

    return router
