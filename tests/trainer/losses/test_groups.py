"""RLOO and GRPO: baselines by hand, equal rewards, rewards that nobody gave, the cap of CISPO."""

import math

import pytest
import torch

from trainer.losses.groups import grpo_advantages, grpo_loss, rloo_advantages, rloo_loss, sequence_kl_penalty

REWARDS = torch.tensor([1.0, 2.0, 6.0, 5.0, 5.0, 5.0], dtype=torch.float64)


def test_rloo_leaves_one_out():
    # 1 - (2 + 6)/2, 2 - (1 + 6)/2, 6 - (1 + 2)/2
    assert rloo_advantages(REWARDS, group_size=3).tolist() == pytest.approx([-3.0, -1.5, 4.5, 0.0, 0.0, 0.0])


def test_grpo_is_the_distance_from_the_mean_in_deviations():
    # mean 3, unbiased deviation sqrt((4 + 1 + 9) / 2) = sqrt(7)
    found = grpo_advantages(REWARDS, group_size=3)
    scale = math.sqrt(7) + 1e-4
    assert found.tolist() == pytest.approx([-2 / scale, -1 / scale, 3 / scale, 0.0, 0.0, 0.0])
    assert grpo_advantages(REWARDS, group_size=3, scale="none").tolist() == pytest.approx([-2, -1, 3, 0, 0, 0])
    batch = REWARDS.std().item() + 1e-4
    assert grpo_advantages(REWARDS, group_size=3, scale="batch")[2].item() == pytest.approx(3 / batch)


@pytest.mark.parametrize("advantages", [rloo_advantages, grpo_advantages])
def test_a_reward_that_is_missing_has_no_advantage_and_is_in_no_baseline(advantages):
    missing = torch.tensor([1.0, 3.0, math.nan, math.nan, math.nan, 2.0], dtype=torch.float64)
    found = advantages(missing, group_size=3)
    alone = advantages(torch.tensor([1.0, 3.0], dtype=torch.float64), group_size=2)
    assert found.tolist() == pytest.approx([*alone.tolist(), 0.0, 0.0, 0.0, 0.0])


def test_standardised_rloo_has_mean_0_and_deviation_1():
    found = rloo_advantages(REWARDS, group_size=3, standardised=True)
    assert found.mean().item() == pytest.approx(0.0, abs=1e-12)
    assert found.std().item() == pytest.approx(1.0, abs=1e-4)


def test_the_penalty_of_rloo_is_on_the_sum_over_the_sequence():
    old, reference = torch.tensor([[-1.0, -2.0, 0.0]]), torch.tensor([[-2.0, -3.0, 9.0]])
    found = sequence_kl_penalty(torch.tensor([1.0]), old, reference, torch.tensor([[1, 1, 0]]), beta=0.1)
    assert found.item() == pytest.approx(0.8)


def test_the_ratio_of_rloo_is_the_sequences():
    # two tokens up by 0.05 each: e^0.1 = 1.105 is inside the clip; by 0.2 each: e^0.4 = 1.49 is cut to 1.2
    old, mask, gain = torch.zeros(1, 3), torch.tensor([[1, 1, 0]]), torch.tensor([2.0])
    assert rloo_loss(old + 0.05, old, gain, mask).item() == pytest.approx(-2 * math.exp(0.1))
    assert rloo_loss(old + 0.2, old, gain, mask).item() == pytest.approx(-2.4)


def test_equal_rewards_give_no_slope():
    new = torch.zeros(3, 2, requires_grad=True)
    gains = grpo_advantages(torch.full((3,), 0.7), group_size=3)
    grpo_loss(new, torch.zeros(3, 2), gains, torch.ones(3, 2)).backward()
    assert new.grad.abs().max().item() == 0.0


@pytest.mark.parametrize(
    ("kind", "extra", "expected"),
    [
        ("grpo", {}, -(1 + 4) / 2),
        ("bnpo", {}, -(3 + 4) / 4),
        ("dapo", {"tokens": 8}, -7 / 8),
        ("dr_grpo", {"max_tokens": 10}, -7 / 20),
    ],
)
def test_the_means_worked_by_hand(kind, extra, expected):
    zero, mask = torch.zeros(2, 3), torch.tensor([[1, 1, 1], [1, 0, 0]])
    assert grpo_loss(zero, zero, torch.tensor([1.0, 4.0]), mask, kind=kind, **extra).item() == pytest.approx(expected)


def test_cispo_caps_the_weight_and_keeps_the_slope():
    new = torch.tensor([[-1.0]], requires_grad=True)
    loss = grpo_loss(new, torch.tensor([[-3.0]]), torch.tensor([2.0]), torch.ones(1, 1), kind="cispo", clip_high=5.0)
    loss.backward()
    assert loss.item() == pytest.approx(10.0)  # -min(e^2, 5) * 2 * -1
    assert new.grad.item() == pytest.approx(-10.0)  # PPO's clip would give 0 here


def test_no_slope_flows_through_the_weight_of_cispo():
    new = torch.tensor([[-1.0]], requires_grad=True)
    grpo_loss(
        new, torch.tensor([[-2.0]]), torch.tensor([2.0]), torch.ones(1, 1), kind="cispo", clip_high=5.0
    ).backward()
    assert new.grad.item() == pytest.approx(-2 * math.e)


def test_the_kl_is_k3_and_its_correction_multiplies_by_the_ratio():
    new, old, reference = (torch.tensor([[value]]) for value in (-1.0, -1.1, -2.0))
    given = {"kind": "grpo", "reference": reference, "beta": 0.5, "clip": 0.9}
    k3, ratio = math.exp(-1) + 1 - 1, math.exp(0.1)
    plain = grpo_loss(new, old, torch.zeros(1), torch.ones(1, 1), corrected_kl=False, **given)
    assert plain.item() == pytest.approx(0.5 * k3)
    corrected = grpo_loss(new, old, torch.zeros(1), torch.ones(1, 1), **given)
    assert corrected.item() == pytest.approx(0.5 * k3 * ratio, rel=1e-6)


def test_the_sequence_level_takes_the_mean_log_ratio():
    new, mask = torch.tensor([[0.2, 0.0, 5.0]]), torch.tensor([[1, 1, 0]])
    loss = grpo_loss(new, torch.zeros(1, 3), torch.tensor([1.0]), mask, kind="grpo", level="sequence")
    assert loss.item() == pytest.approx(-math.exp(0.1))


def test_what_a_kind_needs_and_does_not_get_is_named():
    zero, one = torch.zeros(1, 1), torch.ones(1, 1)
    with pytest.raises(ValueError, match="max_tokens"):
        grpo_loss(zero, zero, torch.ones(1), one, kind="dr_grpo")
    with pytest.raises(ValueError, match="clip_high"):
        grpo_loss(zero, zero, torch.ones(1), one, kind="cispo")
    with pytest.raises(ValueError, match="reference"):
        grpo_loss(zero, zero, torch.ones(1), one, beta=0.1)
    with pytest.raises(ValueError, match="6 rewards are no whole groups of 4"):
        rloo_advantages(REWARDS, group_size=4)
    with pytest.raises(ValueError, match="2 or more"):
        grpo_advantages(REWARDS, group_size=1)
