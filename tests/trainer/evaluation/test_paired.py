import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as peer_mcnemar
from statsmodels.stats.multitest import multipletests

from trainer.evaluation.multiplicity import holm
from trainer.evaluation.paired import mcnemar, paired_difference

SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=3, max_size=40)


def test_a_paired_difference_worked_by_hand() -> None:
    # d = 1, 0, 1, 0: mean 1/2, variance 1/3, standard error sqrt(1/3 / 4) = .288675, t = sqrt 3
    found = paired_difference([0, 0, 0, 1], [1, 0, 1, 1])
    assert found.difference == 0.5
    assert found.standard_error == pytest.approx(0.28867513)
    assert found.t == pytest.approx(1.7320508)
    assert found.p == pytest.approx(0.18169, abs=1e-5)  # t table, 3 degrees of freedom
    assert (found.only_a, found.only_b, found.mcnemar_p) == (0, 2, 0.5)


def test_shared_prompts_narrow_the_difference() -> None:
    generator = np.random.default_rng(0)
    easy = generator.random(300)
    a = (generator.random(300) < 0.9 * easy).astype(float)
    b = np.maximum(a, (generator.random(300) < 0.1).astype(float))
    found = paired_difference(a.tolist(), b.tolist())
    assert found.standard_error < 0.6 * found.unpaired_error


@settings(max_examples=50, deadline=None)
@given(SCORES, st.randoms(use_true_random=False))
def test_it_is_scipys_paired_t_and_changes_sign_when_the_two_change_places(a: list[float], random: object) -> None:
    b = a[1:] + a[:1]
    found, back = paired_difference(a, b), paired_difference(b, a)
    assert back.difference == pytest.approx(-found.difference)
    assert back.interval.low == pytest.approx(-found.interval.high)
    assert (back.only_a, back.only_b) == (found.only_b, found.only_a)
    if found.t is not None:
        peer = stats.ttest_rel(b, a)
        assert (found.t, found.p) == (pytest.approx(peer.statistic), pytest.approx(peer.pvalue))


def test_equal_differences_have_no_t() -> None:
    found = paired_difference([0.5, 0.5], [0.5, 0.5])
    assert (found.t, found.p, found.mcnemar_p) == (None, None, 1.0)


@pytest.mark.parametrize(
    ("a", "b"), [([1.0], [1.0]), ([0, 1], [0, 1, 1]), ([0, 2], [0, 1]), ([0, float("nan")], [0, 1])]
)
def test_what_cannot_be_paired_is_refused(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match="prompts"):
        paired_difference(a, b)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_statsmodels_exact_test(only_a: int, only_b: int) -> None:
    peer = peer_mcnemar([[0, only_a], [only_b, 0]], exact=True).pvalue
    assert mcnemar(only_a, only_b) == pytest.approx(peer, abs=1e-12)


def test_mcnemar_of_five_to_one_by_hand() -> None:
    assert mcnemar(1, 5) == pytest.approx(2 * (1 + 6) / 64)


def test_holm_by_hand() -> None:
    # sorted .01 .02 .03 .04 times 4 3 2 1 = .04 .06 .06 .04, then never falling
    assert holm([0.04, 0.01, 0.03, 0.02]).tolist() == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([]).tolist() == []


def test_holm_is_statsmodels() -> None:
    p = np.round(np.random.default_rng(0).random(60) ** 4, 3)  # with ties among them
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_never_makes_a_p_value_smaller_and_keeps_their_order(p: list[float]) -> None:
    adjusted = holm(p)
    assert bool(np.all(adjusted >= np.array(p))) and bool(np.all(adjusted <= 1))
    assert bool(np.all(np.diff(adjusted[np.argsort(p)]) >= 0))


@pytest.mark.parametrize("p", [[1.1], [-0.1], [float("nan")]])
def test_holm_refuses_what_is_no_p_value(p: list[float]) -> None:
    with pytest.raises(ValueError, match="0 to 1"):
        holm(p)
