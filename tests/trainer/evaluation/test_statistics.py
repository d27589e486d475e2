import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trainer.evaluation.statistics import accuracy, interval_of_estimate, standard_error, wilson, win_rate

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "intervals.json.gz"


def test_wilson_gives_the_textbook_interval_for_fifteen_of_twenty() -> None:
    interval = wilson(15, 20)
    assert interval.low == pytest.approx(0.5312994, abs=1e-6)  # statsmodels' proportion_confint
    assert interval.high == pytest.approx(0.8881383, abs=1e-6)


def test_twenty_pairs_need_fifteen_right_to_be_above_half() -> None:
    assert wilson(15, 20).low > 0.5 > wilson(14, 20).low


def test_wilson_is_mirrored_when_wins_and_losses_change_places() -> None:
    left, right = wilson(3, 17), wilson(14, 17)
    assert left.low == pytest.approx(1 - right.high) and left.high == pytest.approx(1 - right.low)


def test_wilson_reaches_exactly_zero_and_one_at_the_ends() -> None:
    assert wilson(0, 10).low == 0 and wilson(10, 10).high == 1


def test_a_higher_confidence_gives_a_wider_interval() -> None:
    assert wilson(6, 10, 0.99).low < wilson(6, 10, 0.95).low < wilson(6, 10, 0.5).low


@pytest.mark.parametrize("counts", [(1, 0, 0.95), (-1, 5, 0.95), (6, 5, 0.95), (1, 5, 95)])
def test_wilson_refuses_impossible_counts(counts: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="got"):
        wilson(*counts)


def test_accuracy_counts_the_correct_pairs() -> None:
    result = accuracy([True] * 15 + [False] * 5)
    assert (result.right, result.n, result.rate) == (15, 20, 0.75)
    assert result.interval == wilson(15, 20)


def test_accuracy_of_no_pairs_is_refused() -> None:
    with pytest.raises(ValueError, match="n = 0"):
        accuracy([])


def test_a_win_rate_without_ties_is_wilson_with_one_trial_fewer() -> None:
    result = win_rate([1.0] * 10 + [0.0] * 10)
    assert result.n_effective == pytest.approx(19)
    assert result.interval.low == pytest.approx(wilson(9.5, 19).low)


def test_ties_narrow_the_interval() -> None:
    decided, tied = win_rate([1.0, 0.0] * 50), win_rate([1.0, 0.0] * 10 + [0.5] * 80)
    assert decided.rate == tied.rate == 0.5
    assert tied.interval.low > decided.interval.low + 0.04


@pytest.mark.parametrize("score", [0.0, 0.1, 0.5, 0.7, 1.0])
def test_scores_without_spread_fall_back_to_the_number_of_prompts(score: float) -> None:
    assert win_rate([score] * 30).n_effective == 30


def test_a_single_score_has_an_interval_too() -> None:
    assert win_rate([1.0]).interval == wilson(1, 1)


@pytest.mark.parametrize("scores", [[], [0.5, 1.1], [-0.1], [float("nan")]])
def test_missing_and_impossible_scores_are_refused(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="got"):
        win_rate(scores)


@pytest.mark.parametrize("prompts", [30, 60, 100, 200])
@pytest.mark.parametrize("ties", [0.0, 0.3, 0.5, 0.85])
def test_the_interval_covers_the_truth_in_95_per_cent_of_simulations(prompts: int, ties: float) -> None:
    rng = np.random.default_rng(1000 * prompts + int(100 * ties))
    rounds, win_share = 4000, 0.55
    wins = (1 - ties) * win_share
    counts = rng.multinomial(prompts, [wins, ties, 1 - wins - ties], size=rounds)
    truth = wins + ties / 2
    covered = 0
    for (w, t, loss), repeats in zip(*np.unique(counts, axis=0, return_counts=True), strict=True):
        interval = win_rate([1.0] * w + [0.5] * t + [0.0] * loss).interval
        covered += repeats * (interval.low <= truth <= interval.high)
    assert 0.925 <= covered / rounds <= 0.975


def test_the_standard_error_by_hand() -> None:
    # 1 0 .5 1: deviations^2 sum to .6875, / 3 / 4, root
    assert standard_error([1, 0, 0.5, 1]) == pytest.approx(0.23935678)
    with pytest.raises(ValueError, match="got 1"):
        standard_error([1.0])


def test_the_interval_of_an_estimate_is_that_of_a_mean_with_its_error() -> None:
    scores = [1.0] * 30 + [0.5] * 10 + [0.0] * 20
    mean = win_rate(scores)
    assert interval_of_estimate(mean.rate, standard_error(scores)).low == pytest.approx(mean.interval.low)


@pytest.mark.parametrize(("rate", "error"), [(0.0, 0.1), (1.0, 0.1), (0.5, 0.0)])
def test_an_estimate_without_spread_has_no_such_interval(rate: float, error: float) -> None:
    with pytest.raises(ValueError, match="n_eff"):
        interval_of_estimate(rate, error)


def test_importing_it_loads_neither_torch_nor_numpy() -> None:
    loaded = "any(name in sys.modules for name in ('torch', 'numpy', 'scipy'))"
    code = f"import sys, trainer.evaluation.statistics; print({loaded})"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"


def test_wilson_agrees_with_statsmodels_on_the_golden_counts() -> None:
    for case in json.loads(gzip.decompress(GOLDEN.read_bytes()))["intervals"]:
        interval = wilson(case["wins"], case["n"])
        assert [interval.low, interval.high] == pytest.approx(case["wilson"], abs=1e-9)


def test_win_rate_agrees_with_the_golden_intervals_with_ties() -> None:
    for case in json.loads(gzip.decompress(GOLDEN.read_bytes()))["neff_wilson"]:
        result = win_rate([1.0] * case["w"] + [0.5] * case["t"] + [0.0] * case["l"])
        assert result.n_effective == pytest.approx(case["n_eff"], abs=1e-9)
        assert result.interval.low == pytest.approx(case["lo"], abs=1e-9)
        assert result.interval.high == pytest.approx(case["hi"], abs=1e-9)


def test_counted_scores_are_the_scores_themselves() -> None:
    counted = win_rate([0.0, 0.5, 1.0], counts=[2, 1, 4])
    assert counted == win_rate([0.0, 0.0, 0.5, 1.0, 1.0, 1.0, 1.0])
