import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.evaluation.preference_model import cross_fit
from trainer.evaluation.statistics import Accuracy, accuracy, win_rate
from trainer.gate import QUALITY_LEAST, GateDecision, GateOutcome, decide, pairing_scores
from trainer.gate_options import Rule
from trainer.gate_rules import find
from trainer.guards import GuardResult

HOLDS = GuardResult("empty", True, 0.0, 0.02, "0.0% of the completions are empty (limit 2.0%).")
FAILS = GuardResult("same_text", False, 0.41, 0.1, "41% of the completions are the same text (limit 10%).")
BETTER, EQUAL, WORSE = [0.75, 0.5] * 40, [0.75, 0.25] * 40, [0.25, 0.5] * 40


def right(count: int, of: int) -> Accuracy:
    return accuracy([True] * count + [False] * (of - count))


def outcome(
    guards: list[GuardResult], figures: Accuracy | None, scores: list[float] | None, pairs: int, **more: Any
) -> GateOutcome:
    return decide(guards, figures, scores, pairs, **more).outcome


@pytest.mark.parametrize(
    ("guard", "figures", "scores", "expected"),
    [
        (HOLDS, right(30, 40), BETTER, GateOutcome.promote),
        (HOLDS, right(30, 40), EQUAL, GateOutcome.inconclusive),
        (HOLDS, right(30, 40), WORSE, GateOutcome.reject),
        (HOLDS, right(22, 40), BETTER, GateOutcome.inconclusive),
        (HOLDS, right(22, 40), EQUAL, GateOutcome.inconclusive),
        (HOLDS, right(22, 40), WORSE, GateOutcome.reject),
        (FAILS, right(30, 40), BETTER, GateOutcome.reject),
        (FAILS, right(30, 40), EQUAL, GateOutcome.reject),
        (FAILS, right(30, 40), WORSE, GateOutcome.reject),
        (FAILS, right(22, 40), BETTER, GateOutcome.reject),
        (FAILS, right(22, 40), EQUAL, GateOutcome.reject),
        (FAILS, right(22, 40), WORSE, GateOutcome.reject),
    ],
)
def test_the_truth_table(guard: GuardResult, figures: Accuracy, scores: list[float], expected: GateOutcome) -> None:
    assert outcome([HOLDS, guard], figures, scores, 40) == expected


def test_twenty_pairs_need_fifteen_right() -> None:
    assert outcome([HOLDS], right(15, 20), BETTER, 20) == GateOutcome.promote
    assert outcome([HOLDS], right(14, 20), BETTER, 20) == GateOutcome.inconclusive


def test_nineteen_pairs_are_inconclusive_however_right() -> None:
    decision = decide([HOLDS], right(19, 19), BETTER, 19)
    assert decision.outcome == GateOutcome.inconclusive
    assert decision.reasons == ["There are 19 decided pairs; the gate needs at least 20."]


def test_without_an_accuracy_the_gate_is_inconclusive() -> None:
    decision = decide([HOLDS], None, BETTER, 25)
    assert decision.outcome == GateOutcome.inconclusive
    assert "25 decided pairs" in decision.reasons[0]


def test_without_a_comparison_the_gate_is_inconclusive() -> None:
    decision = decide([HOLDS], right(30, 40), None, 40)
    assert decision.outcome == GateOutcome.inconclusive and decision.win_rate is None
    assert "not compared" in decision.reasons[0]


def test_reasons_of_an_inconclusive_accuracy_name_the_pairs_and_the_interval() -> None:
    reasons = decide([HOLDS], right(22, 40), EQUAL, 40).reasons
    assert "22 of 40 decided pairs (55%" in reasons[0] and "above 50%" in reasons[0]
    assert "50% on 80 held-out prompts" in reasons[1]


def test_a_bound_that_rounds_to_half_is_shown_with_the_digit_that_decides() -> None:
    reasons = decide([HOLDS], right(68, 115), BETTER, 115).reasons
    assert "95% interval 49.992% to" in reasons[0] and "50.0%" not in reasons[0]


