"""Configs: every field explained and bounded, every problem reported at once."""

import subprocess
import sys
from typing import get_args

import pytest

from trainer.base_config import InvalidConfig
from trainer.configs import ALGORITHMS, json_schema, parse_config


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_defaults_are_valid_and_survive_a_round_trip(algorithm):
    config = parse_config(algorithm)
    assert parse_config(algorithm, config.model_dump()) == config
    assert parse_config(algorithm, {}) == parse_config(algorithm, None) == config


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_field_has_one_sentence_and_a_bound(algorithm):
    for name, field in json_schema(algorithm)["properties"].items():
        assert field["description"].endswith("."), name
        assert field["description"].count(". ") == 0, name
        said = field.keys() | {key for member in field.get("anyOf", ()) for key in member}
        bounded = {"maximum", "exclusiveMaximum", "enum", "const", "pattern", "maxItems", "$ref"} & said
        assert bounded or field.get("type") == "boolean", f"{algorithm}.{name} has no bound"
        assert "default" in field, name


def test_all_problems_are_reported_at_once():
    with pytest.raises(InvalidConfig) as caught:
        parse_config("dpo", {"beta": -1, "epochs": 0, "warmth": 3, "preferences": "last", "label_smoothing": 0.5})
    assert len(caught.value.problems) == 5
    assert {problem.split(":")[0] for problem in caught.value.problems} == {
        "beta",
        "epochs",
        "warmth",
        "preferences",
        "label_smoothing",
    }
    assert "-1 was given" in str(caught.value)


@pytest.mark.parametrize(
    ("algorithm", "values", "told"),
    [
        ("r_lol", {"kl_beta": 0.1}, "kl_beta: 0.1 was given with clip 0.9, .* set clip to 0, or kl_beta to 0"),
        ("r_lol", {"kl_beta": 1.0, "clip": 0}, "the largest reward is 1, .* set it below 1"),
        ("a_lol_kl", {"kl_beta": 0.5}, "the largest advantage is 0.5, .* set it below 0.5"),
        (
            "wbc",
            {"sampling": "uniform"},
            "sampling: 'uniform' was given, .* choose good_random",
        ),
        ("a_lol", {"reward": "dpo-0001"}, "reward: 'dpo-0001' was given"),
        ("nll", {"reward": "preferences"}, "reward: not a field of NLLConfig"),
        ("a_lol_seq", {"clip": 1.0}, "clip: 1.0 was given"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_with_what_to_do(algorithm, values, told):
    with pytest.raises(InvalidConfig, match=told) as caught:
        parse_config(algorithm, values)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    ("algorithm", "values"),
    [
        ("r_lol", {"kl_beta": 0.1, "clip": 0}),
        ("a_lol_kl", {"kl_beta": 0.5, "reward": "reward_model-0001"}),
        ("wbc", {"sampling": "uniform", "reward": "reward_model-0001"}),
        ("a_lol_kl", {"sampling": "uniform"}),
    ],
)
def test_settings_that_do_go_together_survive_a_round_trip(algorithm, values):
    config = parse_config(algorithm, values)
    assert parse_config(algorithm, config.model_dump(mode="json")) == config


def test_the_strategies_of_the_form_are_those_of_the_sampler():
    from trainer.advantage_sampling import Strategy

    assert json_schema("a_lol")["properties"]["sampling"]["enum"] == list(get_args(Strategy))


def test_an_unknown_algorithm_names_the_known_ones():
    with pytest.raises(InvalidConfig, match="'ppoo' is not known; choose one of sft, reward_model, dpo"):
        parse_config("ppoo")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused(value):
    with pytest.raises(InvalidConfig):
        parse_config("dpo", {"learning_rate": value})


@pytest.mark.parametrize(("value", "valid"), [("all", True), ("auto", True), ("last 40", True), ("last 0", False)])
def test_which_preferences_are_learnt_from(value, valid):
    if valid:
        assert parse_config("dpo", {"preferences": value}).preferences == value
    else:
        with pytest.raises(InvalidConfig, match="preferences"):
            parse_config("dpo", {"preferences": value})


def test_losses_are_given_as_a_list_or_as_one_line():
    typed = parse_config("dpo", {"loss_type": "hinge, sft", "loss_weights": "1, 0.5"})
    assert typed == parse_config("dpo", {"loss_type": ["hinge", "sft"], "loss_weights": [1, 0.5]})


def test_a_loss_without_a_weight_is_refused():
    with pytest.raises(InvalidConfig, match="2 losses and 1 weights"):
        parse_config("dpo", {"loss_type": "sigmoid, sft", "loss_weights": "1"})


def test_torch_is_not_imported():
    code = "import sys, trainer.configs; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
