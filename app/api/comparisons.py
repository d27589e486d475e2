"""POST /api/v1/comparisons/next: two completions to choose between, blinded."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import anyio
from anyio import to_thread
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from app.api.shapes import PREFIX, Body, LabellerId, Message, RowId, errors_for, plain
from app.labelling import ShownComparison
from storage.errors import Invalid
from trainer.prompting import PromptError

if TYPE_CHECKING:
    from app.main import Application

WAITING_CLIENTS = 64  # each holds a thread for up to half a minute; these are apart from those of the other routes


class NextComparison(Body):
    """Nothing for the next one that waits; or a prompt, known or one's own, to have completed now."""

    prompt_id: RowId | None = None
    messages: Annotated[list[Message], Field(min_length=1)] | None = None


class ShownPrompt(BaseModel):
    id: int
    messages: list[Message]


class Side(BaseModel):
    text: str


class ComparisonShape(BaseModel):
    id: str
    prompt: ShownPrompt
    left: Side
    right: Side


def routes(application: "Application") -> APIRouter:
    router = APIRouter(prefix=PREFIX, tags=["comparisons"])
    waiting = anyio.CapacityLimiter(WAITING_CLIENTS)

    @router.post(
        "/comparisons/next",
        summary="Lease the next comparison",
        response_model=ComparisonShape,
        responses={204: {"description": "there are no prompts left"}, **errors_for(404, 409, 422, 503)},
    )
    async def next_comparison(labeller: LabellerId, body: NextComparison | None = None) -> ComparisonShape | Response:
        """Waits up to 30 s while none is ready. Without the labeller's cookie every call is a lease of its own, and
        whoever has the id may record the choice. A validation or held-out `prompt_id` makes an evaluation comparison.
        """
        asked = body or NextComparison()
        if asked.prompt_id is not None and asked.messages is not None:
            raise Invalid("Both prompt_id and messages were given.", hint="Give one of them, or neither.")
        messages = plain(asked.messages) if asked.messages is not None else None
        claim = partial(
            application.labelling.next_comparison, labeller_id=labeller, prompt_id=asked.prompt_id, messages=messages
        )
        try:
            shown = await to_thread.run_sync(claim, limiter=waiting)
        except PromptError as error:
            raise Invalid(error.message, hint=error.hint, code=error.code) from error
        return Response(status_code=204) if shown is None else _shape(shown)

    return router


def _shape(shown: ShownComparison) -> ComparisonShape:
    messages = [Message(role=m["role"], content=m["content"]) for m in shown.messages]
    prompt = ShownPrompt(id=shown.prompt_id, messages=messages)
    return ComparisonShape(id=shown.id, prompt=prompt, left=Side(text=shown.left), right=Side(text=shown.right))
