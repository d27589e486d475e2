"""Pair losses by name, mixed, under divergences and with discounted lengths."""

import math
from typing import get_args

import pytest
import torch

from trainer.losses.pair_mixture import (
    UNDER_DIVERGENCE,
    PairLogprobs,
    PairLossName,
    PairSettings,
    divergence_score,
    length_desensitised,
    pair_loss,
)
from trainer.losses.pairs import dpo_loss

NAMES = get_args(PairLossName)


def batch(size: int = 5, *, grad: bool = False) -> PairLogprobs:
    generator = torch.Generator().manual_seed(3)
    values = [-1 - 8 * torch.rand(size, generator=generator, dtype=torch.float64) for _ in range(4)]
    for value in values[:2]:
        value.requires_grad_(grad)
    tokens = [torch.randint(1, 7, (size,), generator=generator) for _ in range(2)]
    return PairLogprobs(*values, *tokens)


@pytest.mark.parametrize("name", NAMES)
def test_the_slope_of_every_loss_is_that_of_finite_differences(name):
    fixed = batch()
    settings = PairSettings(beta=0.3, label_smoothing=0.1)

    def losses(chosen, rejected):
        return pair_loss(fixed._replace(chosen=chosen, rejected=rejected), [(name, 1.0)], settings).losses

    sides = fixed.chosen.clone().requires_grad_(), fixed.rejected.clone().requires_grad_()
    assert torch.autograd.gradcheck(losses, sides, eps=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", sorted(UNDER_DIVERGENCE - {"sft"}))
@pytest.mark.parametrize("divergence", ["forward_kl", "js", "alpha"])
def test_the_slope_under_every_divergence_is_that_of_finite_differences(name, divergence):
    fixed = batch()
    settings = PairSettings(beta=0.05, label_smoothing=0.1, divergence=divergence, divergence_alpha=0.7)

    def losses(chosen, rejected):
        return pair_loss(fixed._replace(chosen=chosen, rejected=rejected), [(name, 1.0)], settings).losses

    sides = fixed.chosen.clone().requires_grad_(), fixed.rejected.clone().requires_grad_()
    assert torch.autograd.gradcheck(losses, sides, eps=1e-6, atol=1e-5, rtol=1e-3)


def test_a_mixture_is_the_weighted_sum_of_its_losses():
    terms = [("sigmoid", 0.8), ("bco_pair", 0.2), ("sft", 1.5)]
    alone = [weight * pair_loss(batch(), [(name, 1.0)]).losses for name, weight in terms]
    torch.testing.assert_close(pair_loss(batch(), terms).losses, sum(alone))


def test_sigmoid_by_name_is_dpo():
    pairs = batch()
    named, plain = pair_loss(pairs, [("sigmoid", 1.0)]), dpo_loss(*pairs[:4], beta=0.1)
    for one, other in zip(named, plain, strict=True):
        torch.testing.assert_close(one, other)


def test_without_a_reference_its_log_probabilities_count_for_nothing():
    other = batch()._replace(reference_chosen=torch.full((5,), -99.0))
    settings = PairSettings(reference_free=True)
    for name in ("sigmoid", "ipo", "aot", "bco_pair"):
        found = [pair_loss(pairs, [(name, 1.0)], settings).losses for pairs in (batch(), other)]
        torch.testing.assert_close(*found)


def test_ipo_of_means_and_of_sums_are_told_apart_by_name():
    # u/n = 8/4 - (-3)/3 = 3 nats per token, u - v = 11; the target 1/(2 beta) is 1
    one = torch.tensor([0.0])
    pairs = PairLogprobs(torch.tensor([8.0]), torch.tensor([-3.0]), one, one, torch.tensor([4]), torch.tensor([3]))
    settings = PairSettings(beta=0.5)
    assert pair_loss(pairs, [("ipo", 1.0)], settings).losses.item() == pytest.approx(4.0)
    assert pair_loss(pairs, [("ipo_sum", 1.0)], settings).losses.item() == pytest.approx(100.0)
    norm = pair_loss(pairs, [("sigmoid_norm", 1.0)], settings).losses.item()
    assert norm == pytest.approx(-math.log(1 / (1 + math.exp(-1.5))), abs=1e-6)


def test_the_rewards_are_those_of_the_first_loss_that_has_no_reference():
    pairs = batch()
    means = pair_loss(pairs, [("simpo", 1.0)], PairSettings(beta=2.0))
    torch.testing.assert_close(means.chosen_rewards, 2 * pairs.chosen / pairs.chosen_tokens)
    sums = pair_loss(pairs, [("cpo", 1.0)], PairSettings(beta=2.0))
    torch.testing.assert_close(sums.rejected_rewards, 2 * pairs.rejected)
    ratios = pair_loss(pairs, [("simpo", 1.0), ("sigmoid", 1.0)], PairSettings(beta=2.0))
    torch.testing.assert_close(ratios.chosen_rewards, 2 * (pairs.chosen - pairs.reference_chosen))


@pytest.mark.parametrize("divergence", ["forward_kl", "js", "alpha"])
def test_every_divergence_scores_0_at_the_reference_with_the_slope_of_reverse_kl_or_half(divergence):
    ratio = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    score = divergence_score(ratio, divergence)
    assert score.item() == pytest.approx(0.0, abs=1e-12)
    slope = torch.autograd.grad(score.sum(), ratio)[0].item()
    assert slope == pytest.approx(0.5 if divergence == "js" else 1.0)


def test_the_scores_of_divergences_worked_by_hand():
    ratio = torch.tensor([math.log(2.0)], dtype=torch.float64)
    assert divergence_score(ratio, "forward_kl").item() == pytest.approx(0.5)  # 1 - 1/2
    assert divergence_score(ratio, "js").item() == pytest.approx(math.log(4 / 3))  # log(2 * 2 / 3)
    assert divergence_score(ratio, "alpha", 3.0).item() == pytest.approx(1.5)  # (2^2 - 1) / 2
    assert divergence_score(ratio, "alpha", 0.5).item() == pytest.approx(2 - 2**0.5)
    assert divergence_score(ratio, "alpha", 1.0).item() == pytest.approx(math.log(2.0))


def test_a_divergence_of_a_ratio_beyond_the_largest_number_stays_finite():
    ratio = torch.tensor([-1e4], requires_grad=True)
    score = divergence_score(ratio, "forward_kl")
    assert score.isfinite().all() and torch.autograd.grad(score.sum(), ratio)[0].isfinite().all()


def test_tokens_beyond_the_shorter_length_count_less():
    chosen, rejected = torch.tensor([[-1.0, -2.0, -4.0, -9.0]]), torch.tensor([[-1.0, -1.0, -5.0]])
    masks = torch.tensor([[1, 1, 1, 0]]), torch.tensor([[1, 1, 0]])
    found = length_desensitised(chosen, rejected, *masks, alpha=0.5)
    assert [side.item() for side in found] == [-5.0, -2.0]  # -1 - 2 - 4/2, and -1 - 1
    full = length_desensitised(chosen, rejected, *masks, alpha=1.0)
    assert [side.item() for side in full] == [-7.0, -2.0]
    shared = length_desensitised(chosen, rejected, *masks, alpha=0.0)
    assert [side.item() for side in shared] == [-3.0, -2.0]


def test_the_likelihood_term_counts_every_token_of_a_discounted_pair():
    discounted = batch()._replace(chosen_undiscounted=torch.full((5,), -6.0), chosen_tokens=torch.full((5,), 3))
    assert pair_loss(discounted, [("sft", 1.0)]).losses.tolist() == pytest.approx([2.0] * 5)


def test_a_loss_that_a_divergence_is_not_defined_for_is_refused():
    with pytest.raises(ValueError, match=r"apo_zero under js.*choose from"):
        pair_loss(batch(), [("apo_zero", 1.0)], PairSettings(divergence="js"))


def test_an_unknown_loss_and_no_loss_are_refused():
    with pytest.raises(ValueError, match="'nonsense' is not known; choose from sigmoid"):
        pair_loss(batch(), [("nonsense", 1.0)])
    with pytest.raises(ValueError, match="at least one term"):
        pair_loss(batch(), [])
    with pytest.raises(ValueError, match=r"in \[0, 1\], it is 1.5"):
        length_desensitised(*[torch.zeros(1, 2)] * 2, *[torch.ones(1, 2)] * 2, alpha=1.5)
