"""Paths under /api and /v1 that no route has: the API's errors, not the page's."""

from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, Route

from app import errors
from app.api.openai_errors import openai_error

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def routes(known: Sequence[BaseRoute]) -> APIRouter:
    """Goes after every other route; `known` are those, to tell a wrong method from a wrong path."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/api/{path:path}", methods=METHODS)
    @router.api_route("/v1/{path:path}", methods=METHODS)
    def unknown(request: Request) -> Response:
        allowed = _methods_of(known, request)
        path, method = request.url.path, request.method
        if allowed:
            status, code, headers = 405, "method_not_allowed", {"Allow": ", ".join(allowed)}
            message, hint = f"{path} does not take {method}.", f"It takes {', '.join(allowed)}."
        else:
            status, code, headers = 404, "not_found", None
            message, hint = f"There is no {method} {path}.", "GET /openapi.json lists what there is."
        if path.startswith("/v1/"):
            return openai_error(status, f"{message} {hint}", code=code, headers=headers)
        return JSONResponse(errors.body(code, message, hint), status, headers)

    return router


def _methods_of(known: Sequence[BaseRoute], request: Request) -> list[str]:
    found: set[str] = set()
    for route in known:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return sorted(found)
