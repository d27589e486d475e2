"""Bodies that are too large or too slow are refused, counted as they come; what comes at a good pace is read whole."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from app import bodies, errors, security
from app.bodies import BodyRefused, limited
from app.settings import Settings

HTTP = {"type": "http"}
PART, LAST = 100, {"type": "http.request", "body": b"", "more_body": False}


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(bodies, "TEXT_LIMIT", 1000)
    app = FastAPI()
    settings = Settings(data_dir=tmp_path, allowed_hosts="testserver", upload_limit_mb=1)
    errors.install(app)
    security.install(app, settings)

    @app.post("/json")
    @app.post("/v1/json")
    def parsed(body: dict[str, str]) -> int:
        return len(body)

    @app.post("/api/v1/imports")
    async def streamed(request: Request) -> int:
        return sum([len(part) async for part in request.stream()])

    with TestClient(app) as made:
        yield made


def pieces(count: int) -> Iterator[bytes]:
    """A body without Content-Length."""
    yield b'{"a": "'
    for _ in range(count):
        yield b"x" * PART
    yield b'"}'


@pytest.mark.parametrize("path", ["/json", "/v1/json"])
@pytest.mark.parametrize("body", [lambda: pieces(20), lambda: b'{"a": "' + b"x" * 2000 + b'"}'])
def test_more_than_the_limit_is_refused_with_and_without_its_length(
    client: TestClient, path: str, body: Callable[[], Any]
) -> None:
    answer = client.post(path, content=body(), headers={"Content-Type": "application/json"})
    told = answer.json()["error"]
    assert answer.status_code == 413 and told["code"] == "too_large" and "PREFLOOP_UPLOAD_LIMIT_MB" in told["hint"]
    assert ("type" in told) is path.startswith("/v1/")
    assert "Content-Security-Policy" in answer.headers


def test_what_is_within_the_limit_is_read_whole(client: TestClient) -> None:
    assert client.post("/json", content=pieces(8), headers={"Content-Type": "application/json"}).json() == 1


def test_a_file_may_be_larger_than_a_text_and_has_a_limit_of_its_own(client: TestClient) -> None:
    assert client.post("/api/v1/imports", content=pieces(2000)).json() == 2000 * PART + 9
    assert client.post("/api/v1/imports", content=pieces(11_000)).status_code == 413


def test_a_length_that_is_announced_as_huge_is_refused_unread(client: TestClient) -> None:
    assert client.post("/json", content=b"", headers={"Content-Length": "9" * 30}).status_code == 413


def incoming(*parts: tuple[float, bytes]) -> Any:
    """A receive whose parts come after so many seconds each, and whose end never comes."""
    waiting = list(parts)

    async def receive() -> Any:
        if not waiting:
            await asyncio.Event().wait()
        after, body = waiting.pop(0)
        await asyncio.sleep(after)
        return {"type": "http.request", "body": body, "more_body": True}

    return receive


async def read(receive: Any) -> int:
    total = 0
    while (message := await receive())["more_body"]:
        total += len(message["body"])
    return total


async def test_a_body_that_stops_coming_is_refused() -> None:
    with pytest.raises(BodyRefused) as raised:
        await read(limited(HTTP, incoming((0, b"x")), 1000, grace_s=0.05))
    assert raised.value.status_code == 408 and "1 bytes" in raised.value.detail


async def test_a_body_of_a_byte_now_and_then_is_refused_however_lively() -> None:
    drops = [(0.01, b"x")] * 1000
    with pytest.raises(BodyRefused):
        await asyncio.wait_for(read(limited(HTTP, incoming(*drops), 10_000, grace_s=0.1)), 5)


async def test_a_long_body_at_a_good_pace_may_take_longer_than_the_grace() -> None:
    parts = [(0.02, b"x" * 1024)] * 10
    receive = limited(HTTP, incoming(*parts), 100_000, grace_s=0.1)
    assert [len((await receive())["body"]) for _ in parts] == [1024] * 10


async def test_after_the_body_waiting_for_the_client_to_leave_has_no_end() -> None:
    messages = [LAST]

    async def receive() -> Any:
        if messages:
            return messages.pop()
        await asyncio.sleep(0.2)
        return {"type": "http.disconnect"}

    counted = limited(HTTP, receive, 10, grace_s=0.01)
    assert await counted() == LAST
    assert (await counted())["type"] == "http.disconnect"


async def test_a_slow_login_is_refused_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "limited", lambda scope, receive, limit: limited(scope, receive, limit, grace_s=0.05))
    guarded = security.Security(FastAPI(), settings=Settings(data_dir=tmp_path, token="a long random word"))
    scope = HTTP | {
        "path": "/login",
        "method": "POST",
        "scheme": "http",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await guarded(scope, incoming((0, b"token=")), send)
    assert sent[0]["status"] == 408
