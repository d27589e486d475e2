"""Errors under /v1 in OpenAI's shape: {"error": {"message", "type", "code", "param"}}."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel

from storage.errors import Conflict, Invalid, NotFound, PrefLoopError, Refused, Unavailable
from trainer.prompting import PromptError

# OpenAI's clients expect 400 for what cannot be used; they would repeat a request that was answered by 409
STATUS = {NotFound: 404, Invalid: 400, Conflict: 400, Refused: 403, Unavailable: 503}
TYPE = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


class OpenAIErrorDetail(BaseModel):
    message: str
    type: str
    code: str | None
    param: str | None


class OpenAIErrorShape(BaseModel):
    """Every error under /v1."""

    error: OpenAIErrorDetail


class BadParameter(Invalid):
    """`param` of a request is unknown, is not supported, or has a value that cannot be used."""

    def __init__(self, param: str, message: str, *, hint: str = "", code: str = "invalid_value") -> None:
        super().__init__(message, hint=hint, code=code)
        self.param = param


def error_body(status: int, message: str, *, code: str | None, param: str | None = None) -> dict[str, Any]:
    kind = TYPE.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "code": code, "param": param}}


def openai_error(
    status: int, message: str, *, code: str | None, param: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    return JSONResponse(error_body(status, message, code=code, param=param), status, headers)


def body_of(error: Exception) -> tuple[int, dict[str, Any]]:
    """(status, body) of an error that a request may meet. Raises it again when it is a bug."""
    if isinstance(error, PromptError):
        code = "context_length_exceeded" if error.code == "prompt_too_long" else error.code
        return 400, error_body(400, str(error), code=code, param="messages")
    if isinstance(error, PrefLoopError):
        status = next((s for kind, s in STATUS.items() if isinstance(error, kind)), 500)
        return status, error_body(status, str(error), code=error.code, param=getattr(error, "param", None))
    raise error


class OpenAIRoute(APIRoute):
    """A route whose errors leave in OpenAI's shape."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_with_errors(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                return _malformed(error)
            except (PrefLoopError, PromptError) as error:
                status, content = body_of(error)
                retry = {"Retry-After": str(error.retry_after_s)} if isinstance(error, Unavailable) else None
                return JSONResponse(content, status, retry)

        return handle_with_errors


def _malformed(error: RequestValidationError) -> JSONResponse:
    problems = [(".".join(str(part) for part in e["loc"][1:]), e["msg"]) for e in error.errors()]
    told = "; ".join(f"{where or 'body'}: {message}" for where, message in problems)
    return openai_error(400, told, code="invalid_value", param=problems[0][0] or None)
