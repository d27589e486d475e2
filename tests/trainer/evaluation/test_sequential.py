import math

import numpy as np
import pytest
from scipy import integrate, stats

from trainer.evaluation.sample_size import half_width, prompts_needed, shrunk_by_noise
from trainer.evaluation.sequential import (
    Decision,
    anytime_interval,
    betting_log_e,
    e_value_decision,
    log_e_value,
    sprt,
)

RUNS, PROMPTS = 4000, 400


def counts(score: float, ties: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Wins and losses so far [RUNS, PROMPTS] of models whose mean score is `score`."""
    generator = np.random.default_rng(seed)
    drawn = generator.random((RUNS, PROMPTS))
    win = score - ties / 2
    return np.cumsum(drawn < win, axis=1), np.cumsum(drawn >= win + ties, axis=1)


def log_e_table() -> np.ndarray:
    """log E for every number of wins and losses up to PROMPTS."""
    w, x = np.meshgrid(np.arange(PROMPTS + 1), np.arange(PROMPTS + 1), indexing="ij")
    from scipy.special import betaln

    mixed = betaln(10 + w, 10 + x) - betaln(10, 10)
    return mixed + stats.beta.logsf(0.5, 10 + w, 10 + x) + math.log(2) * (1 + w + x)


def test_no_verdict_is_no_evidence() -> None:
    assert log_e_value(0, 0) == pytest.approx(0.0)


def test_the_e_value_is_the_mean_likelihood_ratio_above_half() -> None:
    def ratio(p: float) -> float:
        return 2 * stats.beta.pdf(p, 10, 10) * (2 * p) ** 7 * (2 * (1 - p)) ** 3

    value, _ = integrate.quad(ratio, 0.5, 1.0)
    assert math.exp(log_e_value(7, 3)) == pytest.approx(value)


def test_the_e_value_is_a_fair_bet_between_equal_models() -> None:
    for wins, losses in ((0, 0), (5, 2), (40, 60), (300, 100)):
        later = (math.exp(log_e_value(wins + 1, losses)) + math.exp(log_e_value(wins, losses + 1))) / 2
        if wins + losses == 0:
            assert later == pytest.approx(1.0)
        assert later <= math.exp(log_e_value(wins, losses)) * (1 + 1e-9)  # at p = .5, the edge of the hypothesis


def test_the_table_of_these_tests_is_the_function() -> None:
    table = log_e_table()
    for wins, losses in ((0, 0), (93, 21), (10, 300)):
        assert table[wins, losses] == pytest.approx(log_e_value(wins, losses))


@pytest.mark.parametrize("ties", [0.0, 0.3, 0.8])
def test_equal_models_are_promoted_in_at_most_5_per_cent_of_runs_looked_at_after_every_prompt(ties: float) -> None:
    wins, losses = counts(0.5, ties)
    ever = (log_e_table()[wins, losses] >= math.log(20)).any(axis=1)
    assert ever.mean() <= 0.05


def test_a_better_model_is_found_in_most_runs() -> None:
    wins, losses = counts(0.6, 0.3)
    assert (log_e_table()[wins, losses] >= math.log(20)).any(axis=1).mean() > 0.9


def test_an_e_value_of_twenty_is_enough() -> None:
    assert e_value_decision(39, 13) is Decision.better  # log E 4.9, of at least 3
    assert e_value_decision(13, 39) is e_value_decision(3, 3) is Decision.undecided


def test_the_sprt_by_hand() -> None:
    found = sprt(3, 1, p1=0.6)
    assert found.llr == pytest.approx(3 * math.log(1.2) + math.log(0.8))
    assert (found.upper, found.lower) == (pytest.approx(math.log(18)), pytest.approx(math.log(0.1 / 0.95)))
    assert found.decision is Decision.undecided
    assert sprt(16, 0, p1=0.6).decision is Decision.better
    assert sprt(0, 11, p1=0.6).decision is Decision.not_better


@pytest.mark.parametrize("p1", [0.5, 0.4, 1.0])
def test_the_sprt_needs_a_win_rate_worth_having(p1: float) -> None:
    with pytest.raises(ValueError, match="p1"):
        sprt(1, 1, p1=p1)


def test_the_sprt_keeps_both_its_errors() -> None:
    def ended(score: float) -> tuple[float, float]:
        wins, losses = counts(score, 0.0)
        llr = wins * math.log(1.2) + losses * math.log(0.8)
        up, down = llr >= math.log(18), llr <= math.log(0.1 / 0.95)
        first_up = np.where(up.any(axis=1), up.argmax(axis=1), PROMPTS)
        first_down = np.where(down.any(axis=1), down.argmax(axis=1), PROMPTS)
        return float((first_up < first_down).mean()), float((first_down < first_up).mean())

    assert ended(0.5)[0] <= 0.055 and ended(0.6)[1] <= 0.105


def test_the_anytime_interval_holds_at_every_look() -> None:
    wins, losses = counts(0.55, 0.0, seed=2)
    missed = np.zeros(500, dtype=bool)
    for n in range(9, PROMPTS, 10):
        for run in np.flatnonzero(~missed):
            interval = anytime_interval(int(wins[run, n]), int(losses[run, n]))
            missed[run] = not interval.low <= 0.55 <= interval.high
    assert missed.mean() <= 0.05


def test_the_anytime_interval_is_wider_than_one_look_needs_and_closes_in() -> None:
    assert anytime_interval(0, 0).low == 0 and anytime_interval(0, 0).high == 1
    early, late = anytime_interval(12, 8), anytime_interval(1200, 800)
    assert early.low < late.low < 0.6 < late.high < early.high
    assert anytime_interval(50, 0).high == 1.0 and anytime_interval(0, 50).low == 0.0
    left, right = anytime_interval(30, 10), anytime_interval(10, 30)
    assert left.low == pytest.approx(1 - right.high)


def test_bets_come_from_earlier_scores_only() -> None:
    there = betting_log_e([0.9, 0.8, 0.7, 0.1])
    assert there[:3] == pytest.approx(betting_log_e([0.9, 0.8, 0.7, 1.0])[:3])
    assert there[0] == 0.0  # nothing is known before the first score


def test_the_second_bet_by_hand() -> None:
    # after one score of 1: mean (.5 + 1)/2 = .75, variance (.25 + .0625)/2 = .15625; bet 1.14, at most 1
    assert betting_log_e([1.0, 1.0])[1] == pytest.approx(math.log(1 + 0.5))


@pytest.mark.parametrize("ties", [0.0, 0.3, 0.8])
def test_betting_promotes_equal_models_in_at_most_5_per_cent_of_runs(ties: float) -> None:
    generator = np.random.default_rng(4)
    p = [(1 - ties) / 2, ties, (1 - ties) / 2]
    runs = generator.choice([0.0, 0.5, 1.0], p=p, size=(1000, PROMPTS))
    assert np.mean([betting_log_e(run).max() >= math.log(20) for run in runs]) <= 0.05


def test_betting_finds_a_better_model_from_soft_scores() -> None:
    generator = np.random.default_rng(5)
    runs = generator.beta(3.0, 2.0, size=(200, PROMPTS))  # mean .6
    assert np.mean([betting_log_e(run).max() >= math.log(20) for run in runs]) > 0.95


@pytest.mark.parametrize("scores", [[1.5], [float("nan")]])
def test_betting_refuses_what_is_no_score(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="betting needs scores"):
        betting_log_e(scores)


def test_negative_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        log_e_value(-1, 0)


@pytest.mark.parametrize(
    ("score", "ties", "power", "n"),
    [(0.6, 0.0, 0.8, 194), (0.55, 0.0, 0.9, 1047), (0.6, 0.3, 0.9, 180), (0.4, 0.0, 0.8, 194)],
)
def test_prompts_needed_by_the_table(score: float, ties: float, power: float, n: int) -> None:
    assert prompts_needed(score, tie_rate=ties, power=power) == n


@pytest.mark.parametrize("ties", [0.0, 0.3])
def test_the_planned_prompts_give_the_planned_power(ties: float) -> None:
    n = prompts_needed(0.6, tie_rate=ties)
    generator = np.random.default_rng(6)
    drawn = generator.choice([1.0, 0.5, 0.0], p=[0.6 - ties / 2, ties, 0.4 - ties / 2], size=(4000, n))
    z = (drawn.mean(axis=1) - 0.5) / np.sqrt(drawn.var(axis=1, ddof=1) / n)
    assert (np.abs(z) > 1.96).mean() == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(("score", "ties"), [(0.5, 0.0), (0.7, 0.7), (0.6, 1.0)])
def test_what_no_number_of_prompts_can_tell_is_refused(score: float, ties: float) -> None:
    with pytest.raises(ValueError, match=r"told from|shares"):
        prompts_needed(score, tie_rate=ties)


def test_half_widths_by_the_table() -> None:
    assert [round(100 * half_width(n), 1) for n in (50, 100, 805)] == [13.9, 9.8, 3.5]
    assert half_width(100, tie_rate=0.3) < half_width(100)


def test_a_noisy_judge_shrinks_the_edge() -> None:
    assert shrunk_by_noise(0.6, 0.8) == pytest.approx(0.56)
    assert shrunk_by_noise(0.6, 0.5) == pytest.approx(0.5)
