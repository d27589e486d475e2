import choix
import evalica
import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.evaluation.bradley_terry import fit_bradley_terry
from trainer.evaluation.connectivity import connectivity
from trainer.evaluation.newton import NoOptimum
from trainer.evaluation.ratings import POINTS, rate
from trainer.evaluation.style import style_control, style_difference

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


def drawn(strengths: list[float], rows: int, *, ties: float = 0.0, seed: int = 0) -> Rows:
    """Comparisons among models of known strengths in logits: (a, b, a's score)."""
    generator = np.random.default_rng(seed)
    theta = np.array(strengths)
    a = generator.integers(0, len(theta), rows)
    b = (a + generator.integers(1, len(theta), rows)) % len(theta)
    won = generator.random(rows) < 1 / (1 + np.exp(theta[b] - theta[a]))
    return a, b, np.where(generator.random(rows) < ties, 0.5, won.astype(float))


def of(*rows: tuple[int, int, float]) -> Rows:
    a, b, scores = zip(*rows, strict=True)
    return np.array(a), np.array(b), np.array(scores, dtype=float)


def test_two_models_differ_by_the_logit_of_the_win_rate() -> None:
    # 3 of 4: logit ln 3, so 400 log10 3 = 190.85 points, and the information error 1/sqrt(4 * 3/16) logits
    a, b, scores = of(*[(0, 1, 1)] * 3, (0, 1, 0))
    fit = fit_bradley_terry(a, b, scores, 2)
    assert fit.strengths[0] - fit.strengths[1] == pytest.approx(np.log(3))
    gap = np.array([1, -1])
    assert gap @ fit.information @ gap == pytest.approx(16 / 12)
    assert gap @ fit.sandwich @ gap == pytest.approx(16 / 12)  # the same without ties


def test_a_tie_is_half_a_win_and_half_a_loss() -> None:
    halves = fit_bradley_terry(*of((0, 1, 0.5), (0, 1, 1), (1, 2, 1), (2, 0, 1)), 3)
    split = fit_bradley_terry(
        *of((0, 1, 1), (0, 1, 0), (0, 1, 1), (1, 2, 1), (2, 0, 1)), 3, weights=np.array([0.5, 0.5, 1, 1, 1])
    )
    assert halves.strengths == pytest.approx(split.strengths)


def test_it_agrees_with_choix_and_evalica() -> None:
    a, b, scores = drawn([0.0, 0.5, -0.4, 1.0], 600)
    fit = fit_bradley_terry(a, b, scores, 4)
    wins = [(int(x), int(y)) if s == 1 else (int(y), int(x)) for x, y, s in zip(a, b, scores, strict=True)]
    assert fit.strengths == pytest.approx(choix.opt_pairwise(4, wins, tol=1e-12), abs=1e-4)
    winners = [evalica.Winner.X if s == 1 else evalica.Winner.Y for s in scores]
    peer = evalica.bradley_terry([str(x) for x in a], [str(y) for y in b], winners, tolerance=1e-12)
    logits = np.log([float(peer.scores[str(i)]) for i in range(4)])
    assert fit.strengths == pytest.approx(logits - logits.mean(), abs=1e-4)


@pytest.mark.parametrize("clustered", [False, True])
def test_errors_are_statsmodels_robust_ones(clustered: bool) -> None:
    a, b, scores = drawn([0.0, 0.5, -0.4, 1.0], 500, ties=0.3)
    clusters = np.arange(500) // 5
    design = np.zeros((500, 4))
    design[np.arange(500), a], design[np.arange(500), b] = 1, -1
    model = sm.GLM(scores, design[:, 1:], family=sm.families.Binomial())
    options = {"groups": clusters, "use_correction": False}
    peer = model.fit(cov_type="cluster", cov_kwds=options) if clustered else model.fit(cov_type="HC0")
    fit = fit_bradley_terry(a, b, scores, 4, clusters=clusters if clustered else None)
    gaps = np.array([[-1, 1, 0, 0], [-1, 0, 1, 0], [-1, 0, 0, 1]])  # theirs are differences from the first
    assert gaps @ fit.strengths == pytest.approx(peer.params, abs=1e-6)
    assert np.sqrt(np.diag(gaps @ fit.sandwich @ gaps.T)) == pytest.approx(peer.bse, rel=1e-5)


def test_each_row_its_own_cluster_is_no_cluster() -> None:
    a, b, scores = drawn([0.0, 0.3, -0.2], 200, ties=0.2)
    alone = fit_bradley_terry(a, b, scores, 3, clusters=np.arange(200))
    assert alone.sandwich == pytest.approx(fit_bradley_terry(a, b, scores, 3).sandwich)


