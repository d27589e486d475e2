"""KL-shaped rewards, missing ends and GAE: by hand, at the ends, and with garbage in the padding."""

import math

import pytest
import torch

from trainer.losses.token_rewards import (
    completion_until_stop,
    full_kl,
    gae,
    kl_per_token,
    penalise_missing_end,
    shaped_rewards,
)

MASK = torch.tensor([[1, 1, 1], [1, 1, 0]])
POLICY = torch.tensor([[-1.0, -2.0, -3.0], [-1.0, -1.0, math.nan]])
REFERENCE = torch.tensor([[-2.0, -2.0, -1.0], [-1.5, -1.0, 0.0]])  # d = 1, 0, -2 and 0.5, 0


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        ("k1", [1.0, 0.0, -2.0]),
        ("abs", [1.0, 0.0, 2.0]),
        ("k2", [0.5, 0.0, 2.0]),
        ("k3", [math.exp(-1), 0.0, math.exp(2) - 3]),
    ],
)
def test_the_estimates_of_the_kl_worked_by_hand(estimator, expected):
    found = kl_per_token(POLICY, REFERENCE, MASK, estimator=estimator)
    assert found[0].tolist() == pytest.approx(expected, abs=1e-6)
    assert found[1, 2].item() == 0.0


def test_k1_and_k3_average_to_the_exact_kl_over_the_policys_own_tokens():
    generator = torch.Generator().manual_seed(0)
    policy, reference = torch.randn(2, 6, generator=generator, dtype=torch.float64)
    logp, logr = policy.log_softmax(-1).unsqueeze(0), reference.log_softmax(-1).unsqueeze(0)
    exact = full_kl(policy, reference).item()
    for estimator in ("k1", "k3"):
        estimates = kl_per_token(logp, logr, torch.ones(1, 6), estimator=estimator)
        assert (logp.exp() * estimates).sum().item() == pytest.approx(exact)


def test_an_estimate_can_be_limited_and_an_unknown_one_is_refused():
    assert kl_per_token(POLICY, REFERENCE, MASK, limit=1.5)[0].tolist() == pytest.approx([1.0, 0.0, -1.5])
    with pytest.raises(ValueError, match="'k4' is not known; choose from k1, abs, k2, k3"):
        kl_per_token(POLICY, REFERENCE, MASK, estimator="k4")


def test_the_score_is_on_each_rows_last_token():
    kl = kl_per_token(POLICY, REFERENCE, MASK)
    rewards = shaped_rewards(kl, torch.tensor([10.0, 20.0]), MASK, coefficient=0.1)
    assert rewards.tolist() == [pytest.approx([-0.1, 0.0, 10.2]), pytest.approx([-0.05, 20.0, 0.0])]


def test_a_completion_without_its_end_is_marked_down_in_either_way():
    scores, ended = torch.tensor([3.0, 3.0]), torch.tensor([True, False])
    assert penalise_missing_end(scores, ended, penalty=1.0, mode="replace").tolist() == [3.0, -1.0]
    assert penalise_missing_end(scores, ended, penalty=1.0, mode="subtract").tolist() == [3.0, 2.0]
    with pytest.raises(ValueError, match="0 or more, it is -1"):
        penalise_missing_end(scores, ended, penalty=-1.0, mode="replace")


def test_a_completion_goes_up_to_and_with_its_first_stop_at_or_after_the_start():
    ids = torch.tensor([[7, 2, 7, 2, 7], [7, 7, 7, 7, 7]])
    assert completion_until_stop(ids, 2).tolist() == [[1, 1, 0, 0, 0], [1, 1, 1, 1, 1]]
    assert completion_until_stop(ids, 2, start=2).tolist() == [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 0, 0, 0]])
    assert completion_until_stop(ids, 2, start=2, mask=mask).tolist() == [[1, 1, 1, 0, 0], [1, 1, 0, 0, 0]]


def test_gae_worked_by_hand():
    # gamma 0.9, lambda 0.5. deltas: 1 + 0.9*2 - 1 = 1.8; 2 + 0.9*3 - 2 = 2.7; 4 + 0 - 3 = 1
    # A3 = 1, A2 = 2.7 + 0.45 = 3.15, A1 = 1.8 + 0.45*3.15 = 3.2175
    one = torch.ones(1, 3)
    found = gae(torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[1.0, 2.0, 3.0]]), one, gamma=0.9, lam=0.5)
    assert found.advantages.tolist()[0] == pytest.approx([3.2175, 3.15, 1.0])
    assert found.returns.tolist()[0] == pytest.approx([4.2175, 5.15, 4.0])


def test_with_lambda_1_the_returns_are_the_rewards_to_go():
    rewards, values = torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[0.3, -2.0, 9.0]])
    assert gae(rewards, values, torch.ones(1, 3), lam=1.0).returns.tolist()[0] == pytest.approx([7.0, 6.0, 4.0])


def test_with_lambda_0_the_advantages_are_one_step_errors():
    rewards, values = torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[0.5, 1.5, 3.0]])
    assert gae(rewards, values, torch.ones(1, 3), lam=0.0).advantages.tolist()[0] == pytest.approx([2.0, 3.5, 1.0])


def test_values_in_the_padding_do_not_leak_into_the_last_token():
    rewards, values = torch.tensor([[1.0, 2.0, 8.0]]), torch.tensor([[1.0, 2.0, 50.0]])
    padded = gae(rewards, values, torch.tensor([[1, 1, 0]]))
    alone = gae(rewards[:, :2], values[:, :2], torch.ones(1, 2))
    assert padded.advantages[:, :2].tolist() == alone.advantages.tolist()
    assert padded.advantages[0, 2].item() == padded.returns[0, 2].item() == 0.0


def test_no_slope_flows_through_advantages_and_returns():
    values = torch.ones(1, 2, requires_grad=True)
    found = gae(torch.ones(1, 2), values, torch.ones(1, 2))
    assert not found.advantages.requires_grad and not found.returns.requires_grad


def test_an_empty_row_and_padding_in_front_are_refused():
    with pytest.raises(ValueError, match="row 1 has no completion token"):
        gae(torch.zeros(2, 2), torch.zeros(2, 2), torch.tensor([[1, 0], [0, 0]]))
    with pytest.raises(ValueError, match="padded on the right"):
        shaped_rewards(torch.zeros(1, 2), torch.zeros(1), torch.tensor([[0, 1]]), coefficient=0.1)
