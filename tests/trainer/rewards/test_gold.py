"""Gold rewards: measured of every completion, raw, by name; settings that cannot be are refused."""

import pytest
from rewarding import Told, asked

from trainer.ppo_config import PPOConfig
from trainer.rewards.base import RewardError
from trainer.rewards.gold import Gold


def measured(*values: float | None) -> dict[str, float]:
    texts = [str(number) for number in range(len(values))]
    told = Told(dict(zip(texts, values, strict=True)))
    return Gold({"right": told}).measure(asked(*texts), texts, [None] * len(texts))


def test_mean_and_deviation_are_of_what_it_applies_to() -> None:
    assert measured(1.0, None, 3.0, None) == pytest.approx(
        {"gold/right/mean": 2.0, "gold/right/std": 1.0, "gold/right/none": 0.5}, rel=0.5
    )


def test_one_that_applies_to_nothing_has_no_mean() -> None:
    assert measured(None, None) == {"gold/right/none": 1.0}


def test_a_value_that_is_no_number_is_refused_as_of_any_reward() -> None:
    with pytest.raises(RewardError, match="for completion 1"):
        measured(1.0, float("nan"))


def test_kinds_with_commas_are_gold_rewards_as_they_are_rewards() -> None:
    config = PPOConfig.model_validate({"gold": "bleu, length"})
    assert [term.title for term in config.gold] == ["bleu", "length"] and PPOConfig().gold == ()
    assert PPOConfig.model_validate({"gold": "none"}).gold == ()


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="several gold rewards are called 'length'"):
        PPOConfig.model_validate({"gold": "length, length"})