def test_rows_said_twice_on_one_prompt_do_not_make_the_interval_narrower() -> None:
    a, b, scores = drawn([0.0, 0.3, -0.2], 200)
    once = fit_bradley_terry(a, b, scores, 3, clusters=np.arange(200))
    twice = fit_bradley_terry(*(np.tile(x, 2) for x in (a, b, scores)), 3, clusters=np.tile(np.arange(200), 2))
    assert twice.sandwich == pytest.approx(once.sandwich)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_who_stands_first_and_in_which_order_rows_come_does_not_matter(seed: int) -> None:
    a, b, scores = drawn([0.0, 0.5, -0.5], 60, ties=0.3, seed=seed)
    order = np.random.default_rng(seed).permutation(60)
    there = rate(a, b, scores, 3)
    back = rate(b[order], a[order], 1 - scores[order], 3)
    for x, y in zip(there.models, back.models, strict=True):
        assert x is not None and y is not None
        assert (x.rating, x.standard_error) == (pytest.approx(y.rating), pytest.approx(y.standard_error))
        assert (x.wins, x.losses, x.ties) == (y.wins, y.losses, y.ties)


def test_ratings_average_1000_and_count_every_comparison() -> None:
    rated = rate(*drawn([0.0, 0.5, -0.5], 90, ties=0.2), 3).models
    assert np.mean([model.rating for model in rated if model]) == pytest.approx(1000)
    assert sum(model.comparisons for model in rated if model) == 180


def test_comparisons_with_itself_rate_nobody() -> None:
    rows = drawn([0.0, 0.5], 40)
    more = tuple(np.concatenate([x, y]) for x, y in zip(rows, of((0, 0, 1.0), (2, 2, 0.5)), strict=True))
    assert rate(*more, 3).models[:2] == rate(*rows, 3).models[:2]
    assert rate(*more, 3).models[2] is None


def test_few_comparisons_are_rated_but_not_ranked() -> None:
    model = rate(*of((0, 1, 1), (1, 2, 1), (2, 0, 1)), 3).models[0]
    assert model is not None and model.ranks is None
    assert model.reason == "not enough comparisons: 2 of at least 30"


def test_two_ties_do_not_make_a_confident_rating() -> None:
    a, b, scores = drawn([0.0, 0.2], 300)
    rows = tuple(np.concatenate([x, y]) for x, y in zip((a, b, scores), of((2, 0, 0.5), (2, 1, 0.5)), strict=True))
    model = rate(*rows, 3).models[2]
    assert model is not None and model.standard_error > 150 and model.ranks is None


def test_a_model_that_never_lost_gets_a_finite_rating_by_a_prior_that_is_told() -> None:
    a, b, scores = drawn([0.0, 0.2], 100)
    rows = tuple(np.concatenate([x, y]) for x, y in zip((a, b, scores), of(*[(2, 0, 1.0)] * 40), strict=True))
    with pytest.raises(NoOptimum):
        fit_bradley_terry(*rows, 3)
    found = rate(*rows, 3).models
    best = found[2]
    assert best is not None and best.prior and best.reason == "not enough comparisons: no loss among 40"
    assert 1300 < best.rating < 3000 and np.isfinite(best.standard_error)
    assert best.ranks is None and all(model is not None and model.prior for model in found)


def test_models_that_nothing_links_are_islands() -> None:
    a, b, scores = drawn([0.0, 0.4, 0.8], 300)
    c, d, others = drawn([0.0, 0.4], 100, seed=1)
    found = rate(np.append(a, c + 3), np.append(b, d + 3), np.append(scores, others), 5).models
    assert [model.island for model in found if model] == [0, 0, 0, 1, 1]
    assert not any(model.prior for model in found if model)
    lone = found[3]
    assert lone is not None and lone.reason == "no chain of comparisons links it to most of the models"
    alone = rate(c, d, others, 2).models[0]
    assert alone is not None and lone.rating == pytest.approx(alone.rating)


def test_a_cycle_of_wins_is_strongly_connected_and_a_chain_is_not() -> None:
    assert connectivity(*of((0, 1, 1), (1, 2, 1), (2, 0, 1)), 3).finite.tolist() == [True]
    assert connectivity(*of((0, 1, 1), (1, 2, 1)), 3).finite.tolist() == [False]
    assert connectivity(*of((0, 1, 0.5), (1, 2, 0.5)), 3).finite.tolist() == [True]


def test_ranks_are_ranges_of_what_the_data_can_tell_apart() -> None:
    found = rate(*drawn([2.0, 0.02, 0.0, -2.0], 1200, seed=2), 4).models
    assert [model.ranks for model in found if model] == [(1, 1), (2, 3), (2, 3), (4, 4)]


def test_ranks_of_equal_models_hold_together_in_95_per_cent_of_simulations() -> None:
    wrong = 0
    for seed in range(200):
        found = rate(*drawn([0.0] * 6, 600, seed=seed), 6).models
        wrong += any(model is not None and model.ranks != (1, 6) for model in found)
    assert wrong / 200 <= 0.08


