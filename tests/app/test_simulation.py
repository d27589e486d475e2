"""A simulated labeller: its run starts after its last label and not before, and it leaves the schedule as it was."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.simulation import Simulation
from storage.errors import Refused


class Served:
    """As much of PrefLoop as a simulation talks to: a run is queued as soon as enough choices are new."""

    def __init__(self, *, new: int) -> None:
        self.schedule = {"new_preferences": 40, "after_gate": "ask"}
        self.new = new
        self.labels_at_start: list[int] = []
        self.labels = 0
        self.gate: dict[str, str] | None = None
        self.paused_choices = 0

    def answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content or b"{}")
        answered = self._answer(request.method, request.url.path, body)
        if 0 < self.schedule["new_preferences"] <= self.new:  # type: ignore[operator]
            self.labels_at_start.append(self.labels)
            self.new = 0
        return httpx.Response(200, json=answered)

    def _answer(self, method: str, path: str, body: dict[str, Any]) -> Any:
        run = {"id": "dpo-0001", "status": "succeeded", "stage": "", "checkpoint_id": "dpo-0001", "gate": self.gate}
        match path.removeprefix("/api/v1"):
            case "/readyz":
                return {}
            case "/deployments/current":
                return {
                    "checkpoint_id": "initial",
                    "paused_choices": self.paused_choices,
                    "note": "People prefer initial.",
                }
            case "/schedule":
                self.schedule |= body
                return self.schedule
            case "/prompts":
                messages = [{"role": "user", "content": "Hello?"}]
                return {"items": [{"messages": messages}], "next_cursor": None}
            case "/training-runs":
                return {"items": [run] if self.labels_at_start else []}
            case "/training-runs/dpo-0001":
                return run
            case "/comparisons/next":
                sides = {"left": {"text": "Hi!"}, "right": {"text": "Hi."}}
                return {"id": "c", "prompt": {"id": 1, "messages": []}, **sides}
            case "/preferences":
                self.labels, self.new = self.labels + 1, self.new + 1
                return {}
            case "/v1/chat/completions":
                choices = [{"message": {"content": "Hi!"}}] * body["n"]
                return {"checkpoint_id": body["model"], "choices": choices}
        raise AssertionError(f"{method} {path}")


def simulate(answer: Any, tell: Callable[[str], None] = lambda line: None) -> Simulation:
    simulation = Simulation("http://testserver", tell=tell)
    simulation._http = httpx.Client(base_url="http://testserver", transport=httpx.MockTransport(answer))
    return simulation


@pytest.mark.parametrize("waiting", [0, 5, 100])
def test_the_run_starts_after_the_last_label_whatever_waited_before(waiting: int) -> None:
    served = Served(new=0)
    served.schedule["new_preferences"], served.new = 200, waiting
    result = simulate(served.answer).run(lambda _, text: text.endswith("!"), labels=10, completions=1)
    assert served.labels_at_start == [10]
    assert (result.decided, result.before.checkpoint_id, result.after.checkpoint_id) == (10, "initial", "dpo-0001")
    assert served.schedule["new_preferences"] == 200


def test_a_checkpoint_that_waits_for_a_paused_promotion_is_told_and_measured() -> None:
    served, lines = Served(new=0), list[str]()
    served.schedule["after_gate"], served.gate, served.paused_choices = "automatic", {"outcome": "promote"}, 5
    result = simulate(served.answer, lines.append).run(lambda _, text: True, labels=10, completions=1)
    assert "dpo-0001 is served after 5 more choices: People prefer initial." in lines
    assert result.after.checkpoint_id == "dpo-0001"


def test_a_token_that_is_wrong_is_told_at_once() -> None:
    simulation = simulate(lambda request: httpx.Response(401, text="This needs the token."))
    with pytest.raises(Refused, match="This needs the token"):
        simulation.run(lambda _, text: True, labels=1)
