"""GET /docs: the routes as one plain page, made from /openapi.json.

FastAPI's own page loads its scripts from another server; this one works offline and under the content policy.
"""

from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>HTTP API - PrefLoop</title><style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
body {{ max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }}
h3 {{ margin-bottom: 0; }} code {{ font-family: ui-monospace, monospace; }} p, ul {{ margin-top: .25rem; }}
</style></head><body><main><h1>HTTP API</h1><p>{summary} The schemas of all bodies and answers are in
<a href="/openapi.json">/openapi.json</a>. Errors are <code>{{"error": {{"code", "message", "hint"}}}}</code>, lists
<code>{{"items", "next_cursor"}}</code>.</p>{routes}</main></body></html>"""


def install(app: FastAPI) -> None:
    """Serve this page at /docs in the place of FastAPI's own two."""
    own = {app.docs_url, app.redoc_url, app.swagger_ui_oauth2_redirect_url} - {None}
    app.router.routes[:] = [route for route in app.router.routes if getattr(route, "path", None) not in own]

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        schema = app.openapi()
        told = "".join(
            _route(method, path, operation)
            for path, operations in schema["paths"].items()
            for method, operation in operations.items()
        )
        return HTMLResponse(_PAGE.format(summary=escape(schema["info"].get("summary", "")), routes=told))


def _route(method: str, path: str, operation: dict[str, Any]) -> str:
    told = f"<h3><code>{escape(method.upper())} {escape(path)}</code></h3><p>{escape(operation['summary'])}."
    if operation.get("description"):
        told += f" {escape(operation['description'])}"
    answers = "".join(
        f"<li><code>{escape(status)}</code> {escape(answer['description'])}</li>"
        for status, answer in operation["responses"].items()
    )
    return f"{told}</p><ul>{answers}</ul>"
