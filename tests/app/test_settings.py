"""Settings: what the operator says about the gate reaches it, and what cannot be is refused."""

import pytest

from app.settings import Settings
from storage.errors import Refused
from trainer.gate_options import Rule


def test_the_gates_options_are_what_the_operator_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFLOOP_GATE_RULE", "sequential")
    monkeypatch.setenv("PREFLOOP_GATE_JUDGE", "http://127.0.0.1:1/v1#m")
    monkeypatch.setenv("PREFLOOP_GATE_JUDGE_PRICES", "[2.5, 10]")
    monkeypatch.setenv("PREFLOOP_JUDGE_KEY", "secret")
    gate = Settings().gate
    assert (gate.rule, gate.judge, gate.prices) == (Rule.sequential, "http://127.0.0.1:1/v1#m", (2.5, 10.0))
    assert (gate.key, gate.starter, gate.for_people, gate.rubric) == ("secret", True, False, "quality")


def test_rewards_of_peoples_own_are_those_the_operator_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().allowed_rewards == ()
    monkeypatch.setenv("PREFLOOP_REWARD_FUNCTIONS", "my.rewards:short, my.rewards:kind")
    assert Settings().allowed_rewards == ("my.rewards:short", "my.rewards:kind")


def test_the_starters_judge_is_refused_for_another_model() -> None:
    with pytest.raises(Refused, match="PREFLOOP_GATE_JUDGE"):
        Settings(model="some/model", gate_judge="starter").check()
    Settings(gate_judge="starter").check()
