"""Every error leaves in the one shape, also the ones nobody expected."""

from typing import Any

import pytest
from fastapi.testclient import TestClient


@pytest.fixture
def outside(client: TestClient) -> TestClient:
    """What a client over the network sees: a bug is an answer, not an exception."""
    return TestClient(client.app, raise_server_exceptions=False)


def break_engine(parts: Any) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise OSError("disk on fire")

    parts.engine.submit = broken


def test_a_bug_is_a_500_in_the_one_shape(outside: TestClient, parts: Any) -> None:
    break_engine(parts)
    answer = outside.post("/api/v1/comparisons/next", json={"prompt_id": 1})
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal" and "OSError: disk on fire" in answer.json()["error"]["message"]
    assert set(answer.json()["error"]) == {"code", "message", "hint"}


def test_a_bug_under_v1_is_a_500_in_openais_shape(outside: TestClient, parts: Any) -> None:
    break_engine(parts)
    answer = outside.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "Hi"}]})
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "server_error" and answer.json()["error"]["param"] is None


HUGE = 10**20  # no database has such an id


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", f"/api/v1/preferences/{HUGE}", None),
        ("GET", f"/api/v1/evaluations/{HUGE}", None),
        ("GET", f"/api/v1/evaluations/{HUGE}/verdicts", None),
        ("POST", "/api/v1/comparisons/next", {"prompt_id": HUGE}),
        ("POST", "/api/v1/feedback", {"completion_id": HUGE, "thumb": "up"}),
        ("GET", f"/api/v1/training-runs/dpo-0001/metrics?after_step={HUGE}", None),
    ],
)
def test_a_number_beyond_every_id_is_refused(outside: TestClient, method: str, path: str, body: Any) -> None:
    answer = outside.request(method, path, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["code"] == "invalid"
