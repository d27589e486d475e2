"""The gate in front of everything: hosts, origins, the token by bearer or cookie, the labeller's cookie, headers."""

import asyncio
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import HTMLResponse, StreamingResponse
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from app import security
from app.login import SESSION_COOKIE, SESSION_LIFE_S, Attempts, Sessions, login_page
from app.security import LABELLER_COOKIE, labeller_of
from app.settings import Settings

TOKEN = "a long random word"
PAGE = {"Accept": "text/html"}


def make_client(
    tmp_path: Path, *, token: str = "", host: str = "127.0.0.1", base_url: str = "http://testserver"
) -> Any:
    app = FastAPI(docs_url=None)
    settings = Settings(data_dir=tmp_path, token=token, host=host, allowed_hosts="testserver, Prefs.example.org")
    security.install(app, settings)

    @app.get("/")
    def page() -> HTMLResponse:
        return HTMLResponse("<p>the page</p>")

    @app.get("/healthz")
    @app.get("/data")
    @app.get("/v1/models")
    def data(request: Request) -> dict[str, Any]:
        return {"labeller": labeller_of(request)}

    @app.post("/data")
    @app.post("/gradio_api/queue/join")
    def change() -> dict[str, str]:
        return {"changed": "yes"}

    @app.get("/stream")
    def stream() -> StreamingResponse:
        return StreamingResponse(iter([b"a", b"b"]), media_type="text/event-stream")

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    return TestClient(app, base_url=base_url, follow_redirects=False)


@pytest.fixture
def open_client(tmp_path: Path) -> Any:
    return make_client(tmp_path)


@pytest.fixture
def client(tmp_path: Path) -> Any:
    return make_client(tmp_path, token=TOKEN)


def bearer(word: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {word}"}


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost", "[::1]:7860", "prefs.example.org", "TESTSERVER:1"])
def test_allowed_hosts_are_served(open_client: Any, host: str) -> None:
    assert open_client.get("/data", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "127.0.0.1.nip.io:7860"])
def test_other_hosts_are_refused_with_the_remedy(open_client: Any, host: str) -> None:
    answer = open_client.get("/data", headers={"Host": host})
    assert answer.status_code == 403
    assert "PREFLOOP_ALLOWED_HOSTS" in answer.json()["error"]["hint"]


def test_testserver_is_no_host_by_default(tmp_path: Path) -> None:
    app = FastAPI()
    security.install(app, Settings(data_dir=tmp_path))
    assert TestClient(app).get("/openapi.json").status_code == 403


def test_the_address_it_listens_on_is_allowed(tmp_path: Path) -> None:
    client = make_client(tmp_path, host="10.1.2.3", token=TOKEN)
    assert client.get("/data", headers={"Host": "10.1.2.3:7860"} | bearer(TOKEN)).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://testserver:81", "http://testserver.evil"])
def test_a_page_of_another_site_may_not_change_anything(open_client: Any, origin: str) -> None:
    assert open_client.post("/data", headers={"Origin": origin}).status_code == 403
    assert open_client.post("/gradio_api/queue/join", headers={"Origin": origin}).status_code == 403


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://testserver"}, {"Origin": "https://TestServer"}])
def test_its_own_page_and_programs_may_change_things(open_client: Any, headers: dict[str, str]) -> None:
    assert open_client.post("/data", headers=headers).status_code == 200


def test_reading_asks_for_no_origin(open_client: Any) -> None:
    assert open_client.get("/data", headers={"Origin": "http://evil.example"}).status_code == 200


def test_a_socket_from_another_site_is_closed(open_client: Any) -> None:
    with open_client.websocket_connect("/socket", headers={"Origin": "http://testserver"}):
        pass
    with (
        pytest.raises(WebSocketDisconnect),
        open_client.websocket_connect("/socket", headers={"Origin": "http://e.vil"}),
    ):
        pass


