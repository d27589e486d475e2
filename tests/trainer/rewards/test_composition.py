"""The sum of rewards: z-scores by hand, statistics that survive a restart, clipping, filters, metrics."""

import json
import math

import pytest
from rewarding import Told, asked, composed, scored

from trainer.rewards.base import RewardError

THREE = Told({"one": 1.0, "two": 2.0, "three": 3.0})


def test_each_term_is_brought_to_mean_0_and_deviation_1_and_then_weighed():
    assert scored(composed(THREE, weights=[2]), "one", "two", "three").rewards == pytest.approx([-2, 0, 2])


def test_the_scale_of_a_term_does_not_change_the_sum():
    large = Told({"one": 1000.0, "two": 2000.0, "three": 3000.0})
    both = scored(composed(THREE, large), "one", "two", "three").rewards
    assert both == pytest.approx([-2, 0, 2])


def test_statistics_run_over_all_batches_so_far():
    composition = composed(Told({"a": 1.0, "b": 3.0, "c": 5.0}))
    scored(composition, "a", "b")
    # mean of 1, 3, 5 is 3 and their deviation 2
    assert scored(composition, "c").rewards == pytest.approx([1.0])


def test_a_term_that_gives_the_same_for_all_adds_nothing_not_rounding():
    composition = composed(Told({"x": 0.1}))
    for _ in range(7):
        assert scored(composition, "x", "x", "x").rewards == [0.0, 0.0, 0.0]


def test_none_leaves_the_term_out_of_that_sample():
    partly = Told({"one": None, "two": 5.0, "three": 7.0})
    # of 5 and 7 the deviation is sqrt 2, so they are -1/sqrt 2 and 1/sqrt 2
    expected = [-1.0, 0 - 1 / math.sqrt(2), 1 + 1 / math.sqrt(2)]
    assert scored(composed(THREE, partly), "one", "two", "three").rewards == pytest.approx(expected)


def test_a_sample_that_no_term_applies_to_has_no_reward():
    assert scored(composed(Told({"x": None, "y": 1.0})), "x", "y").rewards == [None, 0.0]


def test_without_z_scores_it_is_the_plain_weighted_sum():
    other = Told({"one": 0.5, "two": None, "three": -1.0})
    found = scored(composed(THREE, other, weights=[1, 2], z_score=False), "one", "two", "three")
    assert found.rewards == pytest.approx([2.0, 2.0, 1.0])


def test_a_weight_of_0_only_logs():
    found = scored(composed(THREE, Told({"one": 9.0, "two": 1.0, "three": 1.0}), weights=[1, 0]), "one", "two", "three")
    assert found.rewards == pytest.approx([-1, 0, 1])
    assert found.metrics["rewards/b/mean"] == pytest.approx(11 / 3)


def test_sums_are_clipped_and_the_share_is_told():
    found = scored(composed(THREE, weights=[5]), "one", "two", "three")
    assert found.rewards == [-3.0, 0.0, 3.0]
    assert found.metrics["rewards/clipped"] == pytest.approx(2 / 3)


def test_a_restored_run_gives_exactly_what_the_uninterrupted_one_gives():
    values = {f"t{i}": math.sin(i) * 3 for i in range(60)}
    batches = [[f"t{i}" for i in range(start, start + 6)] for start in range(0, 60, 6)]
    whole = composed(Told(values))
    uninterrupted = [scored(whole, *batch).rewards for batch in batches]
    first = composed(Told(values))
    for batch in batches[:4]:
        scored(first, *batch)
    resumed = composed(Told(values))
    resumed.restore(json.loads(json.dumps(first.state())))
    assert [scored(resumed, *batch).rewards for batch in batches[4:]] == uninterrupted[4:]


def test_statistics_of_other_rewards_are_refused():
    with pytest.raises(RewardError, match="are of a, and the rewards are a, b"):
        composed(THREE, THREE).restore(composed(THREE).state())


def test_validation_leaves_the_statistics_alone():
    composition = composed(THREE)
    scored(composition, "one", "two", "three")
    before = composition.state()
    assert scored(composition, "three", "three", learn=False).rewards == pytest.approx([1.0, 1.0])
    assert composition.state() == before


def test_validation_before_anything_was_learnt_is_refused():
    with pytest.raises(RewardError, match="no statistics of the reward a"):
        scored(composed(THREE), "one", learn=False)


def test_a_filtered_completion_gets_its_reward_and_no_term_sees_it():
    told = Told({"one": 1.0, "three": 3.0})
    composition = composed(told, filters={"repetition": False}, filtered_reward=-7)
    found = scored(composition, "one", "пока", "three")
    assert found.rewards == pytest.approx([-1 / math.sqrt(2), -7, 1 / math.sqrt(2)])
    assert found.faults == [None, "script", None]
    assert found.terms == {"a": [1.0, None, 3.0]}
    assert told.seen == ["one", "three"]
    assert composition.state()["moments"]["a"]["count"] == 2


def test_a_filter_costs_the_lowest_reward_unless_told_otherwise():
    assert scored(composed(THREE, filters={"shortest": 1}, reward_low=-4), "", "two").rewards == [-4.0, 0.0]


def test_a_batch_of_nothing_but_faults_has_rewards_and_metrics():
    found = scored(composed(THREE, filters={"shortest": 1}), "", " ")
    assert found.rewards == [-3.0, -3.0]
    assert found.metrics["rewards/filtered"] == 1.0


def test_each_term_is_logged_raw_with_the_share_that_it_left_out():
    partly = Told({"one": None, "two": 5.0, "three": 7.0, "": 0.0})
    found = scored(composed(THREE, partly, filters={"shortest": 1}), "one", "two", "three", "").metrics
    assert found["rewards/a/mean"] == pytest.approx(2.0)
    assert found["rewards/a/std"] == pytest.approx(1.0)
    assert found["rewards/a/none"] == 0.0
    assert found["rewards/b/mean"] == pytest.approx(6.0)
    assert found["rewards/b/std"] == pytest.approx(math.sqrt(2))
    assert found["rewards/b/none"] == pytest.approx(1 / 3)
    assert found["rewards/filtered"] == found["rewards/filtered/length"] == 0.25


def test_a_term_without_any_value_has_no_mean():
    found = scored(composed(Told({"x": None})), "x").metrics
    assert found["rewards/a/none"] == 1.0
    assert "rewards/a/mean" not in found


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "0.5", [1.0]])
def test_a_value_that_is_no_finite_number_is_refused_with_its_index(value: object):
    with pytest.raises(RewardError, match="completion 1"):
        scored(composed(Told({"one": 1.0, "two": value})), "one", "two")


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="2 prompts, 1 completions and 2 references"):
        composed(THREE).score(asked("a", "b"), ["one"], [None, None])


def test_a_composition_is_a_reward_like_any_other():
    assert composed(THREE)(asked("a", "b"), ["one", "one"], [None, None]) == [0.0, 0.0]


def test_closing_gives_back_what_terms_hold_open():
    class Open(Told):
        closed = False

        def close(self) -> None:
            self.closed = True

    held = Open({})
    composed(THREE, held).close()
    assert held.closed
