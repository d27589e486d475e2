"""KTO: the value function by hand, its baseline, and mismatches that are mismatches."""

import math

import pytest
import torch

from trainer.losses.unpaired import balanced_weights, kto_baseline, kto_loss, mismatched


def test_a_good_and_a_bad_example_above_a_baseline_worked_by_hand():
    # u = 3 and -1, z0 = 1, beta 0.5: good 1 - sigmoid(1) = 0.2689414, bad 1 - sigmoid(0.5 * (1 + 1)) = 0.2689414
    logprobs, reference = torch.tensor([-2.0, -6.0]), torch.tensor([-5.0, -5.0])
    result = kto_loss(
        logprobs, reference, torch.tensor([1, 0]), beta=0.5, baseline=1.0, desirable_weight=2.0, undesirable_weight=3.0
    )
    assert result.losses.tolist() == pytest.approx([2 * 0.2689414, 3 * 0.2689414], abs=1e-6)
    assert result.rewards.tolist() == pytest.approx([1.5, -0.5])


def test_the_baseline_is_the_mean_log_ratio_but_never_below_0_and_has_no_slope():
    policy = torch.tensor([-1.0, -2.0], requires_grad=True)
    assert kto_baseline(policy, torch.tensor([-2.0, -5.0])).item() == pytest.approx(2.0)
    assert kto_baseline(policy, torch.tensor([0.0, 0.0])).item() == 0.0
    assert not kto_baseline(policy, torch.tensor([-2.0, -5.0])).requires_grad


def test_a_baseline_that_carries_a_slope_gets_none():
    baseline = torch.tensor(1.0, requires_grad=True)
    logprobs = torch.tensor([-2.0], requires_grad=True)
    kto_loss(logprobs, torch.tensor([-3.0]), torch.tensor([1]), beta=0.1, baseline=baseline).losses.sum().backward()
    assert baseline.grad is None and logprobs.grad is not None


@pytest.mark.parametrize("baseline", [0.0, 0.7])
def test_the_slope_is_that_of_finite_differences(baseline):
    reference = torch.tensor([-2.0, -4.0, -3.0], dtype=torch.float64)
    labels = torch.tensor([1, 0, 1])

    def losses(logprobs):
        return kto_loss(logprobs, reference, labels, beta=0.3, baseline=baseline, undesirable_weight=1.3).losses

    start = torch.tensor([-3.0, -2.0, -1.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(losses, start)


def test_at_the_reference_without_a_baseline_every_example_has_half_its_weight():
    same = torch.tensor([-3.0, -8.0])
    assert kto_loss(same, same, torch.tensor([1, 0]), beta=0.1).losses.tolist() == pytest.approx([0.5, 0.5])


def test_a_batch_of_one_class_has_a_loss():
    same = torch.tensor([-3.0, -8.0])
    assert kto_loss(same, same, torch.zeros(2), beta=0.1, baseline=math.log(2)).losses.isfinite().all()


def test_both_sides_of_a_pair_are_never_each_others_mismatch():
    prompts = ["a", "a", "b", "b", "c", "c"]
    found = mismatched(prompts)
    assert sorted(prompt for prompt, _ in found) == [0, 1, 2, 3, 4, 5]
    assert sorted(completion for _, completion in found) == [0, 1, 2, 3, 4, 5]
    assert all(prompts[a] != prompts[b] for a, b in found)


def test_a_prompt_with_more_than_half_of_the_batch_leaves_out_what_cannot_be_mismatched():
    prompts = ["a", "a", "a", "b"]
    assert all(prompts[a] != prompts[b] for a, b in mismatched(prompts))
    assert mismatched(prompts)


def test_a_batch_of_one_prompt_is_refused():
    with pytest.raises(ValueError, match="3 examples of one prompt"):
        mismatched(["a", "a", "a"])


@pytest.mark.parametrize(("good", "bad"), [(30, 10), (10, 30), (10, 10), (12, 10), (1, 1000)])
def test_the_weights_bring_the_classes_into_the_papers_range(good, bad):
    first, second = balanced_weights(good, bad)
    assert 1 - 1e-9 <= first * good / (second * bad) <= 4 / 3 + 1e-9
    assert min(first, second) == 1.0


def test_an_empty_class_leaves_the_weights_alone():
    assert balanced_weights(0, 5) == (1.0, 1.0)
