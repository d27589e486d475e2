"""Who may ask: allowed hosts, same-origin writes, the token and its login page, headers on every response, and the
cookie that tells one labeller's browser from another.

One ASGI middleware around everything, so that no route, page or Gradio call can be forgotten; plain ASGI, because
streams and their cancellation must pass through untouched. Only /healthz is open. Leaves out accounts and roles:
whoever has the token may do everything.
"""

import re
import secrets
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import parse_qs, quote

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import errors
from app.bodies import BodyRefused, check_announced, limit_of, limited
from app.login import SESSION_COOKIE, SESSION_LIFE_S, Attempts, Sessions, login_page, logout_page, same
from app.settings import LOOPBACK, Settings

LABELLER_COOKIE = "prefloop_labeller"
LABELLER_LIFE_S = 365 * 24 * 3600
LABELLER_ID = re.compile(r"[0-9a-f]{32}")
OPEN_PATHS = ("/healthz",)
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
LOGIN_BODY_LIMIT = 16 * 1024  # bytes
HOW_TO_LOG_IN = "Send it as 'Authorization: Bearer TOKEN', or log in at /login."

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        # gradio compiles the js of events from text (docs/decisions/content-policy.md); nobody's text is put into it
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "font-src 'self' data:",
        "connect-src 'self' blob:",
        "worker-src 'self' blob:",
        "frame-src 'none'",
        "frame-ancestors 'none'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# nobody else's page reads what is here: gradio would let every page do it where the host is not called localhost
NEVER_SENT = ("Access-Control-Allow-Origin", "Access-Control-Allow-Credentials")


class HasCookies(Protocol):
    """A Starlette request, or Gradio's."""

    @property
    def cookies(self) -> Mapping[str, str]: ...


def labeller_of(request: HasCookies) -> str | None:
    """The labeller whose browser this is; None for a client without the cookie, or with one of its own making."""
    cookie = request.cookies.get(LABELLER_COOKIE, "")
    return cookie if LABELLER_ID.fullmatch(cookie) else None


def install(app: FastAPI, settings: Settings) -> None:
    """Put the middleware around `app`: call it before the first request."""
    app.add_middleware(Security, settings=settings)


class Security:
    """The middleware. State: failed logins per address, nothing else; sessions are signed, not stored."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self._app = app
        self._token = settings.token
        self._sessions = Sessions(settings.token) if settings.token else None
        self._attempts = Attempts()
        self._file_limit = settings.upload_limit_mb * 2**20
        further = (h.strip() for h in settings.allowed_hosts.split(","))
        self._hosts = {_host_name(h) for h in (*LOOPBACK, settings.host, *further) if h}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        send = _dressed(scope, send)
        if scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = limit_of(scope["path"], file_limit=self._file_limit)
        receive = limited(scope, receive, limit)
        answer = self._strange_host(scope, headers) or self._strange_origin(scope, headers)
        try:
            if answer is None and self._sessions is not None:
                answer = await self._let_in(scope, receive, headers, self._sessions)
            if answer is None:
                check_announced(headers, limit)
        except BodyRefused as refused:
            answer = _body_refusal(scope, refused)
        if answer is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await answer(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "refused"})

    def _strange_host(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if _host_name(host) in self._hosts:
            return None
        return _refusal(
            scope,
            403,
            "refused",
            f"This is not served under the name {host[:200]!r}.",
            "Use the address it was started with, or name this one in PREFLOOP_ALLOWED_HOSTS.",
        )

    def _strange_origin(self, scope: Scope, headers: Headers) -> Response | None:
        """A page of another site may not change anything here. Programs send no Origin and are let through."""
        origin = headers.get("origin")
        if origin is None or (scope["type"] == "http" and scope["method"] in SAFE_METHODS):
            return None
        # not urlsplit, which refuses what a stranger may send
        if origin.partition("://")[2].lower() == headers.get("host", "").lower():
            return None
        return _refusal(
            scope,
            403,
            "refused",
            f"The page at {origin[:200]!r} may not change anything here.",
            "Open PrefLoop's own page; behind a proxy, let it pass the Host header on unchanged.",
        )

    async def _let_in(self, scope: Scope, receive: Receive, headers: Headers, sessions: Sessions) -> Response | None:
        """None for whoever has the token; the login page, or a refusal, for others."""
        if scope["type"] == "http" and scope["path"] == "/login":
            return await self._log_in(Request(scope, receive), sessions)
        if sessions.valid(_cookies(headers).get(SESSION_COOKIE, "")):
            return _log_out(scope["method"]) if scope["type"] == "http" and scope["path"] == "/logout" else None
        scheme, _, word = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._check_bearer(scope, word.strip())
        if scope["type"] == "http" and scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            query = scope["query_string"].decode("latin-1")
            target = scope["path"] + (f"?{query}" if query else "")
            return RedirectResponse(f"/login?next={quote(target, safe='/')}", 303)
        return _refusal(scope, 401, "unauthorized", "This needs the token.", HOW_TO_LOG_IN)

    def _check_bearer(self, scope: Scope, word: str) -> Response | None:
        key = f"bearer {_address(scope)}"
        wait = self._attempts.wait_s(key)
        if wait > 0:
            told = f"Too many wrong tokens from this address; try again in {wait} seconds."
            return _refusal(scope, 429, "too_many_attempts", told, HOW_TO_LOG_IN, {"Retry-After": str(wait)})
        if same(word, self._token):
            self._attempts.succeeded(key)
            return None
        self._attempts.failed(key)
        return _refusal(scope, 401, "unauthorized", "The token is wrong.", HOW_TO_LOG_IN)

    async def _log_in(self, request: Request, sessions: Sessions) -> Response:
        if request.method in ("GET", "HEAD"):
            return _page(login_page(target=_local(request.query_params.get("next", ""))))
        form = await _read_form(request)
        target = _local(form.get("next", ""))
        key = f"login {_address(request.scope)}"
        wait = self._attempts.wait_s(key)
        if wait > 0:
            told = f"Too many wrong tokens. Try again in {wait} seconds."
            return _page(login_page(target=target, error=told), 429, {"Retry-After": str(wait)})
        if not same(form.get("token", "").strip(), self._token):
            self._attempts.failed(key)
            return _page(login_page(target=target, error="That is not the token."), 401)
        self._attempts.succeeded(key)
        response = RedirectResponse(target, 303)
        _set_cookie(request.scope, response.headers, SESSION_COOKIE, sessions.new(), SESSION_LIFE_S)
        return response


async def _read_form(request: Request) -> dict[str, str]:
    """The fields of the login form; what is longer than any token is not read."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LOGIN_BODY_LIMIT:
            return {}
    return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


