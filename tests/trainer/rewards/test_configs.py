"""Settings of rewards: what a form may send, what is refused and how, and that every kind has its file."""

from importlib import import_module
from typing import get_args

import pytest
from pydantic import ValidationError

from trainer.base_config import AlgorithmConfig
from trainer.rewards.configs import RewardSettings
from trainer.rewards.opening import FILES
from trainer.rewards.terms import AnyTerm, Length, Similarity

KINDS = [cls.model_fields["kind"].default for cls in get_args(get_args(AnyTerm)[0])]


def refusal(**values: object) -> str:
    with pytest.raises(ValidationError) as told:
        RewardSettings.model_validate(values)
    return str(told.value)


def test_every_kind_has_a_file_that_opens_it():
    assert sorted(KINDS) == sorted(FILES)
    for file in set(FILES.values()):
        assert callable(import_module(f"trainer.rewards.{file}").open_reward)


def test_the_default_is_similarity_to_the_reference():
    assert RewardSettings().rewards == (Similarity(),)


def test_kinds_may_be_written_with_commas():
    assert RewardSettings(rewards="similarity, length").rewards == (Similarity(), Length())


def test_terms_may_be_written_as_json():
    one = '{"kind": "length", "longest": 40, "weight": 2}'
    assert RewardSettings(rewards=f"[{one}]").rewards == RewardSettings(rewards=one).rewards
    assert RewardSettings(rewards=one).rewards == (Length(longest=40, weight=2),)


def test_settings_survive_json():
    settings = RewardSettings(rewards="bleu, json, in_context", filters={"scripts": "latin, greek"})
    assert RewardSettings.model_validate_json(settings.model_dump_json()) == settings


def test_an_algorithm_takes_them_by_inheritance():
    class Config(AlgorithmConfig, RewardSettings):
        pass

    config = Config(rewards="length", learning_rate=1e-4)
    assert config.rewards == (Length(),)
    properties = Config.model_json_schema()["properties"]
    assert {"rewards", "filters", "z_score", "learning_rate"} <= set(properties)
    assert properties["rewards"]["items"]["discriminator"]["propertyName"] == "kind"


def test_an_unknown_option_is_told_with_those_there_are():
    told = refusal(rewards=[{"kind": "bleu", "colour": 1}])
    assert "no option 'colour'" in told and "tokenize" in told


def test_an_unknown_kind_is_told_with_those_there_are():
    assert all(kind in refusal(rewards="nonsense") for kind in KINDS)


def test_two_terms_of_one_name_are_refused():
    assert "several rewards are called 'length'" in refusal(rewards="length, length")
    assert len(RewardSettings(rewards=[{"kind": "length"}, {"kind": "length", "name": "short"}]).rewards) == 2


def test_a_name_that_is_a_metric_is_refused():
    assert "'total'" in refusal(rewards=[{"kind": "length", "name": "total"}])


def test_a_fault_may_never_be_worth_more_than_a_bad_completion():
    assert "a fault would be worth more" in refusal(filtered_reward=0, reward_low=-1)
    assert RewardSettings(filtered_reward=0, reward_low=0, reward_high=1).filtered_reward == 0


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"rewards": []}, "there are 0 rewards"),
        ({"rewards": "[{"}, "begins like JSON"),
        ({"reward_low": 1, "reward_high": 1}, "low must be less"),
        ({"filters": {"scripts": "LATN"}}, "'LATN' is no script"),
        ({"rewards": [{"kind": "match", "must": ["("]}]}, "'(' is no regular expression"),
        ({"rewards": [{"kind": "match"}]}, "at least one pattern"),
        ({"rewards": [{"kind": "length", "shortest": 9, "longest": 3}]}, "nothing lies between"),
        ({"rewards": [{"kind": "judge", "against": "text"}]}, "`text` is given where"),
        ({"rewards": [{"kind": "rule", "rule": "os:system"}]}, "is no rule"),
        ({"rewards": [{"kind": "function", "path": "os.system"}]}, "should match pattern"),
        ({"rewards": [{"kind": "length", "weight": float("nan")}]}, "finite number"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(values: dict[str, object], told: str):
    assert told in refusal(**values)
