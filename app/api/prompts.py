"""Prompts: listed by split, and added by hand. Files of them go through /api/v1/imports."""

from typing import TYPE_CHECKING

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field
from sqlmodel import select

from app.api.shapes import PREFIX, Body, Cursor, Limit, Message, Page, divide, errors_for, number_of, plain
from storage.prompts import check_messages, digest_messages, list_prompts, record_prompt
from storage.tables import Prompt, Split

if TYPE_CHECKING:
    from app.main import Application


class NewPrompt(Body):
    messages: list[Message] = Field(min_length=1)
    tags: list[str] = Field(default_factory=list, max_length=50)
    reference: str | None = Field(None, description="A good completion, for judges that want one.")


class PromptShape(BaseModel):
    id: int
    messages: list[Message]
    split: Split
    tags: list[str]
    reference: str | None


def routes(application: "Application") -> APIRouter:
    router = APIRouter(prefix=PREFIX, tags=["prompts"])

    @router.get("/prompts", summary="List prompts", response_model=Page[PromptShape], responses=errors_for(422))
    def list_all(split: Split | None = None, limit: Limit = 50, cursor: Cursor = None) -> Page[PromptShape]:
        """In the order of their ids."""
        with application.database.read() as session:
            found = list_prompts(session, split=split, after=number_of(cursor) or 0, limit=limit + 1)
        page, last = divide(found, limit)
        return Page(items=[_shape(p) for p in page], next_cursor=str(last.id) if last else None)

    @router.post(
        "/prompts",
        summary="Add a prompt",
        status_code=201,
        response_model=PromptShape,
        responses={200: {"model": PromptShape, "description": "it was here already"}, **errors_for(422)},
    )
    def add(body: NewPrompt, response: Response) -> PromptShape:
        """It is for training, unless it is the same question as a validation or held-out prompt."""
        messages = check_messages(plain(body.messages))
        with application.database.write() as session:
            known = session.exec(select(Prompt.id).where(Prompt.digest == digest_messages(messages))).first()
            prompt = record_prompt(session, messages=messages, source="typed", tags=body.tags, reference=body.reference)
        response.status_code = 201 if known is None else 200
        return _shape(prompt)

    return router


def _shape(prompt: Prompt) -> PromptShape:
    assert prompt.id is not None
    return PromptShape(
        id=prompt.id,
        messages=[Message(role=m["role"], content=m["content"]) for m in prompt.messages],
        split=prompt.split,
        tags=prompt.tags,
        reference=prompt.reference,
    )