def test_intervals_cover_the_truth_in_95_per_cent_of_simulations() -> None:
    truth = [0.6, 0.1, -0.2, -0.5]
    covered = 0
    for seed in range(250):
        found = rate(*drawn(truth, 200, seed=seed), 4).models
        for model, theta in zip(found, truth, strict=True):
            assert model is not None
            covered += model.interval.low <= 1000 + POINTS * theta <= model.interval.high
    assert 0.93 <= covered / 1000 <= 0.97


def test_a_cycle_is_told_by_its_residuals() -> None:
    rows = of(*[(0, 1, 1.0)] * 45, *[(0, 1, 0.0)] * 5, *[(1, 2, 1.0)] * 45, *[(1, 2, 0.0)] * 5)
    cycle = tuple(
        np.concatenate([x, y]) for x, y in zip(rows, of(*[(2, 0, 1.0)] * 45, *[(2, 0, 0.0)] * 5), strict=True)
    )
    found = rate(*cycle, 3)
    assert [model.rating for model in found.models if model] == pytest.approx([1000] * 3)
    assert len(found.residuals) == 3 and all(abs(residual.z) > 3 for residual in found.residuals)
    # .9 observed, .5 fitted, phi 1: (.4) / sqrt(.25 / 50)
    assert abs(found.residuals[0].z) == pytest.approx(0.4 / np.sqrt(0.25 / 50))


def test_transitive_models_have_no_suspicious_residuals() -> None:
    found = rate(*drawn([1.0, 0.0, -1.0, 0.5], 2000, ties=0.4, seed=3), 4)
    assert max(abs(residual.z) for residual in found.residuals) < 3


def test_a_pair_met_less_than_ten_times_is_not_checked() -> None:
    assert rate(*of((0, 1, 1), (1, 2, 1), (2, 0, 1)), 3).residuals == ()


@pytest.mark.parametrize(
    "rows", [of((0, 0, 1.0)), of((0, 3, 1.0)), of((0, 1, 1.5)), (np.array([0]), np.array([1, 0]), np.array([1.0]))]
)
def test_misshapen_comparisons_are_refused(rows: Rows) -> None:
    with pytest.raises(ValueError, match=r"model|score|comparisons"):
        fit_bradley_terry(*rows, 3)


def test_a_style_that_wins_is_taken_out_of_the_ratings() -> None:
    generator = np.random.default_rng(0)
    a = generator.integers(0, 3, 4000)
    b = (a + generator.integers(1, 3, 4000)) % 3
    habit = np.array([1500.0, 500.0, 200.0])  # the first model writes long texts and is no better
    long_a, long_b = (habit[x] * generator.uniform(0.3, 1.7, 4000) for x in (a, b))
    x = style_difference(long_a, long_b)
    scores = (generator.random(4000) < 1 / (1 + np.exp(-2.0 * x))).astype(float)
    found = style_control(a, b, scores, 3, {"length": x}, clusters=np.arange(4000))
    assert np.ptp(found.uncontrolled) > 150 and np.ptp(found.ratings) < 50
    effect = found.coefficients["length"]
    assert effect.interval.low < 2.0 * x.std() < effect.interval.high


def test_a_style_that_never_varies_is_refused() -> None:
    with pytest.raises(ValueError, match="'bold' is the same"):
        style_control(*drawn([0.0, 0.1], 50), 2, {"bold": np.zeros(50)})


def test_style_differences_by_hand() -> None:
    found = style_difference(np.array([3.0, 0.0, 10.0]), np.array([0.0, 0.0, 9.0]))
    assert found == pytest.approx([0.75, 0.0, 0.05])


@pytest.mark.slow
def test_a_repeated_comparison_is_that_many_comparisons() -> None:
    a, b, scores = drawn([0.0, 0.6, -0.3], 400, ties=0.3)
    rows, times = np.unique(np.column_stack([a, b, scores]), axis=0, return_counts=True)
    ones = rate(a, b, scores, 3)
    folded = rate(rows[:, 0].astype(int), rows[:, 1].astype(int), rows[:, 2], 3, repeats=times.astype(float))
    assert folded.covariance == pytest.approx(ones.covariance)
    for one, other in zip(ones.models, folded.models, strict=True):
        assert one is not None and other is not None
        assert (other.rating, other.standard_error) == pytest.approx((one.rating, one.standard_error))
        assert (other.wins, other.ties, other.losses, other.ranks) == (one.wins, one.ties, one.losses, one.ranks)
    assert [r.n for r in folded.residuals] == [r.n for r in ones.residuals]
    assert [r.z for r in folded.residuals] == pytest.approx([r.z for r in ones.residuals])


def test_repeats_of_clustered_comparisons_are_refused() -> None:
    a, b, scores = drawn([0.0, 0.5], 20)
    with pytest.raises(ValueError, match="without clusters"):
        rate(a, b, scores, 2, clusters=np.arange(20), repeats=np.ones(20))