def _dressed(scope: Scope, send: Send) -> Send:
    """`send` with the headers every response has, and the labeller's cookie on pages."""
    if scope["type"] != "http":
        return send
    known = LABELLER_ID.fullmatch(_cookies(Headers(scope=scope)).get(LABELLER_COOKIE, ""))

    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            for name in NEVER_SENT:
                del headers[name]
            is_page = message["status"] == 200 and headers.get("content-type", "").startswith("text/html")
            if is_page and scope["method"] == "GET" and not known:
                _set_cookie(scope, headers, LABELLER_COOKIE, secrets.token_hex(16), LABELLER_LIFE_S)
        await send(message)

    return dressed


def _set_cookie(scope: Scope, headers: MutableHeaders, name: str, value: str, life_s: int) -> None:
    secure = "; Secure" if scope["scheme"] in ("https", "wss") else ""
    headers.append("Set-Cookie", f"{name}={value}; Path=/; Max-Age={life_s}; HttpOnly; SameSite=Lax{secure}")


def _log_out(method: str) -> Response:
    if method != "POST":
        return _page(logout_page())
    response = RedirectResponse("/login", 303)
    response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="lax")
    return response


def _cookies(headers: Headers) -> dict[str, str]:
    return cookie_parser(headers.get("cookie", ""))


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def _host_name(host: str) -> str:
    """The name in a Host header or setting, without port and brackets: '[::1]:80' -> '::1'."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.count(":") > 1 else host.partition(":")[0]


def _local(target: str) -> str:
    """A path on this server to go to after the login, never another site."""
    plain = target.startswith("/") and not target.startswith("//") and "\\" not in target and target.isprintable()
    return target if plain and not target.startswith(("/login", "/logout")) else "/"


def _page(html: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return HTMLResponse(html, status, {"Cache-Control": "no-store", **(headers or {})})


def _body_refusal(scope: Scope, refused: BodyRefused) -> Response:
    code, hint = errors.OF_BODIES[refused.status_code]
    return _refusal(scope, refused.status_code, code, refused.detail, hint, {"Connection": "close"})


def _refusal(
    scope: Scope, status: int, code: str, message: str, hint: str, headers: Mapping[str, str] | None = None
) -> Response:
    """The one JSON shape of errors; under /v1 with the fields that OpenAI's clients read as well."""
    content = errors.body(code, message, hint)
    if scope["path"].startswith("/v1/"):
        kind = "authentication_error" if status == 401 else "invalid_request_error"
        content["error"] |= {"type": kind, "param": None}
    challenge = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return JSONResponse(content, status, {**challenge, **(headers or {})})
