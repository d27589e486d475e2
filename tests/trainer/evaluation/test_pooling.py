import numpy as np
import pytest
from scipy.special import expit

from trainer.evaluation.pooling import pool


def judged(n: int, seed: int, *, bias: float = 0.0, noise: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """(people's scores, a judge's soft scores) on n prompts; the judge sees what people say, with noise and a bias."""
    generator = np.random.default_rng(seed)
    taste = generator.normal(0.3, 2.0, n)
    people = (generator.random(n) < expit(taste)).astype(float)
    return people, np.clip(expit(taste + generator.normal(0, noise, n)) + bias, 0, 1)


def test_the_estimate_by_hand() -> None:
    people = np.array([1.0] * 30 + [0.0] * 20)
    judge = np.array([1.0] * 40 + [0.0] * 10)
    elsewhere = np.array([1.0] * 140 + [0.0] * 60)
    found = pool(people, judge, elsewhere)
    # judge elsewhere .7, off by .6 - .8 = -.2; var(elsewhere) = .7*.3*200/199, the ten differences of -1: .2*.8*50/49
    assert found.rate == pytest.approx(0.5)
    assert found.standard_error == pytest.approx(np.sqrt(0.21 / 199 + 0.16 / 49))
    assert (found.people, found.judged, found.weight) == (50, 250, 1.0)


def test_a_biased_judge_does_not_bias_the_estimate() -> None:
    found = [
        pool(*(x[:100] for x in rows), rows[1][100:]).rate for rows in (judged(600, s, bias=0.2) for s in range(100))
    ]
    truth = float(np.mean([judged(600, s)[0].mean() for s in range(100)]))
    assert np.mean(found) == pytest.approx(truth, abs=0.015)


def test_a_judge_that_agrees_narrows_what_people_alone_leave_open() -> None:
    people, judge = judged(1000, 0)
    found = pool(people[:100], judge[:100], judge[100:], weight=None)
    assert found.standard_error < 0.85 * found.people_only_error


def test_the_weight_left_open_is_the_one_with_the_least_error() -> None:
    people, judge = judged(250, 2, noise=1.5)
    split = people[:120], judge[:120], judge[120:]
    errors = [pool(*split, weight=weight).standard_error for weight in np.linspace(0, 1, 101)]
    assert pool(*split, weight=None).weight == pytest.approx(np.argmin(errors) / 100, abs=0.06)


def test_a_judge_at_random_is_given_no_weight() -> None:
    generator = np.random.default_rng(3)
    people = (generator.random(200) < 0.6).astype(float)
    found = pool(people, generator.random(200), generator.random(800), weight=None)
    assert found.weight < 0.2
    assert found.standard_error <= 1.02 * found.people_only_error


def test_no_weight_is_people_alone() -> None:
    people, judge = judged(200, 1)
    found = pool(people[:80], judge[:80], judge[80:], weight=0.0)
    assert found.rate == pytest.approx(people[:80].mean())
    assert found.standard_error == pytest.approx(found.people_only_error)


@pytest.mark.parametrize("weight", [1.0, None])
def test_its_interval_covers_the_truth_in_95_per_cent_of_simulations(weight: float | None) -> None:
    truth = float(expit(np.random.default_rng(9).normal(0.3, 2.0, 1_000_000)).mean())
    covered = 0
    for seed in range(400):
        people, judge = judged(400, seed, bias=0.1, noise=1.0)
        interval = pool(people[:80], judge[:80], judge[80:], weight=weight).interval
        covered += interval.low <= truth <= interval.high
    assert 0.92 <= covered / 400 <= 0.98


@pytest.mark.parametrize(("people", "elsewhere"), [(49, 100), (60, 1)])
def test_too_few_choices_of_people_are_refused(people: int, elsewhere: int) -> None:
    with pytest.raises(ValueError, match="50 or more"):
        pool(np.ones(people), np.ones(people), np.ones(elsewhere))