@pytest.mark.parametrize("path", ["/data", "/v1/models", "/stream", "/openapi.json", "/metrics", "/nowhere"])
def test_every_route_asks_for_the_token(client: Any, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == "unauthorized"


def test_a_socket_asks_for_the_token(client: Any) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/socket"):
        pass
    with client.websocket_connect("/socket", headers=bearer(TOKEN)):
        pass


def test_healthz_is_open_to_everyone_under_any_name(client: Any) -> None:
    assert client.get("/healthz", headers={"Host": "10.9.9.9"}).status_code == 200


def test_a_401_under_v1_has_what_openai_clients_read(client: Any) -> None:
    assert client.get("/v1/models").json()["error"]["type"] == "authentication_error"


def test_the_bearer_token_lets_in(client: Any) -> None:
    assert client.get("/data", headers=bearer(TOKEN)).status_code == 200
    assert client.get("/data", headers=bearer("wrong")).status_code == 401
    assert client.get("/data", headers={"Authorization": f"Basic {TOKEN}"}).status_code == 401


def test_a_person_is_sent_to_the_login_page_and_back(client: Any) -> None:
    sent = client.get("/?tab=Train", headers=PAGE)
    assert sent.status_code == 303 and sent.headers["Location"] == "/login?next=/%3Ftab%3DTrain"
    page = client.get(sent.headers["Location"], headers=PAGE)
    assert page.status_code == 200 and 'value="/?tab=Train"' in page.text
    done = client.post("/login", data={"token": TOKEN, "next": "/?tab=Train"})
    assert done.status_code == 303 and done.headers["Location"] == "/?tab=Train"
    assert client.get("/", headers=PAGE).status_code == 200  # the client keeps the cookie


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(client: Any) -> None:
    cookie = client.post("/login", data={"token": TOKEN}).headers["Set-Cookie"]
    assert cookie.startswith(f"{SESSION_COOKIE}=")
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Secure" not in cookie
    assert TOKEN not in cookie


def test_over_https_the_cookies_are_secure(tmp_path: Path) -> None:
    client = make_client(tmp_path, token=TOKEN, base_url="https://testserver")
    assert "Secure" in client.post("/login", data={"token": TOKEN}).headers["Set-Cookie"]


def test_a_wrong_token_gets_no_session(client: Any) -> None:
    answer = client.post("/login", data={"token": "wrong"})
    assert answer.status_code == 401 and SESSION_COOKIE not in answer.headers.get("Set-Cookie", "")
    assert 'role="alert"' in answer.text


def test_a_login_from_another_site_is_refused(client: Any) -> None:
    answer = client.post("/login", data={"token": TOKEN}, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403


def test_a_very_long_login_form_is_not_read(client: Any) -> None:
    assert client.post("/login", data={"token": "x" * 100_000}).status_code == 401


def test_after_logout_the_page_is_closed_again(client: Any) -> None:
    client.post("/login", data={"token": TOKEN})
    assert client.get("/logout", headers=PAGE).status_code == 200  # asks; a link alone logs nobody out
    assert client.get("/", headers=PAGE).status_code == 200
    assert client.post("/logout").headers["Location"] == "/login"
    assert client.get("/", headers=PAGE).status_code == 303


@pytest.mark.parametrize("path", ["/login", "/data"])
def test_wrong_tokens_in_a_row_slow_down_even_the_right_one(client: Any, path: str) -> None:
    def attempt(word: str) -> int:
        if path == "/login":
            return client.post("/login", data={"token": word}).status_code
        return client.get(path, headers=bearer(word)).status_code

    assert [attempt("wrong") for _ in range(4)] == [401] * 4
    assert attempt("wrong") == 429
    assert attempt(TOKEN) == 429


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", ""])
def test_the_login_never_leads_to_another_site(client: Any, target: str) -> None:
    assert client.post("/login", data={"token": TOKEN, "next": target}).headers["Location"] == "/"


def test_what_is_written_into_the_login_page_is_escaped() -> None:
    page = login_page(target='/"><script>alert(1)</script>', error="<b>no</b>")
    assert "<script>" not in page and "<b>no" not in page


def test_a_session_ends_with_its_time_with_another_token_and_with_any_change() -> None:
    now = [1000.0]
    sessions = Sessions(TOKEN, clock=lambda: now[0])
    cookie = sessions.new()
    assert sessions.valid(cookie)
    assert Sessions(TOKEN, clock=lambda: now[0]).valid(cookie)  # a restart ends no session
    assert not Sessions("another", clock=lambda: now[0]).valid(cookie)
    later = str(int(cookie.partition(".")[0]) + 1)
    assert not sessions.valid(later + cookie[cookie.index(".") :])
    assert not any(sessions.valid(bad) for bad in ("", ".", "x", cookie[:-1], cookie + "0", "\u00e9." + cookie))
    now[0] += SESSION_LIFE_S
    assert not sessions.valid(cookie)


def test_the_wait_doubles_up_to_a_minute_and_ends_with_a_success() -> None:
    now = [0.0]
    attempts = Attempts(clock=lambda: now[0])
    waits = []
    for _ in range(12):
        attempts.failed("a")
        waits.append(attempts.wait_s("a"))
        now[0] += waits[-1]
    assert waits == [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert attempts.wait_s("b") == 0
    attempts.succeeded("a")
    attempts.failed("a")
    assert attempts.wait_s("a") == 0


def test_a_page_load_gives_the_browser_a_labeller(open_client: Any) -> None:
    cookie = open_client.get("/").headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Max-Age=31536000" in cookie
    labeller = open_client.get("/data").json()["labeller"]
    assert len(labeller) == 32 and labeller in cookie
    assert "Set-Cookie" not in open_client.get("/").headers  # it keeps the one it has


def test_two_browsers_are_two_labellers(tmp_path: Path) -> None:
    found = set()
    for _ in range(2):
        client = make_client(tmp_path)
        client.get("/")
        found.add(client.get("/data").json()["labeller"])
    assert len(found) == 2


def test_a_call_of_the_api_makes_no_labeller(open_client: Any) -> None:
    answer = open_client.get("/data")
    assert "Set-Cookie" not in answer.headers and answer.json()["labeller"] is None


def test_a_labeller_of_ones_own_making_counts_as_none(open_client: Any) -> None:
    headers = {"Cookie": f"{LABELLER_COOKIE}=api"}
    assert open_client.get("/data", headers=headers).json()["labeller"] is None
    assert "Set-Cookie" in open_client.get("/", headers=headers).headers


@pytest.mark.parametrize("path", ["/", "/data", "/nowhere", "/stream"])
def test_every_answer_carries_the_content_policy(open_client: Any, path: str) -> None:
    headers = open_client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "same-origin"


async def test_a_stream_passes_through_piece_by_piece(tmp_path: Path) -> None:
    held = asyncio.Event()
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await held.wait()

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    guarded = security.Security(app, settings=Settings(data_dir=tmp_path))
    scope = {
        "type": "http",
        "path": "/",
        "method": "GET",
        "scheme": "http",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }
    running = asyncio.ensure_future(guarded(scope, receive, send))
    await asyncio.sleep(0.01)
    assert [m.get("body") for m in sent] == [None, b"first"] and not running.done()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "null", "//"])
def test_an_origin_that_is_none_is_refused(open_client: Any, origin: str) -> None:
    assert open_client.post("/data", headers={"Origin": origin}).status_code == 403


def test_a_page_of_another_site_is_never_told_that_it_may_read(tmp_path: Path) -> None:
    app = FastAPI(docs_url=None)
    security.install(app, Settings(data_dir=tmp_path, allowed_hosts="prefs.example.org"))
    page = gr.Blocks(analytics_enabled=False)
    client = TestClient(gr.mount_gradio_app(app, page, path="/", ssr_mode=False), base_url="http://prefs.example.org")
    for path in ("/config", "/gradio_api/info", "/"):
        answer = client.get(path, headers={"Origin": "http://evil.example"})
        assert answer.status_code == 200
        assert not [name for name in answer.headers if name.startswith("access-control-allow-")], path
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    told = client.options("/gradio_api/queue/join", headers=asked).headers
    assert "Access-Control-Allow-Origin" not in told and "Access-Control-Allow-Credentials" not in told
