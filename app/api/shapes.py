"""What the routers share: bodies that refuse unknown fields, pages of a list, the error shape, who is asking."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

from annotated_types import Ge, Le
from fastapi import Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from app.security import labeller_of
from storage.errors import Invalid
from storage.prompts import Messages
from storage.texts import fault

PREFIX = "/api/v1"
API_LABELLER = "api"  # whose choices are recorded for programs, which have no cookie
T = TypeVar("T")
RowId = Annotated[int, Ge(0), Le(2**63 - 1)]  # what databases have numbers for


class Body(BaseModel):
    """A request body. A field that is not known is refused, so that a typing error never goes unnoticed."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*")
    @classmethod
    def _can_be_stored(cls, value: Any) -> Any:
        if found := fault(value):
            raise PydanticCustomError("not_storable", "holds {found}", {"found": found})
        return value


class Message(Body):
    role: str = Field(description="system, user or assistant")
    content: str


class Page(BaseModel, Generic[T]):
    items: list[T]
    next_cursor: str | None = Field(None, description="Give it as `cursor` to get the next page; null on the last one.")


class ErrorDetail(BaseModel):
    code: str = Field(description="for programs")
    message: str = Field(description="what was wrong, with the value")
    hint: str = Field(description="what to do; may be empty")


class ErrorShape(BaseModel):
    """Every error of this API."""

    error: ErrorDetail


_MEANING = {
    401: "the token is missing or wrong",
    403: "not allowed (host, origin)",
    404: "there is no such thing",
    409: "its state forbids this, or it exists with other content",
    422: "what was given cannot be used",
    503: "not now; Retry-After says when",
}


def errors_for(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documented error responses of a route."""
    return {status: {"model": ErrorShape, "description": _MEANING[status]} for status in sorted({401, 403, *statuses})}


def _cookie_labeller(request: Request) -> str | None:
    return labeller_of(request)


LabellerId = Annotated[str | None, Depends(_cookie_labeller)]
Limit = Annotated[int, Query(ge=1, le=1000, description="How many items at most.")]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before.")]


def number_of(cursor: str | None) -> int | None:
    """The number in a cursor. Raises Invalid for one that no page has given."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise Invalid(f"{cursor[:50]!r} is not a cursor.", hint="Use the next_cursor of the page before, unchanged.")
    return int(cursor)


def divide(found: Sequence[T], limit: int) -> tuple[Sequence[T], T | None]:
    """Of up to limit + 1 rows: the page, and its last row if there is a page after it."""
    return found[:limit], found[limit - 1] if len(found) > limit else None


def plain(messages: Sequence[Message]) -> Messages:
    return [{"role": m.role, "content": m.content} for m in messages]


def finite(value: Any) -> Any:
    """The same with null for what JSON has no number for (a diverged run measures NaN)."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return value
