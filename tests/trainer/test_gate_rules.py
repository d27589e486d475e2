"""The gate's two rules, simulated through `decide` itself: how often equal models pass, how often better ones do."""

import math
from collections.abc import Iterable

import numpy as np
import pytest

from trainer.evaluation.sample_size import SEQUENTIAL_FACTOR, prompts_needed
from trainer.evaluation.statistics import accuracy
from trainer.gate import QUALITY_LEAST, GateOutcome, decide
from trainer.gate_options import Rule
from trainer.gate_rules import Finding, find, shown_worse
from trainer.guards import GuardResult

RUNS = 4000
HOLDS = GuardResult("empty", True, 0.0, 0.02, "0.0% of the completions are empty (limit 2.0%).")
FORETOLD = accuracy([True] * 40)  # question (a) holds for certain, so that everything hangs on the win rate
PLANNED = prompts_needed(0.6)
PLANNED_SEQUENTIAL = prompts_needed(0.6, factor=SEQUENTIAL_FACTOR)


def drawn(score: float, ties: float, prompts: int, *, runs: int = RUNS, seed: int = 0) -> list[list[float]]:
    """Per-prompt scores of models whose true win rate is `score`, a share `ties` of them tied."""
    wins = score - ties / 2
    generator = np.random.default_rng(seed)
    scores = generator.choice([1.0, 0.5, 0.0], p=[wins, ties, 1 - ties - wins], size=(runs, prompts))
    return [[float(value) for value in run] for run in scores]


def promoted(runs: Iterable[list[float]], rule: Rule) -> float:
    return float(
        np.mean([decide([HOLDS], FORETOLD, run, 40, rule=rule).outcome is GateOutcome.promote for run in runs])
    )


@pytest.mark.parametrize("ties", [0.0, 0.3, 0.8])
def test_the_fixed_rule_promotes_equal_models_in_at_most_3_5_per_cent_of_runs(ties: float) -> None:
    assert promoted(drawn(0.5, ties, PLANNED), Rule.fixed) <= 0.035


@pytest.mark.parametrize("ties", [0.0, 0.3, 0.8])
def test_the_sequential_rule_promotes_equal_models_in_at_most_5_per_cent_of_runs(ties: float) -> None:
    # it bets on every prompt in turn: a look after each is part of it (the next test)
    assert promoted(drawn(0.5, ties, PLANNED_SEQUENTIAL), Rule.sequential) <= 0.05


def test_looking_after_every_prompt_decides_what_the_last_look_does() -> None:
    def first_look(run: list[float]) -> Finding | None:
        looks = (find(run[:seen], Rule.sequential) for seen in range(1, len(run) + 1))
        return next((found for found in looks if found.settled), None)

    settled = 0
    for run in drawn(0.58, 0.3, 60, runs=40) + drawn(0.4, 0.0, 60, runs=40):
        early, late = first_look(run), find(run, Rule.sequential)
        settled += early is not None
        assert (early is not None) == late.settled
        if early is not None:
            assert (early.above, early.below, early.settled_at) == (late.above, late.below, late.settled_at)
            assert early.settled_at == early.rate.n  # the first look that could know did
    assert settled >= 10


def test_the_planned_prompts_find_a_true_60_per_cent_by_the_fixed_rule_in_80_per_cent_of_gates() -> None:
    # exactly: the chance of each number of wins, times whether the gate promotes at it
    power = sum(
        math.comb(PLANNED, wins) * 0.6**wins * 0.4 ** (PLANNED - wins)
        for wins in range(PLANNED + 1)
        if promoted([[1.0] * wins + [0.0] * (PLANNED - wins)], Rule.fixed)
    )
    assert 0.80 <= power <= 0.83


def test_the_planned_prompts_find_a_true_60_per_cent_by_the_sequential_rule_in_80_per_cent_of_gates() -> None:
    power = promoted(drawn(0.6, 0.0, PLANNED_SEQUENTIAL, seed=1), Rule.sequential)
    assert 0.80 <= power <= 0.86


def test_ties_cost_the_fixed_plan_no_power() -> None:
    assert promoted(drawn(0.6, 0.3, PLANNED, runs=1000, seed=2), Rule.fixed) >= 0.90


def test_a_candidate_as_sound_as_the_served_one_is_found_no_worse_by_both_rules() -> None:
    judged = drawn(0.5, 0.8, 300, runs=50, seed=3)
    for rule in Rule:
        assert np.mean([find(run, rule, least=QUALITY_LEAST).above for run in judged]) >= 0.9


def test_a_candidate_at_the_quality_limit_is_let_through_in_at_most_5_per_cent_of_gates() -> None:
    judged = drawn(QUALITY_LEAST, 0.3, 300, runs=1000, seed=4)
    for rule in Rule:
        assert np.mean([find(run, rule, least=QUALITY_LEAST).above for run in judged]) <= 0.05


def test_a_worse_candidate_is_found_worse_by_both_rules() -> None:
    run = [0.0, 0.0, 0.5, 0.0, 1.0] * 20
    for rule in Rule:
        found = find(run, rule)
        assert found.below and not found.above


def test_evidence_that_came_first_stands_whatever_follows() -> None:
    found = find([1.0] * 12 + [0.0] * 80, Rule.sequential)
    assert found.above and not found.below and found.settled_at == 9  # 1.5^8 is the first power of 1.5 above 20


def test_scores_that_were_never_made_are_refused() -> None:
    for rule in Rule:
        with pytest.raises(ValueError, match="at least one score"):
            find([], rule)


def test_what_was_liked_first_can_still_be_shown_worse() -> None:
    assert shown_worse([1.0] * 12 + [0.0] * 60)
    assert not shown_worse([1.0, 0.0] * 40) and not shown_worse([])


def test_seven_losses_in_a_row_show_that_it_is_worse_and_ties_say_nothing() -> None:
    assert shown_worse([0.0] * 7) and not shown_worse([0.0] * 6)
    assert shown_worse([0.5, 0.0] * 7) and not shown_worse([0.5] * 200)


@pytest.mark.parametrize("ties", [0.0, 0.3, 0.8])
def test_an_equal_checkpoint_is_shown_worse_at_some_look_in_at_most_5_per_cent_of_lives(ties: float) -> None:
    known: dict[tuple[int, int], bool] = {}

    def worse(wins: int, losses: int) -> bool:
        if (wins, losses) not in known:
            known[wins, losses] = shown_worse([1.0] * wins + [0.0] * losses)
        return known[wins, losses]

    struck = 0
    for run in drawn(0.5, ties, 100, seed=5):
        wins = np.cumsum(np.array(run) > 0.5).tolist()
        losses = np.cumsum(np.array(run) < 0.5).tolist()
        struck += any(worse(w, lost) for w, lost in zip(wins, losses, strict=True))
    assert struck / RUNS <= 0.05
