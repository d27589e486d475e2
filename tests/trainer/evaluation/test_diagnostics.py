import numpy as np
import pytest

from trainer.evaluation.diagnostics import position_effect, preference_for, self_preference


def test_a_position_effect_worked_by_hand() -> None:
    # first: 1 1 0, second: 0 1 0; means 2/3 and 1/3
    found = position_effect([1, 1, 0, 0, 1, 0], [True] * 3 + [False] * 3, list("pqrstu"), ["m"] * 6)
    assert found.effect == pytest.approx(1 / 3)
    assert (found.first, found.second, found.both) == (3, 3, 0)


def test_both_orders_of_a_prompt_are_a_paired_difference() -> None:
    prompts = [str(i) for i in range(20)]
    strong = [1.0, 0.0] * 10
    scores = strong + [max(0.0, s - 0.1) for s in strong]
    found = position_effect(scores, [True] * 20 + [False] * 20, prompts * 2, ["m"] * 40)
    assert found.effect == pytest.approx(0.05) and found.interval is not None
    assert found.interval.high - found.interval.low < 0.06  # unpaired it would be .6
    assert not found.alarm


def test_flips_are_counted_where_both_orders_are_known() -> None:
    found = position_effect([1, 0, 1, 1, 0.5, 1], [True, False] * 3, list("ppqqrr"), ["m"] * 6)
    assert (found.flips, found.both) == (1, 3)
    assert found.alarm  # a third flips


def test_a_strong_model_shown_first_is_no_position_effect() -> None:
    scores = [1.0] * 30 + [1.0] * 10 + [0.0] * 10 + [0.0] * 30
    first = [True] * 30 + [False] * 10 + [True] * 10 + [False] * 30
    found = position_effect(scores, first, [str(i) for i in range(80)], ["strong"] * 40 + ["weak"] * 40)
    assert found.effect == pytest.approx(0.0)


def test_one_order_only_tells_no_effect() -> None:
    found = position_effect([1, 0], [True, True], ["p", "q"], ["m", "m"])
    assert (found.effect, found.interval, found.alarm) == (None, None, False)
    assert position_effect([], [], [], []).effect is None


def test_intervals_cover_the_truth_in_95_per_cent_of_simulations() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        first = generator.random(200) < 0.5
        scores = (generator.random(200) < np.where(first, 0.6, 0.5)).astype(float)
        interval = position_effect(scores.tolist(), first.tolist(), [str(i) for i in range(200)], ["m"] * 200).interval
        assert interval is not None
        covered += interval.low <= 0.1 <= interval.high
    assert 0.92 <= covered / 300 <= 0.98


def test_the_longer_text_wins_by_hand() -> None:
    # leads 100, -100, 20, -50: the third is too close; the longer one wins in the first and the second
    found = preference_for([1, 0, 0, 1], [100, -100, 20, -50], list("pqrs"), gap=30)
    assert (found.rate, found.n) == (pytest.approx(2 / 3), 3)


def test_rows_of_one_prompt_are_averaged_first() -> None:
    found = preference_for([1, 1, 1, 0], [5, 5, 5, 5], list("pppq"))
    assert (found.rate, found.n) == (0.5, 2)


def test_equal_lengths_throughout_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one score"):
        preference_for([1, 0], [0, 0], ["p", "q"])


def test_self_preference_is_what_people_do_not_share() -> None:
    generator = np.random.default_rng(0)
    people = (generator.random(400) < 0.5).astype(float)
    judge = np.maximum(people, (generator.random(400) < 0.2).astype(float))
    found = self_preference(judge.tolist(), people.tolist())
    assert found.excess == pytest.approx(0.1, abs=0.05) and found.interval.low > 0
    fair = self_preference(people.tolist(), people.tolist())
    assert (fair.excess, fair.interval.low) == (0.0, 0.0)


def test_self_preference_needs_the_same_prompts() -> None:
    with pytest.raises(ValueError, match="same prompts"):
        self_preference([1, 0], [1])
