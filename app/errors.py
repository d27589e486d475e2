"""Renders the error tree of storage/errors.py: one JSON shape for programs, one sentence for a toast.

{"error": {"code": "not_found", "message": "There is no ...", "hint": "GET ... lists them."}}
"""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app.serving.engine import GenerationFailed
from storage.errors import Conflict, Invalid, NotFound, PrefLoopError, Refused, Unavailable
from trainer.prompting import PromptError

OF_BODIES = {
    408: ("too_slow", "Send it again, at once."),
    413: (
        "too_large",
        "Send less at a time; for files PREFLOOP_UPLOAD_LIMIT_MB is the limit, and prefloop import has none.",
    ),
}
STATUS = {GenerationFailed: 500, NotFound: 404, Invalid: 422, Conflict: 409, Refused: 403, Unavailable: 503}


def status_of(error: PrefLoopError) -> int:
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 400)


def body(code: str, message: str, hint: str = "") -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "hint": hint}}


def toast(error: Exception) -> str:
    """One sentence for a person."""
    if isinstance(error, PrefLoopError | PromptError):
        return f"{error.message} {error.hint}".strip()
    return f"Something broke: {type(error).__name__}: {error}"


def render(error: PrefLoopError) -> JSONResponse:
    headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, Unavailable) else None
    return JSONResponse(body(error.code, error.message, error.hint), status_of(error), headers)


def install(app: FastAPI) -> None:
    """Every error of the API leaves in the one shape."""

    @app.exception_handler(PrefLoopError)
    async def _expected(_: Request, error: PrefLoopError) -> JSONResponse:
        return render(error)

    @app.exception_handler(PromptError)
    async def _prompt(_: Request, error: PromptError) -> JSONResponse:
        return JSONResponse(body(error.code, error.message, error.hint), 422)

    @app.exception_handler(RequestValidationError)
    async def _malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        told = "; ".join(f"{'.'.join(str(p) for p in e['loc'][1:]) or 'body'}: {e['msg']}" for e in error.errors())
        return JSONResponse(body("invalid", told, "The schema is at /docs."), 422)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        codes = {401: "unauthorized", 403: "refused", 404: "not_found", 405: "method_not_allowed"}
        code, hint = OF_BODIES.get(error.status_code, (codes.get(error.status_code, "error"), ""))
        content = body(code, str(error.detail), hint)
        if request.url.path.startswith("/v1/"):
            content["error"] |= {"type": "invalid_request_error", "param": None}
        return JSONResponse(content, error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def _bug(request: Request, error: Exception) -> JSONResponse:
        content = body("internal", f"Something broke: {type(error).__name__}: {error}", "The log has the details.")
        if request.url.path.startswith("/v1/"):  # what OpenAI's clients read
            content["error"] |= {"type": "server_error", "param": None}
        return JSONResponse(content, 500)
