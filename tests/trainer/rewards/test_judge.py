"""A judge as a reward: how likely the completion wins against its reference or a fixed text."""

import math
from pathlib import Path

import pytest
from judging import RuleJudge
from rewarding import asked

from trainer.evaluation.judges.base import Comparison
from trainer.evaluation.judges.cache import ReplyCache
from trainer.rewards import terms
from trainer.rewards.base import RewardError, RewardSources
from trainer.rewards.judge import IN_MEMORY, JudgeReward
from trainer.rewards.opening import open_term


def test_winning_in_both_orders_is_worth_1_losing_0_and_a_tie_half():
    judge = RuleJudge()  # the longer text wins
    reward = JudgeReward(judge, ReplyCache(IN_MEMORY))
    found = reward(asked("a", "b", "c"), ["longer", "no", "four"], ["short", "short", "five"])
    assert found == [1.0, 0.0, 0.5]
    assert len(judge.asked) == 6


def test_a_judge_that_always_prefers_the_first_text_is_worth_half():
    reward = JudgeReward(RuleJudge(lambda comparison: "[[A]]"), ReplyCache(IN_MEMORY))
    assert reward(asked("a"), ["one"], ["other"]) == [0.5]


def test_a_text_equal_to_the_fixed_one_is_worth_half_unasked():
    judge = RuleJudge()
    assert JudgeReward(judge, ReplyCache(IN_MEMORY))(asked("a"), ["same"], ["same"]) == [0.5]
    assert judge.asked == []


def test_without_a_reference_or_a_verdict_there_is_no_value():
    def silent(comparison: Comparison) -> str:
        return "nothing" if "odd" in (comparison.first, comparison.second) else "[[tie]]"

    reward = JudgeReward(RuleJudge(silent), ReplyCache(IN_MEMORY))
    assert reward(asked("a", "b", "c"), ["one", "odd", "two"], [None, "x", "x"]) == [None, None, 0.5]


def test_one_text_can_be_the_opponent_of_all():
    reward = JudgeReward(RuleJudge(), ReplyCache(IN_MEMORY), fixed="medium")
    assert reward(asked("a", "b"), ["very long", "no"], [None, "a reference that is not compared with"]) == [1.0, 0.0]


def test_a_judge_is_opened_by_name_and_its_replies_are_kept(tmp_path: Path):
    sources = RewardSources(device="cpu", replies=tmp_path / "replies.sqlite")
    reward = open_term(terms.Judge(judge="similarity", against="text", text="a wholly different text"), sources)
    assert reward(asked("a", "b"), ["It is Paris.", "zzzz"], ["It is Paris.", "It is Paris."]) == [1.0, 0.0]
    reward.close()  # type: ignore[attr-defined]
    with ReplyCache(tmp_path / "replies.sqlite") as kept:
        assert len(kept.models("similarity:chrf")) == 1


def test_a_reward_model_as_judge_gives_the_bradley_terry_probability(checkpoints: Path):
    sources = RewardSources(device="cpu", checkpoints=checkpoints)
    score = open_term(terms.RewardModel(checkpoint="reward_model-0001"), sources)
    won, lost = score(asked("a", "a"), ["one text", "another"], [None, None])
    assert won is not None and lost is not None
    found = open_term(terms.Judge(judge="reward_model-0001"), sources)(asked("a"), ["one text"], ["another"])
    assert found == pytest.approx([1 / (1 + math.exp(lost - won))], abs=1e-4)


@pytest.mark.parametrize(
    ("term", "told"),
    [
        (terms.Judge(judge="http://127.0.0.1:1/v1#m"), "is a server"),
        (terms.Judge(judge="./absent"), "judge cannot be opened.*absent"),
        (terms.Judge(judge="similarity", rubric="absent"), "judge cannot be opened.*no rubric 'absent'"),
    ],
)
def test_a_judge_that_cannot_be_one_is_told(term: terms.Judge, told: str):
    with pytest.raises(RewardError, match=told):
        open_term(term, RewardSources(device="cpu"))
