"""Prompts, runs, checkpoints, deployments, evaluations, feedback and the schedule over HTTP."""

import math
from typing import Any

import pytest
from fastapi.testclient import TestClient

from storage.comparisons import record_completion
from storage.evaluations import record_evaluation, record_gate_decision, record_judge
from storage.tables import (
    CheckpointKind,
    Completion,
    Evaluation,
    GateDecisionRow,
    Metric,
    Outcome,
    RunStatus,
    TrainingRun,
    Verdict,
    VerdictKind,
)


def pages(client: TestClient, path: str, **query: Any) -> list[list[Any]]:
    """All pages of a list, two items each."""
    found, cursor = [], None
    while True:
        answer = client.get(path, params=query | {"limit": 2} | ({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["items"])
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return found


def evaluate(parts: Any, candidate: str, scores: list[float], *, baseline: str = "initial") -> int:
    verdicts = [
        Verdict(
            evaluation_id=0,
            prompt_id=number,
            verdict=VerdictKind.win if score > 0.5 else VerdictKind.loss,
            score=score,
            candidate_length=10,
            baseline_length=20,
        )
        for number, score in enumerate(scores, 1)
    ]
    with parts.database.write() as session:
        record_judge(session, judge_id="preference_model", kind="preference_model", revision="1")
        row = Evaluation(
            candidate_id=candidate, baseline=baseline, judge_id="preference_model", status=RunStatus.succeeded
        )
        evaluation = record_evaluation(session, row, verdicts)
        assert evaluation.id is not None
        return evaluation.id


def test_prompts_are_listed_page_by_page(client: TestClient) -> None:
    assert [len(page) for page in pages(client, "/api/v1/prompts")] == [2, 2, 2, 1]


def test_prompts_are_listed_by_split(client: TestClient) -> None:
    items = client.get("/api/v1/prompts?split=heldout").json()["items"]
    assert {p["split"] for p in items} == {"heldout"} and len(items) == 2
    assert set(items[0]) == {"id", "messages", "split", "tags", "reference"}


@pytest.mark.parametrize("query", ["cursor=first", "limit=0", "limit=100000", "split=test"])
def test_a_list_refuses_what_it_cannot_use(client: TestClient, query: str) -> None:
    assert client.get(f"/api/v1/prompts?{query}").status_code == 422


def test_a_typed_prompt_is_for_training_and_is_one_row(client: TestClient) -> None:
    body = {"messages": [{"role": "user", "content": "Why is it so?"}], "tags": ["mine"]}
    first, again = client.post("/api/v1/prompts", json=body), client.post("/api/v1/prompts", json=body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json() and first.json()["split"] == "train" and first.json()["tags"] == ["mine"]


@pytest.mark.parametrize(
    "messages", [[], [{"role": "robot", "content": "x"}], [{"role": "user", "content": " "}], [{"role": "user"}]]
)
def test_a_prompt_without_something_to_reply_to_is_refused(client: TestClient, messages: Any) -> None:
    assert client.post("/api/v1/prompts", json={"messages": messages}).status_code == 422


def test_text_that_is_not_unicode_is_refused(client: TestClient) -> None:
    content = b'{"messages": [{"role": "user", "content": "a\\ud800b"}]}'
    answer = client.post("/api/v1/prompts", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


def test_algorithms_come_with_the_schema_of_their_config(client: TestClient) -> None:
    items = {a["name"]: a for a in client.get("/api/v1/algorithms").json()["items"]}
    assert {"sft", "dpo", "reward_model"} <= set(items)
    assert "beta" in items["dpo"]["schema"]["properties"]
    offline = {"pro", "nll", "wbc", "reward_gold", "r_lol", "a_lol", "a_lol_ref_free", "a_lol_seq", "a_lol_kl"}
    assert offline <= set(items)
    assert items["a_lol"]["schema"]["properties"]["sampling"]["default"] == "good_priority"


def test_a_run_is_queued_with_its_whole_config(client: TestClient) -> None:
    answer = client.post("/api/v1/training-runs", json={"algorithm": "dpo", "config": {"beta": 0.3}})
    assert answer.status_code == 201 and answer.json() == {"id": "dpo-0001", "status": "queued"}
    run = client.get("/api/v1/training-runs/dpo-0001").json()
    assert run["config"]["beta"] == 0.3 and run["config"]["epochs"] >= 1
    assert run["gate"] is None and run["checkpoint_id"] is None and run["left_s"] is None


@pytest.mark.parametrize("body", [{"algorithm": "magic"}, {"algorithm": "dpo", "config": {"beta": -1}}, {}])
def test_a_run_that_cannot_be_made_is_refused(client: TestClient, body: Any) -> None:
    answer = client.post("/api/v1/training-runs", json=body)
    assert answer.status_code == 422 and answer.json()["error"]["message"]


def test_runs_are_listed_newest_first(client: TestClient) -> None:
    for _ in range(3):
        client.post("/api/v1/training-runs", json={"algorithm": "dpo"})
    listed = pages(client, "/api/v1/training-runs")
    assert [[run["id"] for run in page] for page in listed] == [["dpo-0003", "dpo-0002"], ["dpo-0001"]]


def test_a_waiting_run_is_cancelled_once(client: TestClient) -> None:
    client.post("/api/v1/training-runs", json={"algorithm": "dpo"})
    answer = client.post("/api/v1/training-runs/dpo-0001/cancel")
    assert answer.status_code == 200 and answer.json()["status"] == "cancelled"
    assert client.post("/api/v1/training-runs/dpo-0001/cancel").status_code == 409


def test_a_finished_run_names_its_checkpoint_and_the_gates_reasons(client: TestClient, parts: Any) -> None:
    client.post("/api/v1/training-runs", json={"algorithm": "dpo"})
    parts.add_checkpoint("dpo-0001")
    with parts.database.write() as session:
        run = session.get(TrainingRun, "dpo-0001")
        run.status, run.checkpoint_id = RunStatus.succeeded, "dpo-0001"
        session.add(run)
        record_gate_decision(
            session,
            GateDecisionRow(
                run_id="dpo-0001",
                checkpoint_id="dpo-0001",
                baseline_id="initial",
                outcome=Outcome.reject,
                reasons=["It repeats itself."],
                guards=[{"name": "kl", "passed": False, "value": math.nan, "limit": 1.0, "reason": "KL is nan."}],
            ),
        )
    run = client.get("/api/v1/training-runs/dpo-0001").json()
    assert run["checkpoint_id"] == "dpo-0001" and run["outcome"] == "refused"
    assert run["gate"]["outcome"] == "reject" and run["gate"]["reasons"] == ["It repeats itself."]
    assert run["gate"]["guards"][0]["value"] is None  # JSON has no NaN
    assert client.get("/api/v1/checkpoints/dpo-0001").json()["gate"] == run["gate"]


def test_metrics_are_step_and_value_per_name(client: TestClient, parts: Any) -> None:
    client.post("/api/v1/training-runs", json={"algorithm": "dpo"})
    with parts.database.write() as session:
        for step, value in ((1, 0.69), (2, math.inf)):
            session.add(Metric(run_id="dpo-0001", name="train/loss", step=step, value=value))
    assert client.get("/api/v1/training-runs/dpo-0001/metrics").json() == {"train/loss": [[1, 0.69], [2, None]]}


@pytest.mark.parametrize(
    "path",
    ["training-runs/x", "training-runs/x/metrics", "checkpoints/x", "evaluations/99", "evaluations/99/verdicts"],
)
def test_what_does_not_exist_is_a_404_in_the_one_shape(client: TestClient, path: str) -> None:
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == 404 and answer.json()["error"]["code"] == "not_found"


def test_a_checkpoint_tells_its_lineage(client: TestClient, parts: Any) -> None:
    parts.add_checkpoint("dpo-0001")
    assert [[c["id"] for c in page] for page in pages(client, "/api/v1/checkpoints")] == [["initial", "dpo-0001"]]
    lineage = client.get("/api/v1/checkpoints/dpo-0001").json()["lineage"]
    assert lineage["preference_ids"] == [] and lineage["run_id"] is None


def test_what_is_served_is_what_the_slot_holds(client: TestClient) -> None:
    served = client.get("/api/v1/deployments/current").json()
    assert served["checkpoint_id"] == "initial" and served["checkpoint"] == "starter"


def test_nothing_served_yet_is_a_503(client: TestClient, parts: Any) -> None:
    parts.slot.current_id = None
    assert client.get("/api/v1/deployments/current").status_code == 503


def test_a_promotion_by_hand_is_served_and_recorded_as_an_override(client: TestClient, parts: Any) -> None:
    parts.add_checkpoint("dpo-0001")
    answer = client.post("/api/v1/deployments", json={"checkpoint_id": "dpo-0001", "note": "I like it"})
    assert answer.status_code == 201
    assert answer.json()["reason"] == "override" and answer.json()["state"] == "serving"
    assert client.get("/api/v1/deployments/current").json()["checkpoint_id"] == "dpo-0001"
    newest = client.get("/api/v1/deployments").json()["items"][0]
    assert newest["note"] == "I like it" and [e["event"] for e in newest["events"]][-1] == "serving"


def test_promoting_what_is_served_makes_no_row(client: TestClient) -> None:
    assert client.post("/api/v1/deployments", json={"checkpoint_id": "initial"}).status_code == 200
    assert len(client.get("/api/v1/deployments").json()["items"]) == 1


def test_a_checkpoint_that_cannot_be_loaded_is_a_409_and_stays_on_the_ledger(client: TestClient, parts: Any) -> None:
    parts.add_checkpoint("dpo-0001")
    parts.slot.broken = {"dpo-0001"}
    answer = client.post("/api/v1/deployments", json={"checkpoint_id": "dpo-0001"})
    assert answer.status_code == 409 and answer.json()["error"]["code"] == "swap_failed"
    assert client.get("/api/v1/deployments/current").json()["checkpoint_id"] == "initial"
    assert client.get("/api/v1/deployments").json()["items"][0]["state"] == "failed"


def test_a_reward_model_cannot_be_served(client: TestClient, parts: Any) -> None:
    parts.add_checkpoint("reward_model-0001", kind=CheckpointKind.reward_model)
    assert client.post("/api/v1/deployments", json={"checkpoint_id": "reward_model-0001"}).status_code == 409


def test_roll_back_serves_the_one_before(client: TestClient, parts: Any) -> None:
    parts.add_checkpoint("dpo-0001")
    client.post("/api/v1/deployments", json={"checkpoint_id": "dpo-0001"})
    answer = client.post("/api/v1/deployments/rollback")
    assert answer.status_code == 201 and answer.json()["checkpoint_id"] == "initial"
    assert answer.json()["reason"] == "rollback" and parts.slot.current_id == "initial"


def test_there_is_no_roll_back_before_a_second_deployment(client: TestClient) -> None:
    assert client.post("/api/v1/deployments/rollback", json={}).status_code == 409


def test_the_ledger_is_paged_newest_first(client: TestClient, parts: Any) -> None:
    for number in (1, 2):
        parts.add_checkpoint(f"dpo-000{number}")
        client.post("/api/v1/deployments", json={"checkpoint_id": f"dpo-000{number}"})
    listed = pages(client, "/api/v1/deployments")
    assert [[d["checkpoint_id"] for d in page] for page in listed] == [["dpo-0002", "dpo-0001"], ["initial"]]


def test_an_evaluation_tells_its_rate_and_its_verdicts(client: TestClient, parts: Any) -> None:
    parts.add_checkpoint("dpo-0001")
    made = evaluate(parts, "dpo-0001", [1.0, 0.0, 1.0, 1.0, 0.0])
    told = client.get(f"/api/v1/evaluations/{made}").json()
    assert told["win_rate"]["rate"] == pytest.approx(0.6) and told["win_rate"]["n"] == 5
    assert told["win_rate"]["low"] < 0.6 < told["win_rate"]["high"]
    assert [len(page) for page in pages(client, f"/api/v1/evaluations/{made}/verdicts")] == [2, 2, 1]
    assert client.get("/api/v1/evaluations").json()["items"] == [told]


def test_the_leaderboard_puts_the_best_first(client: TestClient, parts: Any) -> None:
    for name, scores in (("dpo-0001", [1.0, 0.0, 0.0, 0.0, 1.0]), ("dpo-0002", [1.0, 1.0, 1.0, 0.0, 1.0])):
        parts.add_checkpoint(name)
        evaluate(parts, name, scores)
    items = client.get("/api/v1/leaderboard").json()["items"]
    ranked = [(r["rank"], r["checkpoint_id"], r["rate"]) for r in items]
    assert ranked == [(1, "dpo-0002", 0.8), (2, "initial", None), (3, "dpo-0001", 0.4)]
    assert all(r["rating_low"] < r["rating"] < r["rating_high"] for r in items)
    assert {r["reason"] for r in items} == {f"not enough comparisons: {n} of at least 30" for n in (5, 10)}
    rates = client.get("/api/v1/win-rates").json()["items"]
    assert {r["checkpoint_id"] for r in rates} == {"dpo-0001", "dpo-0002"}
    assert all(r["low"] <= r["rate"] <= r["high"] and r["source"] == "preference_model" for r in rates)


def test_a_thumb_and_a_better_text_are_recorded(client: TestClient, parts: Any) -> None:
    with parts.database.write() as session:
        completion = record_completion(session, Completion(prompt_id=1, text="Hm."))
    body = {"completion_id": completion.id, "thumb": "down", "edited_text": "Yes, gladly."}
    assert client.post("/api/v1/feedback", json=body).status_code == 201


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"completion_id": 1}, 422),
        ({"completion_id": 1, "thumb": "sideways"}, 422),
        ({"completion_id": 1, "edited_text": "  "}, 422),
        ({"completion_id": 999, "thumb": "up"}, 404),
    ],
)
def test_feedback_that_says_nothing_or_is_on_nothing_is_refused(client: TestClient, body: Any, status: int) -> None:
    assert client.post("/api/v1/feedback", json=body).status_code == status


