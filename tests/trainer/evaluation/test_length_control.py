import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from trainer.evaluation.length_control import (
    Anchors,
    length_controlled,
    length_controlled_interval,
    prompt_difficulty,
    resampled_tanh,
    tanh_length,
)

Made = tuple[np.ndarray, np.ndarray, np.ndarray]


def judged(n: int, *, own: float, length: float, longer_by: float = 0.0, seed: int = 0, hard: bool = True) -> Made:
    """n prompts judged by eta = length * tanh + own: (scores, lengths of the model, of the baseline)."""
    generator = np.random.default_rng(seed)
    theirs = generator.uniform(500, 1500, n)
    mine = np.maximum(theirs + longer_by + generator.normal(0, 300, n), 1)
    p = expit(length * tanh_length(mine, theirs) + own)
    return (generator.random(n) < p).astype(float) if hard else p, mine, theirs


def test_tanh_lengths_by_hand() -> None:
    # differences 100, 0, -100: deviation 100 with two degrees of freedom
    found = tanh_length(np.array([100.0, 200, 300]), np.array([200.0, 200, 200]))
    assert found == pytest.approx([0.761594156, 0.0, -0.761594156])


def test_a_resampled_standardisation_is_that_of_the_rows_it_repeats() -> None:
    difference = np.array([100.0, -40.0, 0.0, 250.0, 60.0])
    counts = np.array([[1.0, 1, 1, 1, 1], [2, 0, 1, 1, 1]])
    repeated = np.array([100.0, 100.0, 0.0, 250.0, 60.0])
    found = resampled_tanh(difference, counts)
    assert found[0] == pytest.approx(tanh_length(np.zeros(5), difference))
    assert found[1, [0, 0, 2, 3, 4]] == pytest.approx(tanh_length(np.zeros(5), repeated))


def test_without_a_length_effect_it_is_the_win_rate() -> None:
    scores, mine, theirs = judged(400, own=0.4, length=0.0, hard=False)
    assert length_controlled(scores, mine, theirs).rate == pytest.approx(float(expit(0.4)), abs=1e-6)


def test_soft_verdicts_made_by_the_model_give_its_coefficients_back() -> None:
    found = length_controlled(*judged(300, own=-0.7, length=-2.0, hard=False))
    assert (found.length, found.own) == (pytest.approx(-2.0, abs=1e-3), pytest.approx(-0.7, abs=1e-3))
    assert found.rate == pytest.approx(float(expit(-0.7)), abs=1e-4)


def test_a_model_that_is_only_longer_comes_back_to_half() -> None:
    scores, mine, theirs = judged(4000, own=0.0, length=-2.0, longer_by=300)
    found = length_controlled(scores, mine, theirs)
    assert scores.mean() > 0.7 and found.rate == pytest.approx(0.5, abs=0.04)


def test_a_model_against_itself_is_at_half() -> None:
    lengths = np.arange(10.0, 60.0)
    found = length_controlled(np.full(50, 0.5), lengths, lengths)
    assert found.rate == pytest.approx(0.5) and found.identifiable


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(-1, 1), st.floats(-200, 200))
def test_the_other_side_has_the_rest(seed: int, own: float, longer_by: float) -> None:
    scores, mine, theirs = judged(80, own=own, length=-1.5, longer_by=longer_by, seed=seed)
    difficulty = np.random.default_rng(seed + 1).normal(size=80)
    there = length_controlled(scores, mine, theirs, difficulty=difficulty)
    back = length_controlled(1 - scores, theirs, mine, difficulty=-difficulty)
    assert there.rate + back.rate == pytest.approx(1)


def test_it_is_sklearns_unpenalised_logistic_regression() -> None:
    scores, mine, theirs = judged(500, own=0.3, length=-1.0, seed=4)
    difficulty = np.random.default_rng(5).normal(size=500)
    design = np.stack([tanh_length(mine, theirs), difficulty, np.ones(500)], axis=1)
    peer = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10, max_iter=1000).fit(design, scores)
    found = length_controlled(scores, mine, theirs, difficulty=difficulty)
    assert [found.length, found.difficulty, found.own] == pytest.approx(peer.coef_[0].tolist(), abs=1e-4)


