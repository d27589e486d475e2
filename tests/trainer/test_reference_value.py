"""The reference's value head: bounded, blind to padding, the same each time it is used, and able to learn."""

import pytest
import torch

from trainer.reference_value import ReferenceValueHead, value_error, value_target


def head(**settings) -> ReferenceValueHead:
    torch.manual_seed(0)
    return ReferenceValueHead(16, **settings).double()


def states(rows: int = 3, length: int = 5) -> torch.Tensor:
    return torch.randn(rows, length, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_a_prompt_has_the_same_value_whatever_stands_beside_it():
    value = head()
    alone = value.values(states()[:1, :3], torch.ones(1, 3))
    padded, mask = states().clone(), torch.ones(3, 5)
    padded[0, 3:], mask[0, 3:] = 1e3, 0
    assert value.values(padded, mask)[0].item() == pytest.approx(alone.item(), abs=1e-12)
    left, mask = torch.roll(padded, 2, dims=1), torch.ones(3, 5)
    left[1:], mask[0, :2] = states()[1:], 0
    assert value.values(left, mask)[0].item() == pytest.approx(alone.item(), abs=1e-12)


def test_values_lie_between_0_and_the_largest_reward():
    found = head(max_value=5.0).values(100 * states(), torch.ones(3, 5))
    assert bool(((found >= 0) & (found <= 5)).all())
    untrained = head(max_value=4.0)
    torch.nn.init.zeros_(untrained.summary.weight)
    torch.nn.init.zeros_(untrained.summary.bias)
    assert untrained.values(states(), torch.ones(3, 5)).tolist() == pytest.approx([2.0] * 3)


def test_values_carry_no_dropout_even_in_training_mode():
    value = head(dropout=0.5).train()
    mask = torch.ones(3, 5)
    assert value.values(states(), mask).tolist() == value.values(states(), mask).tolist()
    assert value.training
    assert value(states(), mask).tolist() != value(states(), mask).tolist()


def test_it_learns_which_prompts_are_worth_more():
    value = head(dropout=0.0)
    inputs, mask = states(8), torch.ones(8, 5)
    target = torch.linspace(0.1, 0.9, 8, dtype=torch.float64)
    optimiser = torch.optim.AdamW(value.parameters(), lr=1e-2)
    before = value_error(value.values(inputs, mask), target).mean().item()
    for _ in range(100):
        optimiser.zero_grad()
        value_error(value(inputs, mask), target).mean().backward()
        optimiser.step()
    assert value_error(value.values(inputs, mask), target).mean().item() < 0.05 * before


def test_the_target_is_the_mean_of_the_samples_that_have_a_reward():
    rewards = torch.tensor([[1.0, 0.0, 0.5], [1.0, torch.nan, 0.5]])
    assert value_target(rewards).tolist() == pytest.approx([0.5, 0.75])
    with pytest.raises(ValueError, match="prompt 1 has no sample with a reward"):
        value_target(torch.tensor([[1.0], [torch.nan]]))


def test_what_cannot_be_a_head_or_a_prompt_is_refused():
    with pytest.raises(ValueError, match="8 heads do not divide a hidden size of 20"):
        ReferenceValueHead(20)
    with pytest.raises(ValueError, match="above 0, it is 0"):
        ReferenceValueHead(16, max_value=0.0)
    with pytest.raises(ValueError, match="without tokens"):
        head()(states(2), torch.tensor([[1, 1, 1, 1, 1], [0, 0, 0, 0, 0]]))