def test_a_rejection_by_guards_gives_the_failing_guards_reasons_only() -> None:
    assert decide([HOLDS, FAILS], right(30, 40), BETTER, 40).reasons == [FAILS.reason]


def test_a_promotion_gives_every_figure() -> None:
    decision = decide([HOLDS], right(30, 40), BETTER, 40)
    assert "30 of 40" in decision.reasons[1] and "80 held-out prompts" in decision.reasons[2]
    assert decision.win_rate == win_rate(BETTER) and decision.preference_accuracy == right(30, 40)


def test_a_quality_judge_that_finds_the_candidate_worse_rejects() -> None:
    decision = decide([HOLDS], right(30, 40), BETTER, 40, quality=find([0.0, 0.5] * 40, least=QUALITY_LEAST))
    assert decision.outcome == GateOutcome.reject
    assert decision.guards[-1].name == "quality" and not decision.guards[-1].passed


def test_a_quality_judge_may_find_the_candidate_equal() -> None:
    equal = find([1.0, 0.0] + [0.5] * 78, least=QUALITY_LEAST)
    assert outcome([HOLDS], right(30, 40), BETTER, 40, quality=equal) == GateOutcome.promote


def test_too_few_prompts_to_tell_its_quality_are_told_as_such() -> None:
    few = find([1.0, 0.0] * 20, least=QUALITY_LEAST)
    decision = decide([HOLDS], right(30, 40), BETTER, 40, quality=few)
    assert decision.outcome == GateOutcome.reject
    assert "50% on 40 prompts" in decision.reasons[0] and "more held-out prompts" in decision.reasons[0]


def test_without_a_judge_that_was_asked_for_nothing_is_promoted() -> None:
    decision = decide([HOLDS], right(30, 40), BETTER, 40, unjudged="The judge could not be heard: it is down.")
    assert decision.outcome == GateOutcome.inconclusive
    assert decision.reasons == ["The judge could not be heard: it is down."]


def test_a_judge_that_cannot_be_heard_does_not_save_what_is_worse() -> None:
    assert outcome([FAILS], right(30, 40), BETTER, 40, unjudged="It is down.") == GateOutcome.reject
    assert outcome([HOLDS], right(30, 40), WORSE, 40, unjudged="It is down.") == GateOutcome.reject


def test_the_sequential_rule_names_its_evidence_in_place_of_an_interval() -> None:
    decision = decide([HOLDS], right(30, 40), [1.0] * 30, 40, rule=Rule.sequential)
    assert decision.outcome == GateOutcome.promote
    assert "to 1 after 9 prompts" in decision.reasons[2] and "interval" not in decision.reasons[2]
    undecided = decide([HOLDS], right(30, 40), [1.0, 0.0] * 15, 40, rule=Rule.sequential)
    assert undecided.outcome == GateOutcome.inconclusive and "must reach 20 to 1" in undecided.reasons[0]


def test_a_decision_without_guards_is_refused() -> None:
    with pytest.raises(ValueError, match="run the guards"):
        decide([], right(30, 40), BETTER, 40)


def test_an_accuracy_of_other_pairs_is_refused() -> None:
    with pytest.raises(ValueError, match="of 40 pairs but the run has 39"):
        decide([HOLDS], right(30, 40), BETTER, 39)


def test_pairings_are_all_sixteen_with_equal_scores_as_half() -> None:
    ours, theirs = np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[2.5, 2.5, 0.0, 4.0]])
    # 1: beats 0.0 -> 1; 2: -> 1; 3: beats 2.5, 2.5, 0 -> 3; 4: the same and ties 4.0 -> 3.5; 8.5 of 16
    assert pairing_scores(ours, theirs) == [8.5 / 16]


def test_identical_samples_tie() -> None:
    scores = np.random.default_rng(0).normal(size=(7, 4))
    assert pairing_scores(scores, scores) == [0.5] * 7


