"""Offline RL: one weighted likelihood, its weights by hand, its guard, its limits."""

import math
from typing import get_args

import pytest
import torch

from trainer.losses.offline import OfflineBatch, OfflineName, offline_loss

NAMES = get_args(OfflineName)
MASK = torch.tensor([[1, 1, 1], [1, 1, 0]])


def batch(logprobs, reference=None, rewards=(0.75, 0.5), values=(0.25, 0.75)) -> OfflineBatch:
    logprobs = torch.as_tensor(logprobs, dtype=torch.float64).clone().requires_grad_()
    reference = logprobs.detach() if reference is None else torch.as_tensor(reference, dtype=torch.float64)
    rewards, values = (torch.tensor(v, dtype=torch.float64) for v in (rewards, values))
    return OfflineBatch(logprobs, MASK, rewards, reference, values)


START = [[-1.0, -2.0, -3.0], [-0.5, -1.5, math.nan]]


def weights(name: str, given: OfflineBatch, **settings) -> list[list[float]]:
    return offline_loss(name, given, **settings).weights.tolist()


def test_the_weights_at_the_reference_are_reward_or_positive_advantage():
    given = batch(START)
    assert weights("nll", given) == [[1, 1, 1], [1, 1, 0]]
    assert weights("wbc", given) == [[0.75] * 3, [0.5, 0.5, 0]]
    assert weights("r_lol", given) == [[0.75] * 3, [0.5, 0.5, 0]]
    for name in ("a_lol", "a_lol_ref_free", "a_lol_seq"):
        assert weights(name, given) == [[0.5] * 3, [0, 0, 0]]  # 0.75 - 0.25, and 0.5 - 0.75 cut to 0
    assert weights("a_lol_kl", given, kl_beta=0.25) == [[0.25] * 3, [-0.25, -0.25, 0]]


def test_gold_weighs_each_token_by_its_probability_with_a_floor():
    found = offline_loss("reward_gold", batch([[math.log(0.5), math.log(0.01), 0.0], [0.0, 0.0, 0.0]]))
    assert found.weights[0].tolist() == pytest.approx([0.75 * 0.5, 0.75 * 0.1, 0.75])


@pytest.mark.parametrize(("shift", "ratio"), [(-5.0, 0.1), (5.0, 1.9), (0.5, math.exp(0.5))])
def test_the_ratio_is_bounded_below_and_above_at_clip_0_9(shift, ratio):
    reference = [[-1.0 - shift, -2.0, -3.0], [-0.5, -1.5, 0.0]]
    found = offline_loss("r_lol", batch(START, reference), clip=0.9)
    assert found.weights[0].tolist() == pytest.approx([0.75 * ratio] * 3)
    tokens = offline_loss("a_lol_seq", batch(START, reference), clip=0.9)
    assert tokens.weights[0].tolist() == pytest.approx([0.5 * ratio, 0.5, 0.5])


def test_padding_is_not_lifted_to_the_lower_bound():
    assert offline_loss("a_lol_seq", batch(START, rewards=(1, 1), values=(0, 0))).weights[1, 2].item() == 0.0


def test_without_a_clip_the_ratio_is_free_and_still_finite():
    reference = [[-4.0, -2.0, -3.0], [-0.5, -1.5, 0.0]]
    free = offline_loss("r_lol", batch(START, reference), clip=None).weights[0, 0].item()
    assert free == pytest.approx(0.75 * math.exp(3.0))
    far = offline_loss("r_lol", batch(START, [[-999.0, -2.0, -3.0], [-0.5, -1.5, 0.0]]), clip=None)
    assert far.losses.float().isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_the_slope_is_the_weight_and_nothing_flows_through_it(name):
    given = batch(START, [[-1.3, -2.2, -2.5], [-0.2, -1.9, 0.0]])
    found = offline_loss(name, given, kl_beta=0.1 if name.endswith("_kl") else 0.0)
    found.losses.sum().backward()
    torch.testing.assert_close(given.logprobs.grad, -found.weights)


def test_the_kl_variant_shows_the_equations_value():
    reference = [[-1.5, -2.5, -3.0], [-0.5, -1.5, 0.0]]
    found = offline_loss("a_lol_kl", batch(START, reference), kl_beta=0.2)
    # A+ = 0.5, L = -6, L_ref = -7: 0.5 * 6 + 0.2 * 1; the second has A+ = 0 and L = L_ref
    assert found.losses.tolist() == pytest.approx([3.2, 0.0])
    rewarded = offline_loss("r_lol_kl", batch(START, reference), kl_beta=0.2)
    assert rewarded.losses.tolist() == pytest.approx([0.75 * 6 + 0.2, 0.5 * 2])


