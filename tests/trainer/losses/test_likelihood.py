"""Log-probabilities and means: the right positions, padding that counts for nothing, sums apart from means."""

import math

import pytest
import torch

from trainer.losses.likelihood import (
    completion_logprobs,
    dft_nll,
    entropy,
    keep,
    label_logprobs,
    masked_mean,
    sample_nll,
    sequence_nll,
    token_nll,
)

# probabilities 1/2, 1/4; and 1/8 of one token
LOGPROBS = torch.tensor([[math.log(0.5), math.log(0.25)], [math.log(0.125), math.nan]], dtype=torch.float64)
MASK = torch.tensor([[1, 1], [1, 0]])
LN2 = math.log(2)


def test_sums_and_means_worked_by_hand():
    assert sequence_nll(LOGPROBS, MASK).tolist() == pytest.approx([3 * LN2, 3 * LN2])
    assert sample_nll(LOGPROBS, MASK).tolist() == pytest.approx([1.5 * LN2, 3 * LN2])
    assert token_nll(LOGPROBS, MASK).item() == pytest.approx(2 * LN2)  # 6 ln 2 over 3 tokens
    # 1/2 ln 2 + 1/4 2 ln 2 + 1/8 3 ln 2 over 3 tokens
    assert dft_nll(LOGPROBS, MASK).item() == pytest.approx((0.5 + 0.5 + 0.375) * LN2 / 3)


def test_padding_has_no_value_and_no_slope_whatever_stands_there():
    logprobs = LOGPROBS.clone().requires_grad_()
    sequence_nll(logprobs, MASK).sum().backward()
    assert logprobs.grad.tolist() == [[-1.0, -1.0], [-1.0, 0.0]]
    logprobs.grad = None
    dft_nll(logprobs, MASK).backward()
    assert logprobs.grad[1, 1].item() == 0.0
    assert keep(torch.tensor([math.inf, 2.0]), torch.tensor([0, 1])).tolist() == [0.0, 2.0]


def test_the_slope_of_dft_is_the_probability_without_the_slope_of_the_weight():
    logprobs = LOGPROBS[:1].clone().requires_grad_()
    dft_nll(logprobs, MASK[:1]).backward()
    assert logprobs.grad[0].tolist() == pytest.approx([-0.25, -0.125])


def test_token_means_of_small_batches_add_up_to_that_of_the_big_one():
    big = token_nll(LOGPROBS, MASK).item()
    small = sum(token_nll(LOGPROBS[i : i + 1], MASK[i : i + 1], tokens=1.5).item() for i in (0, 1)) / 2
    assert small == pytest.approx(big)


def test_the_logits_before_a_token_are_those_that_predict_it():
    ids = torch.tensor([[0, 1, 2, 1]])
    logits = torch.full((1, 4, 3), -100.0)
    for place, following in enumerate([1, 2, 1]):
        logits[0, place, following] = 0.0
    mask = torch.tensor([[0, 0, 1, 1]])
    logprobs, kept = completion_logprobs(logits, ids, mask)
    assert kept.tolist() == [[0, 1, 1]]
    assert logprobs[0].tolist() == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)


def test_a_temperature_flattens_the_log_probabilities():
    logits = torch.tensor([[math.log(3.0), 0.0]])
    assert label_logprobs(logits, torch.tensor([0])).item() == pytest.approx(math.log(0.75))
    hot = label_logprobs(logits, torch.tensor([0]), temperature=2.0).item()
    assert hot == pytest.approx(math.log(3**0.5 / (3**0.5 + 1)))


def test_half_precision_logits_are_summed_in_float32():
    assert label_logprobs(torch.zeros(1, 5, dtype=torch.bfloat16), torch.tensor([1])).dtype == torch.float32


def test_entropy_worked_by_hand():
    assert entropy(torch.zeros(2, 8)).tolist() == pytest.approx([math.log(8)] * 2)
    assert entropy(torch.tensor([100.0, 0.0])).item() == pytest.approx(0.0, abs=1e-6)


def test_a_batch_without_a_completion_token_and_a_temperature_of_0_are_refused():
    with pytest.raises(ValueError, match="0 everywhere"):
        masked_mean(torch.zeros(1, 2), torch.zeros(1, 2))
    with pytest.raises(ValueError, match="above 0"):
        label_logprobs(torch.zeros(1, 2), torch.tensor([0]), temperature=0.0)
