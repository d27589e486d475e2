"""SimPO, CPO and ORPO: hand-worked figures and the edges of log odds."""

import math

import pytest
import torch

from trainer.losses.pairs_without_reference import chosen_nll, cpo_loss, log1mexp, odds_ratio_loss, simpo_loss

CHOSEN, REJECTED = torch.tensor([-4.0]), torch.tensor([-9.0])
TOKENS, MORE = torch.tensor([4]), torch.tensor([6])  # means -1 and -1.5


def test_simpo_compares_means_and_asks_for_a_margin():
    # 2 * (-1 + 1.5) - 0.5 = 0.5, and -lsig(0.5) = 0.4740770
    loss = simpo_loss(CHOSEN, REJECTED, TOKENS, MORE, beta=2.0, gamma=0.5)
    assert loss.item() == pytest.approx(0.4740770, abs=1e-6)


def test_simpo_has_no_loss_but_its_margin_where_both_means_are_equal():
    loss = simpo_loss(torch.tensor([-4.0]), torch.tensor([-6.0]), TOKENS, MORE, beta=2.0, gamma=0.0)
    assert loss.item() == pytest.approx(math.log(2))


def test_cpo_compares_sums():
    assert cpo_loss(CHOSEN, REJECTED, beta=0.1).item() == pytest.approx(0.4740770, abs=1e-6)  # 0.1 * 5


def test_orpo_compares_log_odds():
    # p = 1/2 has odds 1, p = 1/4 odds 1/3: the log odds differ by ln 3, sigmoid of it is 3/4
    chosen, rejected = torch.tensor([2 * math.log(0.5)]), torch.tensor([3 * math.log(0.25)])
    loss = odds_ratio_loss(chosen, rejected, torch.tensor([2]), torch.tensor([3]), beta=0.1)
    assert loss.item() == pytest.approx(0.1 * math.log(4 / 3), abs=1e-6)


def test_a_completion_the_policy_is_certain_of_has_a_finite_loss_and_slope():
    for certain in (0.0, -1e-9):
        chosen = torch.tensor([certain], requires_grad=True)
        loss = odds_ratio_loss(chosen, torch.tensor([-2.0]), torch.tensor([1]), torch.tensor([1]), beta=0.1)
        loss.sum().backward()
        assert loss.isfinite().all() and chosen.grad.isfinite().all()


@pytest.mark.parametrize(("logprob", "expected"), [(math.log(0.5), math.log(0.5)), (math.log(0.75), math.log(0.25))])
def test_log1mexp_worked_by_hand(logprob, expected):
    assert log1mexp(torch.tensor(logprob, dtype=torch.float64)).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("logprob", [-1e-12, -1e-3, -0.6931, -0.6932, -5.0, -40.0])
def test_log1mexp_has_the_digits_of_its_type_near_0_and_far_from_it(logprob):
    x = torch.tensor([logprob], dtype=torch.float64, requires_grad=True)
    # the series of log(1 - e^p): log(-p) + p/2 near 0; -e^p far from it
    value = log1mexp(x)
    expected = math.log(-math.expm1(logprob)) if logprob > -1 else math.log1p(-math.exp(logprob))
    assert value.item() == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.grad(value.sum(), x)[0].isfinite().all()


def test_the_mean_of_the_likelihood_term_is_the_mean_over_all_chosen_tokens():
    losses = chosen_nll(torch.tensor([-6.0, -2.0]), torch.tensor([3, 1]))
    assert losses.mean().item() == pytest.approx(2.0)  # 8 nats over 4 tokens
    assert losses.tolist() == pytest.approx([3.0, 1.0])


def test_the_likelihood_term_of_small_batches_adds_up_to_that_of_the_big_one():
    chosen, tokens = torch.tensor([-6.0, -2.0, -1.0, -9.0]), torch.tensor([3, 1, 1, 7])
    big = chosen_nll(chosen, tokens).mean()
    small = [
        chosen_nll(chosen[i : i + 2], tokens[i : i + 2], mean_tokens=tokens.double().mean()).mean() for i in (0, 2)
    ]
    assert sum(small).item() / 2 == pytest.approx(big.item())