def test_an_example_already_far_below_the_reference_is_not_pushed_further():
    reference = [[-1.0, -2.0, -3.0], [-0.0, -0.0, 0.0]]  # L - L_ref = 0 and -2
    for floor, guarded in ((-math.inf, False), (-3.0, False), (-2.0, True), (math.inf, True)):
        given = batch(START, reference)
        found = offline_loss("a_lol_kl", given, kl_beta=0.2, log_ratio_floor=floor)
        found.losses.sum().backward()
        assert found.guarded.tolist() == [False, guarded]
        assert given.logprobs.grad[1].tolist() == pytest.approx([0.0] * 3 if guarded else [0.2, 0.2, 0.0])
        assert found.losses.tolist() == pytest.approx([3.0, 0.2 * -2.0])  # the value is the same


def test_unguarded_unlearning_falls_without_bound_and_the_guard_stops_it():
    lowest = {}
    for floor in (-math.inf, -1.0):
        logprobs = torch.tensor([[-1.0, -1.0, -1.0], [-1.0, -1.0, 0.0]], dtype=torch.float64)
        reference = logprobs.clone()
        for _ in range(200):
            given = batch(logprobs, reference, rewards=(0.2, 0.2), values=(0.5, 0.5))
            offline_loss("a_lol_kl", given, kl_beta=0.5, log_ratio_floor=floor).losses.sum().backward()
            logprobs = logprobs - 0.1 * given.logprobs.grad
        lowest[floor] = ((logprobs - reference) * MASK).sum(dim=-1).min().item()
    assert lowest[-math.inf] < -25
    assert -1.2 < lowest[-1.0] <= -1.0


def test_accumulated_small_batches_have_the_slope_of_the_big_one():
    given = batch(START, [[-1.3, -2.2, -2.5], [-0.2, -1.9, 0.0]])
    big = torch.autograd.grad(offline_loss("a_lol", given).losses.mean(), given.logprobs)[0]
    small = torch.zeros_like(big)
    for row in range(2):
        part = OfflineBatch(*(field[row : row + 1] for field in given))
        loss = offline_loss("a_lol", part).losses.mean() / 2
        small[row] = torch.autograd.grad(loss, given.logprobs)[0][row]
    torch.testing.assert_close(big, small)


def test_what_a_loss_needs_and_does_not_get_is_named():
    plain = OfflineBatch(torch.zeros(1, 2), torch.ones(1, 2))
    assert offline_loss("nll", plain).losses.tolist() == [0.0]
    with pytest.raises(ValueError, match="a_lol needs rewards, reference_logprobs, values"):
        offline_loss("a_lol", plain)
    with pytest.raises(ValueError, match="a_lol_ref_free needs rewards, values"):
        offline_loss("a_lol_ref_free", plain)


def test_settings_out_of_bounds_and_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"it is 0\.0; None is off"):
        offline_loss("r_lol", batch(START), clip=0.0)
    with pytest.raises(ValueError, match="it is -1"):
        offline_loss("r_lol_kl", batch(START), kl_beta=-1)
    with pytest.raises(ValueError, match="'a_lol_x' is not known"):
        offline_loss("a_lol_x", batch(START))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "a_lol_seq"])
def test_the_reference_may_be_given_as_sums(name):
    tokens = torch.tensor([[-1.5, -1.0, -3.5], [-2.0, -0.5, math.nan]], dtype=torch.float64)
    settings = {"kl_beta": 0.6, "clip": 0.3, "log_ratio_floor": -1.0}
    one, two = batch(START, tokens), batch(START, tokens)
    by_token = offline_loss(name, one, **settings)
    by_sum = offline_loss(
        name, two._replace(reference_logprobs=torch.tensor([-6.0, -2.5], dtype=torch.float64)), **settings
    )
    assert by_sum.losses.tolist() == pytest.approx(by_token.losses.tolist(), abs=1e-12)
    by_token.losses.sum().backward()
    by_sum.losses.sum().backward()
    assert torch.allclose(two.logprobs.grad, one.logprobs.grad, atol=1e-12)


def test_sums_are_refused_where_every_token_has_a_ratio():
    with pytest.raises(ValueError, match=r"reference_logprobs are \[B, T\]; sums \[B\] were given"):
        offline_loss("a_lol_seq", batch(START)._replace(reference_logprobs=torch.zeros(2)))


@pytest.mark.parametrize("name", ["r_lol", "a_lol", "a_lol_seq"])
@pytest.mark.parametrize("shift", [-40.0, 40.0])
def test_a_clamped_ratio_never_stops_a_gradient(name, shift):
    far = torch.tensor([[-1.0, -2.0, -3.0], [-0.5, -1.5, 0.0]], dtype=torch.float64) - shift
    given = batch(START, far, rewards=(1.0, 1.0), values=(0.5, 0.5))
    offline_loss(name, given, clip=0.9).losses.sum().backward()
    assert bool((given.logprobs.grad[MASK.bool()] < 0).all())