def test_lengths_that_hardly_overlap_identify_nothing() -> None:
    scores, mine, theirs = judged(100, own=0.5, length=-2.0, longer_by=2000)
    found = length_controlled(scores, mine, theirs)
    assert not found.identifiable and abs(found.mean_tanh) > 0.8


def test_one_side_longer_by_the_same_everywhere_identifies_nothing() -> None:
    theirs = np.arange(100.0, 130.0)
    assert not length_controlled(np.tile([1.0, 0.0], 15), theirs + 50, theirs).identifiable


def test_anchors_hold_the_length_effect_where_the_lengths_do_not() -> None:
    scores, mine, theirs = judged(200, own=-0.5, length=-2.0, longer_by=-2000, seed=2)
    tanh = np.linspace(-0.9, 0.9, 400)
    prompts = tuple(str(i) for i in range(400))
    held = length_controlled(scores, mine, theirs, anchors=Anchors(expit(-2.0 * tanh), tanh, np.zeros(400), prompts))
    assert held.identifiable and held.length == pytest.approx(-2.0, abs=0.2)
    assert abs(held.rate - expit(-0.5)) < abs(length_controlled(scores, mine, theirs).rate - expit(-0.5))


def test_a_known_effect_of_the_judge_holds_it_too() -> None:
    scores, mine, theirs = judged(30, own=0.0, length=-2.0, longer_by=2000, seed=2)
    found = length_controlled(scores, mine, theirs, known_effect=-2.0)
    assert found.identifiable and found.length == pytest.approx(-2.0, abs=0.5)


def test_verdicts_all_one_way_still_have_a_figure() -> None:
    _, mine, theirs = judged(50, own=0.0, length=0.0)
    assert length_controlled(np.ones(50), mine, theirs).rate > 0.99


@pytest.mark.parametrize("scores", [np.ones(9), np.full(20, 1.5), np.full(20, np.nan)])
def test_unusable_rows_are_refused(scores: np.ndarray) -> None:
    lengths = np.arange(float(len(scores)))
    with pytest.raises(ValueError, match="length control needs"):
        length_controlled(scores, lengths, lengths[::-1])


def test_difficulty_is_the_centred_logit_of_past_scores() -> None:
    past = [np.array([1.0, 0.0, 0.5])] * 4 + [np.array([1.0, 0.0, np.nan])]
    found = prompt_difficulty(past)
    # (5 + .5)/6, .5/6 and (2 + .5)/5: logits 2.397895, -2.397895 and 0
    assert found == pytest.approx([2.397895, -2.397895, 0.0], abs=1e-6)


def test_few_past_models_give_no_difficulty() -> None:
    assert prompt_difficulty([np.zeros(3)] * 4) is None


def test_the_interval_repeats_the_fit_and_not_only_the_average() -> None:
    scores, mine, theirs = judged(300, own=0.2, length=-1.5, longer_by=250, seed=3)
    found = length_controlled(scores, mine, theirs)
    interval = length_controlled_interval(scores, mine, theirs, rounds=400)
    assert interval.low < found.rate < interval.high
    # the error of a win rate of as many prompts is .057 wide; the length effect must be estimated besides
    assert interval.high - interval.low > 0.12


def test_the_interval_follows_anchors_by_their_prompt() -> None:
    scores, mine, theirs = judged(100, own=0.2, length=-1.5, seed=3)
    prompts = tuple(str(i) for i in range(100))
    held = Anchors(scores, tanh_length(mine, theirs), np.zeros(100), prompts)
    own = length_controlled_interval(scores, mine, theirs, anchors=held, prompts=prompts, rounds=200)
    apart = length_controlled_interval(scores, mine, theirs, anchors=held, rounds=200)
    assert own != apart


@pytest.mark.slow
def test_the_interval_covers_the_truth_in_95_per_cent_of_simulations() -> None:
    covered = 0
    for seed in range(200):
        interval = length_controlled_interval(*judged(120, own=0.4, length=-1.5, longer_by=150, seed=seed), rounds=200)
        covered += interval.low <= expit(0.4) <= interval.high
    assert 0.90 <= covered / 200 <= 0.99
