"""Liveness, readiness, metrics, and what the API says of itself."""

from typing import Any

from fastapi.testclient import TestClient


def value(client: TestClient, sample: str) -> float | None:
    for line in client.get("/metrics").text.splitlines():
        name, _, number = line.rpartition(" ")
        if name == sample:
            return float(number)
    return None


def test_it_is_alive_before_a_model_is_served_and_ready_after(client: TestClient, parts: Any) -> None:
    parts.slot.current_id = None
    assert client.get("/healthz").status_code == 200
    waiting = client.get("/readyz")
    assert (
        waiting.status_code == 503
        and waiting.json()["error"]["code"] == "not_ready"
        and "Retry-After" in waiting.headers
    )
    parts.slot.current_id = "initial"
    assert client.get("/readyz").json() == {"status": "ready", "checkpoint_id": "initial"}


def test_metrics_tell_what_is_served_and_what_waits(client: TestClient, parts: Any) -> None:
    parts.labelling.refill()
    assert value(client, 'prefloop_served_checkpoint{checkpoint_id="initial"}') == 1
    assert value(client, 'prefloop_comparisons_waiting{purpose="train"}') == 4
    assert value(client, "prefloop_live_rows") == 2 and value(client, "prefloop_waiting_requests") == 1


def test_metrics_count_choices_and_runs(client: TestClient, parts: Any) -> None:
    parts.labelling.refill()
    shown = client.post("/api/v1/comparisons/next").json()["id"]
    client.post("/api/v1/preferences", json={"comparison_id": shown, "choice": "tie"})
    client.post("/api/v1/training-runs", json={"algorithm": "dpo"})
    assert value(client, 'prefloop_choices{choice="tie"}') == 1
    assert value(client, 'prefloop_training_runs{status="queued"}') == 1
    assert value(client, 'prefloop_training_runs{status="failed"}') == 0


def test_requests_are_counted_by_route_and_never_by_path(client: TestClient) -> None:
    client.get("/api/v1/checkpoints/one")
    client.get("/api/v1/checkpoints/two")
    sample = 'prefloop_requests_total{method="GET",route="/api/v1/checkpoints/{checkpoint_id}",status="404"}'
    assert value(client, sample) == 2


def test_an_unknown_path_is_an_error_in_the_one_shape(client: TestClient) -> None:
    answer = client.get("/api/v1/nothing")
    assert answer.status_code == 404 and set(answer.json()["error"]) == {"code", "message", "hint"}


def test_a_wrong_method_names_the_right_ones(client: TestClient) -> None:
    answer = client.put("/api/v1/prompts", json={})
    assert answer.status_code == 405 and answer.headers["Allow"] == "GET, POST"


def test_an_unknown_path_under_v1_is_an_error_in_openais_shape(client: TestClient) -> None:
    answer = client.post("/v1/embeddings", json={})
    assert answer.status_code == 404 and set(answer.json()["error"]) == {"message", "type", "code", "param"}


def test_every_route_is_documented_with_a_summary_and_its_errors(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    operations = [
        (f"{method.upper()} {path}", operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(operations) > 25
    for name, operation in operations:
        assert operation["summary"], name
        assert {"401", "4XX"} & set(operation["responses"]) or name == "GET /healthz", name
        assert "HTTPValidationError" not in str(operation), name


def test_the_docs_page_lists_every_route_and_loads_nothing(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert "POST /api/v1/comparisons/next" in page.text and "POST /v1/chat/completions" in page.text
    assert "<script" not in page.text and "http://" not in page.text and "https://" not in page.text
    assert client.get("/redoc").status_code == 404
