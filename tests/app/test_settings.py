"""Settings: what the operator says about the gate reaches it, and what cannot be is refused."""

import pytest

from app.settings import Settings
from storage.errors import Refused
from trainer.gate_options import Rule


def test_the_gates_options_are_what_the_operator_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFLOOP_GATE_RULE", "sequential")
    monkeypatch.setenv("PREFLOOP_GATE_JUDGE", "http://127.0.0.1:1/v1#m")
    monkeypatch.setenv("PREFLOOP_JUDGE_PRICE_READ", "2.5")
    monkeypatch.setenv("PREFLOOP_JUDGE_PRICE_WRITTEN", "10")
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


def test_people_and_the_gate_ask_a_judges_server_at_the_same_prices() -> None:
    settings = Settings(judge_price_read=2.5, judge_price_written=10, judge_budget=5, gate_judge_budget=1)
    settings.check()
    assert settings.gate.prices == settings.judge_prices == (2.5, 10.0) and settings.gate.budget == 1


@pytest.mark.parametrize("name", ["judge_budget", "gate_judge_budget"])
def test_a_budget_without_prices_is_refused_before_anything_is_served(name: str) -> None:
    with pytest.raises(Refused, match=f"PREFLOOP_{name.upper()} is 5, which means nothing without prices"):
        Settings(**{name: 5}).check()