def test_the_schedule_changes_only_where_asked(client: TestClient) -> None:
    before = client.get("/api/v1/schedule").json()
    changed = client.put("/api/v1/schedule", json={"new_preferences": 7, "cron": "0 3 * * *"})
    assert changed.status_code == 200
    assert client.get("/api/v1/schedule").json() == before | {"new_preferences": 7, "cron": "0 3 * * *"}


@pytest.mark.parametrize("body", [{"cron": "soon"}, {"new_preferences": -1}, {"algorithm": "magic"}, {"every": 3}])
def test_a_schedule_that_cannot_be_kept_is_refused(client: TestClient, body: Any) -> None:
    assert client.put("/api/v1/schedule", json=body).status_code == 422


def test_agreement_names_judges_and_labellers_of_a_project_where_nobody_chose(client: TestClient) -> None:
    assert client.get("/api/v1/agreement").json() == {"choices": 0, "judges": {}, "people": None, "labellers": {}}


def test_win_rates_are_exported_as_a_file_and_an_unknown_format_is_refused(client: TestClient, parts: Any) -> None:
    parts.add_checkpoint("dpo-0001")
    evaluate(parts, "dpo-0001", [1.0, 0.0])
    told = client.get("/api/v1/win-rates/export?format=alpaca-eval")
    assert told.headers["content-type"].startswith("text/csv") and "attachment" in told.headers["content-disposition"]
    assert told.text.splitlines()[1].startswith("dpo-0001,50.0,")
    assert client.get("/api/v1/win-rates/export?format=xlsx").status_code == 422
