"""Reward model losses: pairs, ties, best of K, rankings, diverging tokens."""

import math

import pytest
import torch

from trainer.losses.scores import (
    best_of_k_loss,
    diverging_token_loss,
    pair_accuracy,
    pair_score_loss,
    ranking_loss,
)

LN2 = math.log(2)


def minus_lsig(x: float) -> float:
    return math.log1p(math.exp(-x))


def test_a_pair_worked_by_hand():
    chosen, rejected = torch.tensor([1.5]), torch.tensor([1.0])
    assert pair_score_loss(chosen, rejected).item() == pytest.approx(0.4740770, abs=1e-6)
    margin = pair_score_loss(chosen, rejected, margin=torch.tensor([0.5]))
    assert margin.item() == pytest.approx(LN2)
    centred = pair_score_loss(chosen, rejected, centring=0.01)
    assert centred.item() == pytest.approx(0.4740770 + 0.0625, abs=1e-6)


def test_a_tie_counts_half_each_way_without_a_margin():
    chosen = torch.tensor([1.5, 1.5], requires_grad=True)
    rejected = torch.tensor([1.0, 1.0])
    losses = pair_score_loss(chosen, rejected, margin=torch.tensor([0.5, 0.5]), tied=torch.tensor([False, True]))
    assert losses.tolist() == pytest.approx([LN2, (0.4740770 + 0.9740770) / 2], abs=1e-6)
    even = torch.tensor([2.0], requires_grad=True)
    loss = pair_score_loss(even, torch.tensor([2.0]), tied=torch.tensor([True]))
    loss.sum().backward()
    assert loss.item() == pytest.approx(LN2) and even.grad.item() == 0.0  # equal scores are what a tie asks for


def test_the_slope_is_that_of_finite_differences():
    def losses(chosen, rejected):
        return pair_score_loss(
            chosen, rejected, margin=torch.tensor([0.2, 0.4]), tied=torch.tensor([0, 1]), centring=0.1
        )

    sides = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in ([0.3, -1.0], [0.8, 2.0])]
    assert torch.autograd.gradcheck(losses, sides)


def test_half_precision_scores_are_compared_in_float32():
    assert pair_score_loss(torch.ones(1, dtype=torch.bfloat16), torch.ones(1, dtype=torch.bfloat16)).dtype == (
        torch.float32
    )


def test_the_best_of_two_is_the_pair_loss_and_of_equal_scores_a_guess():
    scores = torch.tensor([[1.0, 1.5]])
    assert best_of_k_loss(scores, torch.tensor([1])).item() == pytest.approx(0.4740770, abs=1e-6)
    assert best_of_k_loss(torch.zeros(1, 4), torch.tensor([2])).item() == pytest.approx(math.log(4))


def test_a_ranking_is_the_mean_over_its_pairs():
    # best to worst 3, 1, 0: leads 2, 3, 1
    expected = (minus_lsig(2) + minus_lsig(3) + minus_lsig(1)) / 3
    losses = ranking_loss(torch.tensor([[1.0, 3.0, 0.0]]), torch.tensor([[2, 1, 3]]))
    assert losses.item() == pytest.approx(expected, abs=1e-6)


def test_every_prompt_weighs_the_same_whatever_its_number_of_completions():
    scores = torch.tensor([[1.0, 3.0, 0.0], [2.0, 0.0, math.nan]])
    ranks = torch.tensor([[2, 1, 3], [1, 2, 9]])
    scores.requires_grad_()
    losses = ranking_loss(scores, ranks, present=torch.tensor([[1, 1, 1], [1, 1, 0]]))
    losses.sum().backward()
    assert scores.grad[1, 2].item() == 0.0
    assert losses[1].item() == pytest.approx(minus_lsig(2), abs=1e-6)


def test_equal_ranks_are_left_out_or_count_half_each_way():
    scores, ranks = torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([[1, 1, 2]])
    skipped = (minus_lsig(3) + minus_lsig(1)) / 2
    assert ranking_loss(scores, ranks).item() == pytest.approx(skipped, abs=1e-6)
    tie = (minus_lsig(2) + minus_lsig(-2)) / 2
    halves = (minus_lsig(3) + minus_lsig(1) + tie) / 3
    assert ranking_loss(scores, ranks, ties="half").item() == pytest.approx(halves, abs=1e-6)


def test_a_prompt_without_a_usable_pair_has_no_loss():
    assert ranking_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([[1, 1]])).item() == 0.0


def test_two_in_a_ranking_are_a_pair():
    pair = pair_score_loss(torch.tensor([0.3]), torch.tensor([0.9]))
    assert ranking_loss(torch.tensor([[0.9, 0.3]]), torch.tensor([[2, 1]])).item() == pytest.approx(pair.item())


def test_tokens_are_compared_from_where_they_differ_and_each_text_stops_at_its_own_end():
    # same first token; chosen ends after 3, rejected after 2: its last score 0.5 is kept at the third position
    chosen, rejected = torch.tensor([[9.0, 1.0, 2.0, 77.0]]), torch.tensor([[-9.0, 0.5, 55.0, 66.0]])
    chosen_ids, rejected_ids = torch.tensor([[5, 6, 7, 0]]), torch.tensor([[5, 8, 0, 0]])
    loss = diverging_token_loss(chosen, rejected, chosen_ids, rejected_ids, torch.tensor([3]), torch.tensor([2]))
    assert loss.item() == pytest.approx((minus_lsig(0.5) + minus_lsig(1.5)) / 2, abs=1e-6)


def test_a_text_that_continues_the_other_differs_where_the_other_ends():
    # the pad id is a real token of the longer text
    chosen, rejected = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5, 55.0]])
    ids = torch.tensor([[5, 0]])
    loss = diverging_token_loss(chosen, rejected, ids, ids, torch.tensor([2]), torch.tensor([1]))
    assert loss.item() == pytest.approx(minus_lsig(1.5), abs=1e-6)


def test_equal_texts_have_no_loss():
    ids = torch.tensor([[5, 6]])
    ends = torch.tensor([2])
    assert diverging_token_loss(torch.ones(1, 2), torch.zeros(1, 2), ids, ids, ends, ends).item() == 0.0


def test_an_equal_score_is_an_error():
    assert pair_accuracy(torch.tensor([1.0, 2.0, 0.0, 3.0]), torch.tensor([0.0, 2.0, 1.0, 2.0])) == 0.5
