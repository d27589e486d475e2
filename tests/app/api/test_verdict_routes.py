"""Agreeing and disagreeing with a verdict over HTTP: one opinion each, changed or taken back, and no win rate moves."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select

from storage.evaluations import record_evaluation, record_judge
from storage.tables import Evaluation, Prompt, RunStatus, Verdict, VerdictKind

EVALUATIONS = "/api/v1/evaluations"
Cookies = Callable[[str], dict[str, str]]


@pytest.fixture
def prompts(parts: Any) -> list[int]:
    """The prompts of evaluation 1: won, and without a valid verdict."""
    parts.add_checkpoint("dpo-0001")
    with parts.database.write() as session:
        ids = list(session.exec(select(Prompt.id).limit(2)))
        record_judge(session, judge_id="rule-1", kind="rule", revision="1")
        made = [(VerdictKind.win, 1.0), (VerdictKind.invalid, None)]
        verdicts = [
            Verdict(
                evaluation_id=0, prompt_id=i, verdict=kind, score=score, candidate_length=1, baseline_length=1, texts={}
            )
            for i, (kind, score) in zip(ids, made, strict=True)
        ]
        row = Evaluation(candidate_id="dpo-0001", baseline="initial", judge_id="rule-1", status=RunStatus.succeeded)
        assert record_evaluation(session, row, verdicts).id == 1
    return ids


def say(client: TestClient, prompt_id: int, agrees: Any, headers: dict[str, str] | None = None, number: int = 1) -> Any:
    path = f"{EVALUATIONS}/{number}/verdicts/{prompt_id}/opinion"
    return client.post(path, json={"agrees": agrees}, headers=headers or {})


def test_each_labeller_has_one_opinion_which_is_changed_and_taken_back(
    client: TestClient, prompts: list[int], labeller: Cookies
) -> None:
    def counts(agrees: bool | None, who: str) -> tuple[Any, ...]:
        told = say(client, prompts[0], agrees, labeller(who)).json()
        return told["agrees"], told["agreeing"], told["disagreeing"]

    assert counts(True, "ann") == (True, 1, 0)
    assert counts(True, "ann") == (True, 1, 0)
    assert counts(False, "bob") == (False, 1, 1)
    assert counts(False, "ann") == (False, 0, 2)
    assert counts(None, "ann") == (None, 0, 1)


def test_programs_without_a_cookie_are_one_labeller_together(client: TestClient, prompts: list[int]) -> None:
    assert [say(client, prompts[0], True).json()["agreeing"] for _ in range(2)] == [1, 1]


def test_it_counts_for_the_judges_agreement_and_in_no_win_rate(client: TestClient, prompts: list[int]) -> None:
    before = client.get("/api/v1/win-rates").json()
    say(client, prompts[0], False)
    read = client.get("/api/v1/agreement").json()["judges"]["rule-1"]["read"]
    assert (read["agree"], read["total"]) == (0, 1)
    assert client.get("/api/v1/win-rates").json() == before


def test_what_cannot_be_agreed_with_is_refused(client: TestClient, prompts: list[int]) -> None:
    assert say(client, 999, True).status_code == say(client, prompts[0], True, number=9).status_code == 404
    invalid = say(client, prompts[1], True)
    assert invalid.status_code == 422 and "no valid verdict" in invalid.json()["error"]["message"]


@pytest.mark.parametrize("body", [{}, {"agrees": "perhaps"}, {"agrees": True, "why": "x"}])
def test_an_opinion_that_says_something_else_is_refused(client: TestClient, prompts: list[int], body: Any) -> None:
    assert client.post(f"{EVALUATIONS}/1/verdicts/{prompts[0]}/opinion", json=body).status_code == 422


def test_it_is_documented(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    told = paths["/api/v1/evaluations/{evaluation_id}/verdicts/{prompt_id}/opinion"]["post"]
    assert {"200", "404", "422"} <= set(told["responses"]) and "about the judge" in told["description"]
