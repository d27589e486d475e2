"""Comparisons and preferences over HTTP: leased, blinded, recorded once, undone, exported, imported."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from storage.errors import Unavailable
from trainer.prompting import PromptTooLong

Cookie = Callable[[str], dict[str, str]]


@pytest.fixture
def ready(client: TestClient, parts: Any) -> TestClient:
    parts.labelling.refill()
    return client


def next_comparison(client: TestClient, headers: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
    answer = client.post("/api/v1/comparisons/next", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def choose(client: TestClient, comparison_id: str, headers: dict[str, str] | None = None, **body: Any) -> Any:
    sent = {"comparison_id": comparison_id, "choice": "left"} | body
    return client.post("/api/v1/preferences", json=sent, headers=headers)


def test_a_comparison_shows_its_prompt_and_two_texts_and_nothing_of_models(ready: TestClient) -> None:
    shown = next_comparison(ready)
    assert set(shown) == {"id", "prompt", "left", "right"}
    assert set(shown["prompt"]) == {"id", "messages"}
    assert set(shown["left"]) == set(shown["right"]) == {"text"}
    assert "initial" not in json.dumps(shown)


def test_a_call_without_a_body_gives_the_next_comparison(ready: TestClient) -> None:
    assert ready.post("/api/v1/comparisons/next").status_code == 200


def test_calls_without_the_cookie_are_leases_of_their_own(ready: TestClient) -> None:
    assert next_comparison(ready)["id"] != next_comparison(ready)["id"]


def test_a_labeller_who_reloads_gets_the_same_comparison(ready: TestClient, labeller: Cookie) -> None:
    assert next_comparison(ready, labeller("a"))["id"] == next_comparison(ready, labeller("a"))["id"]


def test_two_labellers_never_get_the_same_comparison(ready: TestClient, labeller: Cookie) -> None:
    assert next_comparison(ready, labeller("a"))["id"] != next_comparison(ready, labeller("b"))["id"]


def test_a_known_prompt_is_completed_on_request(ready: TestClient) -> None:
    assert next_comparison(ready, prompt_id=3)["prompt"]["id"] == 3


def test_a_prompt_of_ones_own_is_completed_on_request(ready: TestClient) -> None:
    messages = [{"role": "user", "content": "Mine?"}]
    assert next_comparison(ready, messages=messages)["prompt"]["messages"] == messages


def test_a_prompt_id_and_messages_together_are_refused(ready: TestClient) -> None:
    body = {"prompt_id": 1, "messages": [{"role": "user", "content": "Mine?"}]}
    answer = ready.post("/api/v1/comparisons/next", json=body)
    assert answer.status_code == 422 and answer.json()["error"]["code"] == "invalid"


def test_a_prompt_that_is_too_long_is_told_as_such(ready: TestClient, parts: Any) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PromptTooLong(900, 500, "Shorten it.")

    parts.engine.submit = refuse
    answer = ready.post("/api/v1/comparisons/next", json={"prompt_id": 1})
    assert answer.status_code == 422
    assert answer.json()["error"] == {
        "code": "prompt_too_long",
        "message": "The prompt has 900 tokens; at most 500 fit.",
        "hint": "Shorten it.",
    }


def test_a_cold_queue_is_a_503_that_says_when_to_try_again(client: TestClient, parts: Any) -> None:
    def cold(**_: Any) -> None:
        raise Unavailable("No comparison was ready.", retry_after_s=7)

    parts.labelling.next_comparison = cold
    answer = client.post("/api/v1/comparisons/next", json={})
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "7"


def test_no_prompts_left_is_an_empty_204(client: TestClient, parts: Any) -> None:
    parts.labelling.next_comparison = lambda **_: None
    answer = client.post("/api/v1/comparisons/next", json={})
    assert answer.status_code == 204 and answer.content == b""


def test_an_unknown_field_is_refused_with_its_name(ready: TestClient) -> None:
    answer = ready.post("/api/v1/comparisons/next", json={"promt_id": 1})
    assert answer.status_code == 422 and "promt_id" in answer.json()["error"]["message"]


def test_a_choice_reveals_both_sides(ready: TestClient) -> None:
    answer = choose(ready, next_comparison(ready)["id"])
    assert answer.status_code == 201
    revealed = answer.json()["revealed"]["left"]
    assert revealed["checkpoint_id"] == "initial" and revealed["checkpoint"] == "starter"
    assert revealed["temperature"] == 1.0 and isinstance(revealed["seed"], int)


def test_the_same_client_id_again_is_the_same_row(ready: TestClient) -> None:
    comparison_id = next_comparison(ready)["id"]
    first = choose(ready, comparison_id, client_id="once")
    again = choose(ready, comparison_id, client_id="once")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()


def test_the_same_client_id_for_another_choice_is_a_conflict(ready: TestClient) -> None:
    comparison_id = next_comparison(ready)["id"]
    choose(ready, comparison_id, client_id="once")
    assert choose(ready, comparison_id, client_id="once", choice="right").status_code == 409


def test_a_program_may_choose_once_per_comparison(ready: TestClient) -> None:
    comparison_id = next_comparison(ready)["id"]
    assert choose(ready, comparison_id).status_code == 201
    assert choose(ready, comparison_id).status_code == 409


def test_two_programs_label_side_by_side(ready: TestClient) -> None:
    first, second = next_comparison(ready)["id"], next_comparison(ready)["id"]
    assert choose(ready, second).status_code == choose(ready, first).status_code == 201


def test_a_comparison_before_one_labeller_is_refused_to_another(ready: TestClient, labeller: Cookie) -> None:
    comparison_id = next_comparison(ready, labeller("a"))["id"]
    assert choose(ready, comparison_id, labeller("b")).status_code == 409
    assert choose(ready, comparison_id, labeller("a")).status_code == 201


def test_a_choice_that_does_not_exist_is_refused_in_the_one_shape(ready: TestClient) -> None:
    answer = choose(ready, next_comparison(ready)["id"], choice="middle")
    assert answer.status_code == 422 and set(answer.json()["error"]) == {"code", "message", "hint"}


def test_an_unknown_comparison_is_a_404(client: TestClient) -> None:
    assert choose(client, "nowhere").status_code == 404


def test_undo_lets_the_comparison_be_decided_again(ready: TestClient) -> None:
    comparison_id = next_comparison(ready)["id"]
    made = choose(ready, comparison_id).json()["id"]
    undone = ready.delete(f"/api/v1/preferences/{made}")
    assert undone.status_code == 204 and undone.content == b""
    assert choose(ready, comparison_id, choice="right").status_code == 201


def test_undoing_twice_is_the_same_as_once(ready: TestClient) -> None:
    made = choose(ready, next_comparison(ready)["id"]).json()["id"]
    assert [ready.delete(f"/api/v1/preferences/{made}").status_code for _ in range(2)] == [204, 204]


def test_another_labellers_choice_cannot_be_undone(ready: TestClient, labeller: Cookie) -> None:
    made = choose(ready, next_comparison(ready, labeller("a"))["id"], labeller("a")).json()["id"]
    assert ready.delete(f"/api/v1/preferences/{made}", headers=labeller("b")).status_code == 409


def test_choices_are_exported_as_lines_without_the_withdrawn_ones(ready: TestClient) -> None:
    kept = choose(ready, next_comparison(ready)["id"]).json()["id"]
    withdrawn = choose(ready, next_comparison(ready)["id"]).json()["id"]
    ready.delete(f"/api/v1/preferences/{withdrawn}")
    answer = ready.get("/api/v1/preferences/export?format=trl")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert [json.loads(line)["id"] for line in answer.text.splitlines()] == [kept]


def test_an_unknown_export_format_is_refused_before_anything_is_sent(client: TestClient) -> None:
    answer = client.get("/api/v1/preferences/export?format=xml")
    assert answer.status_code == 422 and "xml" in answer.json()["error"]["message"]


LINES = (
    b'{"prompt": "Why?", "chosen": "Because.", "rejected": "No."}\n'
    b"not json\n"
    b'{"prompt": "How?", "chosen": "So.", "rejected": "No."}\n'
)


def test_an_uploaded_file_is_imported_and_its_bad_lines_are_told(client: TestClient) -> None:
    answer = client.post("/api/v1/imports", data={"format": "trl"}, files={"file": ("pairs.jsonl", LINES)})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["rows"], told["added"], [s["line"] for s in told["skipped"]]) == (3, 2, [2])
    assert told["skipped"][0]["reason"]


def test_a_body_is_imported_as_a_file_and_a_second_time_adds_nothing(client: TestClient) -> None:
    added = [client.post("/api/v1/imports?format=trl", content=LINES).json()["added"] for _ in range(2)]
    assert added == [2, 0]


def test_a_compressed_body_is_imported(client: TestClient) -> None:
    assert client.post("/api/v1/imports?format=trl", content=gzip.compress(LINES)).json()["added"] == 2


def test_a_strict_import_of_a_bad_file_adds_nothing(client: TestClient) -> None:
    answer = client.post("/api/v1/imports?format=trl&strict=true", content=LINES)
    assert answer.status_code == 422 and answer.json()["error"]["code"] == "bad_rows"
    assert client.get("/api/v1/preferences/export").text == ""


def test_what_was_imported_is_exported_byte_for_byte(client: TestClient) -> None:
    good = b"".join(line for line in LINES.splitlines(keepends=True) if line.startswith(b"{"))
    client.post("/api/v1/imports?format=trl", content=good)
    assert client.get("/api/v1/preferences/export?format=trl").content == good


@pytest.mark.parametrize("query", ["", "?format=xml", "?format=trl&spilt=train"])
def test_an_import_that_is_not_understood_is_refused(client: TestClient, query: str) -> None:
    answer = client.post(f"/api/v1/imports{query}", content=LINES)
    assert answer.status_code == 422 and answer.json()["error"]["hint"]


def test_a_form_without_a_file_is_refused(client: TestClient) -> None:
    answer = client.post("/api/v1/imports", files={"format": (None, "trl")})
    assert answer.status_code == 422 and "no file" in answer.json()["error"]["message"]
