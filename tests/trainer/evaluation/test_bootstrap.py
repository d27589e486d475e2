import numpy as np
import pytest
from scipy import stats

from trainer.evaluation.bootstrap import bootstrap, bootstrap_mean, percentile_interval, resampled_counts
from trainer.evaluation.statistics import win_rate


def test_every_round_draws_as_many_prompts_as_there_are() -> None:
    counts = resampled_counts(7, rounds=50, seed=3)
    assert counts.shape == (50, 7) and set(counts.sum(axis=1)) == {7}


def test_the_same_seed_gives_the_same_interval() -> None:
    scores = np.random.default_rng(0).random(60)
    assert bootstrap_mean(scores, seed=5) == bootstrap_mean(scores, seed=5) != bootstrap_mean(scores, seed=6)


def test_it_agrees_with_scipys_bca_interval() -> None:
    scores = np.random.default_rng(1).beta(0.5, 2.0, size=80)
    ours = bootstrap_mean(scores, rounds=8000)
    peer = stats.bootstrap((scores,), np.mean, method="BCa", n_resamples=8000, rng=np.random.default_rng(2))
    assert [ours.low, ours.high] == pytest.approx(list(peer.confidence_interval), abs=0.004)


def test_bca_moves_towards_the_long_tail_where_percentiles_do_not() -> None:
    scores = np.random.default_rng(1).beta(0.3, 3.0, size=40)
    plain, corrected = bootstrap_mean(scores, corrected=False), bootstrap_mean(scores)
    assert corrected.low > plain.low and corrected.high > plain.high


def test_it_agrees_with_the_wilson_interval_of_a_win_rate() -> None:
    scores = [1.0] * 110 + [0.5] * 40 + [0.0] * 50
    ours, exact = bootstrap_mean(np.array(scores)), win_rate(scores).interval
    assert [ours.low, ours.high] == pytest.approx([exact.low, exact.high], abs=0.01)


def test_equal_scores_have_an_interval_without_width() -> None:
    interval = bootstrap_mean(np.full(20, 0.5))
    assert (interval.low, interval.high) == (0.5, 0.5)


def test_rounds_without_a_figure_are_left_out_until_they_are_too_many() -> None:
    draws = np.array([0.1] * 95 + [np.nan] * 5)
    assert percentile_interval(draws).low == pytest.approx(0.1)
    with pytest.raises(ValueError, match="too little data"):
        percentile_interval(np.array([0.1] * 80 + [np.nan] * 20))


def test_any_figure_can_be_resampled() -> None:
    a, b = np.array([1.0, 2.0, 3.0, 4.0] * 10), np.array([2.0, 4.0, 6.0, 8.0] * 10)
    ratio = bootstrap(lambda counts: (counts @ a) / (counts @ b), units=40)
    assert (ratio.low, ratio.high) == (pytest.approx(0.5), pytest.approx(0.5))


def test_no_prompts_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one prompt"):
        resampled_counts(0)
