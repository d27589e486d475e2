"""PRO: a ranking worked by hand, its slope, fewer completions, and gaps that contradict the ranking."""

import math

import pytest
import torch

from trainer.losses.pro import pro_loss


def tensors(*values):
    return tuple(torch.tensor([value], dtype=torch.float64) for value in values)


def test_two_completions_worked_by_hand():
    # a = -4/4 = -1 and -6/2 = -3, gap 2 - 1 = 1: log(e^-1 + e^-3) + 1 = log(1 + e^-2); sft 0.05 * 1 * 4
    result = pro_loss(*tensors([-4.0, -6.0], [4, 2], [2.0, 1.0]))
    assert result.ranking_terms.item() == pytest.approx(math.log(1 + math.exp(-2)), abs=1e-9)
    assert result.sft.item() == pytest.approx(0.2)
    assert result.losses.item() == pytest.approx(math.log(1 + math.exp(-2)) + 0.2, abs=1e-9)


def test_three_completions_have_a_temperature_for_each_pair():
    # a = -1, -2, -3; R = 3, 1, 0. first: gaps 2 and 3, D = 3: log(e^-3 + e^-4 + e^-9) + 3
    # second: gap 1: log(e^-2 + e^-3) + 2. sft: 0.05 * 2^2 * 1
    result = pro_loss(*tensors([-1.0, -2.0, -3.0], [1, 1, 1], [3.0, 1.0, 0.0]))
    first = math.log(math.exp(-3) + math.exp(-4) + math.exp(-9)) + 3
    second = math.log(math.exp(-2) + math.exp(-3)) + 2
    assert result.ranking_terms.tolist()[0] == pytest.approx([first, second], abs=1e-7)
    assert result.sft.item() == pytest.approx(0.2)


def test_the_slope_is_that_of_finite_differences():
    generator = torch.Generator().manual_seed(0)
    sums = (-9 * torch.rand(3, 4, generator=generator, dtype=torch.float64)).requires_grad_()
    tokens = torch.randint(1, 6, (3, 4), generator=generator)
    rewards = torch.rand(3, 4, generator=generator, dtype=torch.float64).sort(descending=True).values
    assert torch.autograd.gradcheck(lambda s: pro_loss(s, tokens, rewards).losses, sums)


def test_a_prompt_with_fewer_completions_has_the_loss_it_has_alone():
    alone = pro_loss(*tensors([-4.0, -6.0], [4, 2], [2.0, 1.0]))
    among = pro_loss(
        torch.tensor([[-4.0, -6.0, math.nan], [-1.0, -2.0, -3.0]], dtype=torch.float64),
        torch.tensor([[4, 2, 0], [1, 1, 1]]),
        torch.tensor([[2.0, 1.0, math.nan], [3.0, 1.0, 0.0]], dtype=torch.float64),
        present=torch.tensor([[1, 1, 0], [1, 1, 1]]),
    )
    assert among.losses[0].item() == pytest.approx(alone.losses.item(), abs=1e-12)
    assert among.ranking_terms[0, 1].item() == 0.0


def test_the_completion_that_is_learnt_as_it_is_can_be_named():
    result = pro_loss(*tensors([-4.0, -6.0], [4, 2], [2.0, 1.0]), sft_index=torch.tensor([1]))
    assert result.sft.item() == pytest.approx(0.05 * 6)


def test_a_gap_that_contradicts_the_ranking_pushes_the_wrong_way_unless_it_is_dropped():
    slopes = {}
    for drop in (False, True):
        sums = torch.tensor([[-4.0, -4.0]], dtype=torch.float64, requires_grad=True)
        rewards = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
        result = pro_loss(sums, torch.ones(1, 2), rewards, sft_weight=0.0, forward_gaps_only=drop)
        slopes[drop] = torch.autograd.grad(result.losses.sum(), sums)[0][0].tolist()
    assert slopes[False][0] > 0 > slopes[False][1]  # descent lowers the better completion
    assert slopes[True] == pytest.approx([0.0, 0.0])


def test_large_rewards_and_long_completions_stay_finite():
    sums = torch.tensor([[-900.0, -2000.0]], requires_grad=True)
    result = pro_loss(sums, torch.tensor([[3, 2]]), torch.tensor([[40.0, -40.0]]))
    assert result.losses.isfinite().all() and torch.autograd.grad(result.losses.sum(), sums)[0].isfinite().all()


def test_one_completion_is_no_ranking():
    with pytest.raises(ValueError, match="at least 2 completions of a prompt, there is 1"):
        pro_loss(torch.zeros(2, 1), torch.ones(2, 1), torch.zeros(2, 1))
