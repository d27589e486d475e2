"""PPO's losses: the clip by hand, the dual clip, the skip, gradient accumulation."""

import math

import pytest
import torch

from trainer.losses.clipped import policy_loss, value_loss

ONE = torch.ones(1, 1)


def surrogate(ratio: float, advantage: float, **settings):
    new = torch.tensor([[math.log(ratio)]], dtype=torch.float64, requires_grad=True)
    found = policy_loss(new, torch.zeros(1, 1), torch.tensor([[advantage]], dtype=torch.float64), ONE, **settings)
    (slope,) = torch.autograd.grad(found.loss, new)
    return found, slope.item()


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "slope", "clipped"),
    [
        (1.0, 2.0, -2.0, -2.0, 0.0),
        (1.1, 2.0, -2.2, -2.2, 0.0),
        (1.5, 2.0, -2.4, 0.0, 1.0),  # a good token is not raised beyond the clip
        (0.5, 2.0, -1.0, -1.0, 0.0),  # but is brought back from below it
        (0.5, -2.0, 1.6, 0.0, 1.0),  # a bad token is not lowered beyond the clip
        (1.5, -2.0, 3.0, 3.0, 0.0),  # but is brought back from above it
    ],
)
def test_the_clipped_surrogate_worked_by_hand(ratio, advantage, loss, slope, clipped):
    found, gradient = surrogate(ratio, advantage)
    assert found.loss.item() == pytest.approx(loss)
    assert gradient == pytest.approx(slope, abs=1e-9)
    assert found.clip_fraction.item() == clipped


def test_the_dual_clip_bounds_the_loss_of_a_bad_token_that_became_likely():
    found, slope = surrogate(50.0, -2.0, dual_clip=3.0)
    assert found.loss.item() == pytest.approx(6.0)
    assert slope == 0.0
    assert surrogate(50.0, 2.0, dual_clip=3.0)[0].loss.item() == pytest.approx(-2.4)  # a good one is as before


def test_an_upper_clip_of_its_own_lets_good_tokens_rise_further():
    assert surrogate(1.25, 2.0, clip_high=0.3)[0].loss.item() == pytest.approx(-2.5)
    assert surrogate(0.75, -2.0, clip_high=0.3)[0].loss.item() == pytest.approx(1.6)


def test_a_mini_batch_whose_ratio_exploded_is_skipped():
    found, slope = surrogate(10.5, -2.0, max_mean_ratio=10.0)
    assert found.skipped and found.loss.item() == 0.0 and slope == 0.0
    assert found.mean_ratio.item() == pytest.approx(10.5)
    kept, slope = surrogate(9.5, -2.0, max_mean_ratio=10.0)
    assert not kept.skipped and slope == pytest.approx(19.0)


def test_at_the_old_policy_the_ratio_is_1_and_the_slope_is_the_policy_gradient():
    old = torch.tensor([[-1.0, -2.0], [-3.0, -9.0]], dtype=torch.float64)
    new = old.clone().requires_grad_()
    advantages = torch.tensor([[1.0, -2.0], [3.0, 7.0]], dtype=torch.float64)
    mask = torch.tensor([[1, 1], [1, 0]])
    found = policy_loss(new, old, advantages, mask)
    found.loss.backward()
    assert found.mean_ratio.item() == 1.0 and found.approx_kl.item() == 0.0
    torch.testing.assert_close(new.grad, -advantages * mask / 3)


def test_the_two_estimates_of_the_step_worked_by_hand():
    found = policy_loss(torch.tensor([[0.2, -0.4]]), torch.zeros(1, 2), torch.ones(1, 2), torch.ones(1, 2))
    assert found.approx_kl.item() == pytest.approx((0.02 + 0.08) / 2)
    assert found.old_kl.item() == pytest.approx(0.1)