@pytest.mark.parametrize(
    ("ours", "theirs", "says"),
    [
        (np.zeros((3, 4)), np.zeros((2, 4)), "same prompts"),
        (np.zeros(4), np.zeros(4), "same prompts"),
        (np.zeros((0, 4)), np.zeros((0, 4)), "at least one prompt"),
        (np.full((1, 4), np.nan), np.zeros((1, 4)), "NaN"),
    ],
)
def test_scores_that_cannot_be_paired_are_refused(ours: np.ndarray, theirs: np.ndarray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        pairing_scores(ours, theirs)


@st.composite
def figures(draw: st.DrawFn) -> tuple[list[bool], list[int], list[float]]:
    guards = draw(st.lists(st.booleans(), min_size=1, max_size=5))
    pairs = draw(st.integers(1, 80))
    correct = draw(st.integers(0, pairs))
    prompts = draw(st.lists(st.integers(0, 32).map(lambda won: won / 32), max_size=40))
    return guards, [correct, pairs], prompts


@settings(max_examples=300, deadline=None)
@given(figures())
def test_the_outcome_follows_the_written_rule(given: tuple[list[bool], list[int], list[float]]) -> None:
    passed, (correct, pairs), scores = given
    decision = decide([HOLDS if hold else FAILS for hold in passed], right(correct, pairs), scores, pairs)
    preferred = win_rate(scores).interval if scores else None
    if not all(passed) or (preferred is not None and preferred.high < 0.5):
        expected = GateOutcome.reject
    elif pairs >= 20 and right(correct, pairs).interval.low > 0.5 and preferred is not None and preferred.low > 0.5:
        expected = GateOutcome.promote
    else:
        expected = GateOutcome.inconclusive
    assert decision.outcome == expected
    assert decision.reasons and all(reason.endswith(".") for reason in decision.reasons)


@settings(max_examples=100, deadline=None)
@given(figures())
def test_a_better_candidate_never_fares_worse(given: tuple[list[bool], list[int], list[float]]) -> None:
    _, (correct, pairs), scores = given
    order = [GateOutcome.reject, GateOutcome.inconclusive, GateOutcome.promote]
    ranks = [
        order.index(outcome([HOLDS], right(count, pairs), share, pairs))
        for count, share in itertools.product((correct, pairs), (scores, [1.0] * max(4, len(scores))))
    ]
    assert ranks[0] <= ranks[2] and ranks[1] <= ranks[3]  # more pairs foretold
    assert not scores or ranks[0] <= ranks[1]  # more pairings won


def simulated_run(seed: int, *, labels_at_random: bool, pairs: int = 40, prompts: int = 60) -> GateDecision:
    """A labeller, a candidate that learnt the labels' own direction by heart, and the gate; features are synthetic.

    The candidate's samples are the initial model's, moved along the mean difference of chosen and rejected: what
    training does to a policy, for labels at random as well.
    """
    rng = np.random.default_rng(seed)
    width = 32
    spread = np.sqrt(1.0 / np.arange(1, width + 1))
    left, right_side = rng.normal(size=(2, pairs, width)) * spread
    wished = (left - right_side) @ (np.arange(width) < 3)
    prefers_left = rng.random(pairs) < (0.5 if labels_at_random else 1 / (1 + np.exp(-3 * wished)))
    chosen = np.where(prefers_left[:, None], left, right_side)
    rejected = np.where(prefers_left[:, None], right_side, left)
    fitted = cross_fit(chosen, rejected, [f"prompt {index}" for index in range(pairs)])
    baseline, candidate = rng.normal(size=(2, prompts, 4, width)) * spread
    candidate = candidate + 0.5 * np.mean(chosen - rejected, axis=0)
    ours, theirs = (fitted.score(side.reshape(-1, width)).reshape(prompts, 4) for side in (candidate, baseline))
    return decide([HOLDS], fitted.figures, pairing_scores(ours, theirs), pairs)


def test_labels_at_random_are_promoted_in_at_most_one_run_of_twenty() -> None:
    outcomes = [simulated_run(seed, labels_at_random=True).outcome for seed in range(100)]
    assert outcomes.count(GateOutcome.promote) <= 5


def test_a_learnt_wish_is_promoted_in_most_runs() -> None:
    outcomes = [simulated_run(seed, labels_at_random=False, pairs=100).outcome for seed in range(30)]
    assert outcomes.count(GateOutcome.promote) >= 24
