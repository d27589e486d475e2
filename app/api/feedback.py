"""POST /api/v1/feedback: a thumb or a better text for a completion of the chat."""

from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.api.shapes import API_LABELLER, PREFIX, Body, LabellerId, RowId, errors_for
from storage.errors import Invalid

if TYPE_CHECKING:
    from app.main import Application


class NewFeedback(Body):
    completion_id: RowId
    thumb: Literal["up", "down"] | None = None
    edited_text: str | None = Field(
        None, min_length=1, description="It trains as chosen against the text the model gave."
    )


class FeedbackShape(BaseModel):
    completion_id: int
    thumb: str | None
    edited_text: str | None


def routes(application: "Application") -> APIRouter:
    router = APIRouter(prefix=PREFIX, tags=["feedback"])

    @router.post(
        "/feedback",
        summary="Tell what you think of a completion",
        status_code=201,
        response_model=FeedbackShape,
        responses=errors_for(404, 422),
    )
    def record(body: NewFeedback, labeller: LabellerId) -> FeedbackShape:
        who = labeller or API_LABELLER
        if body.thumb is None and body.edited_text is None:
            raise Invalid("There is no feedback in this.", hint="Give a thumb (up or down), an edited_text, or both.")
        if body.edited_text is not None:  # first: it may be refused, and then nothing is recorded
            application.chat.edit(body.completion_id, labeller_id=who, text=body.edited_text)
        if body.thumb is not None:
            application.chat.thumb(body.completion_id, labeller_id=who, thumb=body.thumb)
        return FeedbackShape(completion_id=body.completion_id, thumb=body.thumb, edited_text=body.edited_text)

    return router
