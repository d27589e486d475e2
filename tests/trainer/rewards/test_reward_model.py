"""Our reward-model checkpoints as rewards."""

import math
from pathlib import Path

import pytest
from rewarding import asked

from trainer.policy import load_reward_model
from trainer.rewards import terms
from trainer.rewards.base import RewardError, RewardSources
from trainer.rewards.opening import open_term
from trainer.rewards.reward_model import sigmoid

TEXTS = ["one text", "another one", "and a third"]


def values(checkpoints: Path, **options: object) -> list[float | None]:
    term = terms.RewardModel.model_validate({"checkpoint": "reward_model-0001"} | options)
    reward = open_term(term, RewardSources(device="cpu", checkpoints=checkpoints))
    return reward(asked("a", "b", "c"), TEXTS, [None] * 3)


def test_a_checkpoint_named_by_its_id_gives_the_scores_that_it_gives_alone(checkpoints: Path):
    from trainer.algorithms.reward_scores import score

    alone = load_reward_model(checkpoints / "reward_model-0001", device="cpu")
    sides = list(zip(asked("a", "b", "c"), TEXTS, strict=True))
    expected = score(alone.model, alone.tokenizer, sides, max_length=256, batch_size=1)
    found = values(checkpoints)
    assert found == pytest.approx(expected, abs=1e-4)
    assert len(set(found)) == 3


def test_the_sigmoid_is_that_of_the_score(checkpoints: Path):
    bare = values(checkpoints)
    assert values(checkpoints, form="sigmoid") == pytest.approx([1 / (1 + math.exp(-value)) for value in bare])


def test_the_sigmoid_of_a_huge_score_does_not_overflow():
    assert [sigmoid(value) for value in (-1e4, 0.0, 1e4)] == [0.0, 0.5, 1.0]


def test_a_prompt_that_the_chat_template_refuses_has_no_value(checkpoints: Path):
    reward = open_term(terms.RewardModel(checkpoint=str(checkpoints / "reward_model-0001")), RewardSources("cpu"))
    found = reward([*asked("a"), [{"content": "nobody says this"}]], TEXTS[:2], [None] * 2)
    assert found[0] is not None and found[1] is None


@pytest.mark.parametrize(("name", "told"), [("sft-0001", "kind 'full'"), ("absent", "is missing")])
def test_another_checkpoint_or_none_is_told(checkpoints: Path, name: str, told: str):
    with pytest.raises(RewardError, match=f"reward_model cannot be opened: .*{told}"):
        values(checkpoints, checkpoint=name)