def test_a_mean_of_sequences_weighs_short_and_long_alike():
    advantages = torch.tensor([[1.0, 1.0, 1.0], [4.0, 0.0, 0.0]])
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
    zero = torch.zeros(2, 3)
    assert policy_loss(zero, zero, advantages, mask).loss.item() == pytest.approx(-7 / 4)
    by_sequence = policy_loss(zero, zero, advantages, mask, aggregation="sequence")
    assert by_sequence.loss.item() == pytest.approx(-2.5)


def test_accumulated_small_batches_have_the_loss_of_the_big_one():
    generator = torch.Generator().manual_seed(0)
    new, old, advantages = torch.randn(3, 4, 5, generator=generator, dtype=torch.float64) * 0.2
    mask = (torch.arange(5) < torch.tensor([[5], [2], [1], [4]])).long()
    big = policy_loss(new, old, advantages, mask).loss
    parts = [slice(0, 2), slice(2, 4)]
    small = [policy_loss(new[p], old[p], advantages[p], mask[p], tokens=mask.sum() / 2).loss for p in parts]
    assert sum(small).item() / 2 == pytest.approx(big.item())


def test_garbage_in_the_padding_changes_neither_loss_nor_slope():
    mask = torch.tensor([[1, 0]])
    new = torch.tensor([[-1.0, math.inf]], requires_grad=True)
    bad = torch.tensor([[0.0, math.nan]])
    policy = policy_loss(new, torch.tensor([[-1.0, -math.inf]]), torch.tensor([[1.0, math.nan]]), mask)
    value = value_loss(new, bad, bad, mask)
    (policy.loss + value.loss).backward()
    assert policy.loss.item() == -1.0 and value.loss.item() == pytest.approx(0.5)
    assert new.grad.tolist() == [[pytest.approx(-2.0), 0.0]]


def test_a_ratio_beyond_every_number_stays_finite():
    found, slope = surrogate(1.0, -1.0)
    far = torch.tensor([[1e4]], requires_grad=True)
    result = policy_loss(far, torch.zeros(1, 1), torch.tensor([[-1.0]]), ONE)
    assert result.loss.isfinite() and found.loss.isfinite() and math.isfinite(slope)


@pytest.mark.parametrize(
    ("value", "loss", "slope"),
    [
        (1.0, 2.0, -2.0),  # (1 - 3)^2 / 2, inside the clip
        (1.5, 1.62, 0.0),  # clipped to 1.2: (1.2 - 3)^2 / 2 is the larger
        (0.5, 3.125, -2.5),  # (0.5 - 3)^2 / 2 is larger than (0.8 - 3)^2 / 2
    ],
)
def test_the_clipped_value_loss_worked_by_hand(value, loss, slope):
    values = torch.tensor([[value]], dtype=torch.float64, requires_grad=True)
    found = value_loss(values, torch.tensor([[1.0]]), torch.tensor([[3.0]]), ONE)
    (gradient,) = torch.autograd.grad(found.loss, values)
    assert found.loss.item() == pytest.approx(loss)
    assert gradient.item() == pytest.approx(slope, abs=1e-9)
    assert found.clip_fraction.item() == (1.0 if slope == 0.0 else 0.0)


def test_an_unclipped_value_loss_is_half_the_squared_error():
    found = value_loss(torch.tensor([[1.5]]), torch.tensor([[1.0]]), torch.tensor([[3.0]]), ONE, clip=None)
    assert found.loss.item() == pytest.approx(1.125)


def test_settings_that_are_no_clip_are_refused():
    zero = torch.zeros(1, 1)
    with pytest.raises(ValueError, match="above 0, it is 0"):
        policy_loss(zero, zero, zero, ONE, clip=0.0)
    with pytest.raises(ValueError, match=r"more than 1, it is 0\.9"):
        policy_loss(zero, zero, zero, ONE, dual_clip=0.9)
    with pytest.raises(ValueError, match="no completion token"):
        policy_loss(zero, zero, zero, torch.zeros(1, 1))
