"""The form of a run: every algorithm has one, every setting a place in it, every problem a field."""

import pytest

from app.ui import run_form
from trainer import configs
from trainer.configs import ALGORITHMS, AlgorithmConfig, json_schema
from trainer.rewards.configs import RewardSettings


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_has_a_form_with_all_of_its_settings(algorithm: str) -> None:
    main, more = run_form.fields(algorithm, {}, {})
    assert {field.name for field in main + more} == set(json_schema(algorithm)["properties"])
    assert {"learning_rate", "epochs", "preferences"} <= {field.name for field in main}
    for field in main + more:
        assert field.numeric or field.options or field.value, field.name
    assert run_form.about(algorithm).endswith((".", ")."))


def test_what_completions_are_worth_and_how_they_are_drawn_stand_in_front() -> None:
    main, _ = run_form.fields("a_lol", {"sampling": "uniform"}, {})
    fields = {field.name: field for field in main}
    assert fields["reward"].value == "preferences"
    assert fields["sampling"].value == "uniform"
    assert fields["sampling"].options == ("good_priority", "good_random", "all_priority", "uniform")


def test_settings_that_do_not_go_together_are_told_at_the_field_to_change() -> None:
    assert run_form.problems("r_lol", {"kl_beta": 0.2}).keys() == {"kl_beta"}
    told = run_form.problems("wbc", {"sampling": "uniform"})
    assert told.keys() == {"sampling"}
    assert "choose good_random" in told["sampling"]


class Rewarded(AlgorithmConfig, RewardSettings):
    """An algorithm that needs rewards."""


@pytest.fixture
def rewarded(monkeypatch: pytest.MonkeyPatch) -> dict[str, run_form.Field]:
    monkeypatch.setattr(configs, "ALGORITHMS", {"rewarded": Rewarded})
    main, more = run_form.fields("rewarded", {}, {})
    return {field.name: field for field in main + more}


def test_a_form_of_rewards_shows_what_may_be_typed_into_it(rewarded: dict[str, run_form.Field]) -> None:
    shown = {name: rewarded[name].value for name in ("rewards", "filters", "z_score", "reward_low", "reward_high")}
    assert Rewarded.model_validate(shown) == Rewarded()
    assert rewarded["filtered_reward"].value == "" and rewarded["filtered_reward"].numeric


def test_an_untouched_form_of_rewards_sends_nothing(rewarded: dict[str, run_form.Field]) -> None:
    assert run_form.typed("rewarded", {name: field.value for name, field in rewarded.items()}) == {}


def test_what_is_wrong_with_a_reward_is_told(rewarded: dict[str, run_form.Field]) -> None:
    assert run_form.problems("rewarded", {"rewards": '[{"kind": "length", "longest": 9}]'}) == {}
    told = run_form.problems("rewarded", {"rewards": '[{"kind": "length", "longer": 9}]', "filters": "{"})
    assert "no option 'longer'" in told["rewards.0.length"]
    assert "no JSON object" in told["filters"]
