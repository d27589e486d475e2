"""Evaluations by a judge over HTTP: who may judge, what it takes, start, watch, stop; a typed address is no judge."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.evaluations import Evaluations
from app.judges import listed_judges
from app.settings import Settings
from app.ui.settings_tab import _value
from storage.errors import Refused
from storage.evaluation_queue import claim_evaluation
from storage.evaluations import get_evaluation
from storage.tables import CheckpointKind

PATH = "/api/v1/evaluations"
SERVER = "http://127.0.0.1:9/v1#judge-1"
KEY = "sk-a-secret-that-is-nowhere"
BODY = {"candidate": "dpo-0001", "baseline": "initial", "judge": "big", "prompts": 8}


@pytest.fixture(autouse=True)
def judges(parts: Any) -> None:
    parts.add_checkpoint("dpo-0001")
    parts.add_checkpoint("reward_model-0001", kind=CheckpointKind.reward_model)
    settings = Settings(
        data_dir=parts.data_dir, judges=f"big={SERVER}, similarity", judge_key=KEY, judge_price_read=2.0, judge_budget=5
    )
    parts.evaluations = Evaluations(parts.database, settings)


def post(client: TestClient, path: str = PATH, **changes: Any) -> Any:
    return client.post(path, json=BODY | changes)


def test_the_operators_judges_and_the_projects_reward_models_may_be_chosen(client: TestClient) -> None:
    items = client.get("/api/v1/judges").json()["items"]
    assert {j["name"]: j["kind"] for j in items if j["kind"] != "starter"} == {
        "big": "endpoint",
        "similarity": "similarity",
        "reward_model-0001": "reward_model",
        "people": "people",
    }


def test_an_evaluation_is_queued_and_the_same_one_is_not_queued_twice(client: TestClient) -> None:
    first, again = post(client), post(client)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    shown = client.get(f"{PATH}/{first.json()['id']}").json()
    assert (shown["status"], shown["judge"], shown["candidate"], shown["baseline"]) == (
        "queued",
        "big",
        "dpo-0001",
        "initial",
    )
    assert shown["win_rate"] is None and shown["verdicts"] == {} and shown["left_s"] is None


@pytest.mark.parametrize("judge", ["nobody", SERVER, "/", "initial", "dpo-0001", "owner/model", "starter:x", ""])
def test_a_judge_that_was_not_offered_is_refused_naming_those_that_are(client: TestClient, judge: str) -> None:
    answer = post(client, judge=judge)
    assert answer.status_code == 422 and "big" in answer.json()["error"]["hint"]
    assert client.get(PATH).json()["items"] == []


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ({"candidate": "initial"}, 422, "compared with itself"),
        ({"candidate": "dpo-0009"}, 404, "dpo-0009"),
        ({"candidate": "chosen"}, 404, "chosen"),
        ({"candidate": "reward_model-0001"}, 422, "reward model"),
        ({"baseline": "reward_model-0001"}, 422, "reward model"),
        ({"baseline": "chosen"}, 422, "chosen text"),
        ({"baseline": "/etc/passwd"}, 404, "passwd"),
        ({"baseline": "chosen", "judge": "people"}, 422, "People compare two checkpoints"),
        ({"baseline": "file:/etc/passwd"}, 404, "passwd"),
        ({"baseline": "outside:nobody"}, 404, "nobody"),
        ({"candidate": "outside:nobody"}, 404, "nobody"),
        ({"baseline": "outside:nobody", "judge": "people"}, 422, "People compare two checkpoints"),
        ({"prompts": 7}, 422, "prompts"),
        ({"prompts": 301}, 422, "prompts"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_queued(
    client: TestClient, changes: dict[str, Any], status: int, told: str
) -> None:
    for path in (PATH, f"{PATH}/estimate"):
        answer = post(client, path, **changes)
        assert answer.status_code == status and told in answer.json()["error"]["message"]
    assert client.get(PATH).json()["items"] == []


def test_the_estimate_tells_calls_tokens_and_the_most_it_can_cost_and_starts_nothing(client: TestClient) -> None:
    told = post(client, f"{PATH}/estimate").json()
    assert (told["prompts"], told["calls"], told["output_tokens"]) == (2, 4, 4 * 1024)
    assert 4 * 320 < told["input_tokens"] < 4 * 2000
    assert told["cost"] == pytest.approx(told["input_tokens"] * 2.0 / 1e6)
    assert told["cost"] < told["most"] <= told["budget"] == 5
    assert client.get(PATH).json()["items"] == []


def import_outputs(client: TestClient, generator: str = "gpt-x") -> Any:
    asked = [p["messages"][0]["content"] for p in client.get("/api/v1/prompts?split=heldout").json()["items"]]
    rows = [{"instruction": text, "output": "One.", "generator": generator} for text in [*asked, "Which?"]]
    files = {"file": ("outputs.json", json.dumps(rows, indent=1))}
    return client.post("/api/v1/imports", data={"format": "alpaca-eval"}, files=files)


def test_imported_outputs_are_a_baseline_whose_texts_are_known(client: TestClient) -> None:
    first, again = import_outputs(client).json(), import_outputs(client).json()
    assert (first["rows"], first["added"], first["models"]) == (3, 2, {"gpt-x": 2})
    assert [skipped["line"] for skipped in first["skipped"]] == [12]
    assert (again["added"], again["known"]) == (0, 2)
    offered = {one["id"]: one for one in client.get("/api/v1/baselines").json()["items"]}
    assert offered["outside:gpt-x"] == {"id": "outside:gpt-x", "name": "gpt-x", "kind": "outside", "prompts": 2}
    assert "dpo-0001" in offered and "reward_model-0001" not in offered
    sampled, known = (post(client, f"{PATH}/estimate", baseline=b).json() for b in ("initial", "outside:gpt-x"))
    assert known["calls"] == sampled["calls"] == 4 and known["input_tokens"] < sampled["input_tokens"]
    made = post(client, baseline="outside:gpt-x")
    assert made.status_code == 201 and made.json()["baseline"] == "outside:gpt-x"


@pytest.mark.parametrize("judge", ["similarity", "reward_model-0001"])
def test_a_judge_that_sees_no_order_takes_one_call_a_prompt_and_costs_nothing(client: TestClient, judge: str) -> None:
    told = post(client, f"{PATH}/estimate", judge=judge).json()
    assert (told["calls"], told["cost"], told["most"], told["budget"]) == (2, 0, 0, None)


def test_people_are_asked_for_one_choice_a_prompt_and_their_progress_is_told(client: TestClient) -> None:
    told = post(client, f"{PATH}/estimate", judge="people").json()
    assert (told["prompts"], told["calls"], told["cost"], told["budget"]) == (2, 2, 0, None)
    made = post(client, judge="people").json()
    assert made["people"] == {"wanted": 0, "chosen": 0, "skipped": 0, "left": 0}
    assert post(client).json()["people"] is None


def test_one_that_waits_is_stopped_at_once_and_cannot_be_stopped_twice(client: TestClient) -> None:
    made = post(client).json()["id"]
    assert client.post(f"{PATH}/{made}/cancel").json()["status"] == "cancelled"
    assert client.post(f"{PATH}/{made}/cancel").status_code == 409
    assert client.post(f"{PATH}/999/cancel").status_code == 404


def test_one_that_runs_tells_its_stage_and_its_process_is_asked_to_stop(client: TestClient, parts: Any) -> None:
    made = post(client).json()["id"]
    with parts.database.write() as session:
        claim_evaluation(session, made, pid=1, process_started_at=1.0)
    stopped = client.post(f"{PATH}/{made}/cancel").json()
    assert (stopped["status"], stopped["stage"]) == ("running", "starting")
    with parts.database.read() as session:
        assert get_evaluation(session, made).cancel_requested


def test_the_key_is_in_no_row_and_on_no_page(client: TestClient, parts: Any) -> None:
    post(client)
    parts.database.close()
    stored = b"".join(path.read_bytes() for path in Path(parts.data_dir).glob("prefloop.sqlite*"))
    assert KEY.encode() not in stored and KEY not in client.get(PATH).text
    assert _value("judge_key", KEY) == "set"


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        ("a=x, a=y", "'a' twice"),
        ("starter=/x", "'starter' twice"),
        ("people=/x", "'people' twice"),
        ("s=https://me:pw@host/v1", "password in it"),
    ],
)
def test_a_list_of_judges_that_cannot_be_used_is_refused_at_the_start(listed: str, told: str) -> None:
    with pytest.raises(Refused, match=told):
        listed_judges(listed)


def test_a_budget_without_prices_is_refused_at_the_start(parts: Any) -> None:
    with pytest.raises(Refused, match="means nothing without prices"):
        Evaluations(parts.database, Settings(data_dir=parts.data_dir, judge_budget=5))
