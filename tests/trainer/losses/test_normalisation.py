"""Whitening, unit scaling and running moments: by hand, masked, and with too little to go by."""

import pytest
import torch

from trainer.losses.normalisation import RunningMoments, to_unit, whiten

VALUES = torch.tensor([[1.0, 3.0], [5.0, 99.0]], dtype=torch.float64)
MASK = torch.tensor([[1, 1], [1, 0]])


def test_whitening_worked_by_hand():
    # 1, 3, 5: mean 3, unbiased variance 4, biased 8/3
    assert whiten(VALUES, MASK).tolist() == [pytest.approx([-1.0, 0.0]), pytest.approx([1.0, 0.0])]
    kept = whiten(VALUES, MASK, keep_mean=True)
    assert kept.tolist() == [pytest.approx([2.0, 3.0]), pytest.approx([4.0, 0.0])]
    biased = whiten(VALUES, MASK, unbiased=False)
    assert biased[1, 0].item() == pytest.approx(2 / (8 / 3) ** 0.5)


def test_whitened_values_have_mean_0_and_variance_1_and_padding_changes_nothing():
    values = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    mask = torch.ones(4, 6)
    mask[2, 3:] = 0
    found = whiten(values, mask)
    inside = found[mask.bool()]
    assert inside.mean().item() == pytest.approx(0.0, abs=1e-12)
    assert inside.var().item() == pytest.approx(1.0, abs=1e-6)
    other = whiten(values.masked_fill(mask == 0, torch.nan), mask)
    torch.testing.assert_close(found, other)


def test_one_value_cannot_be_whitened():
    with pytest.raises(ValueError, match="at least 2 values, there are 1"):
        whiten(torch.ones(1, 1))


def test_scores_are_scaled_to_mean_0_and_deviation_1():
    scores = torch.tensor([1.0, 3.0, 5.0])
    gain, bias = to_unit(scores)
    assert (gain * scores + bias).tolist() == pytest.approx([-1.0, 0.0, 1.0])


@pytest.mark.parametrize("scores", [[2.0, 2.0], [2.0]])
def test_scores_without_spread_cannot_be_scaled(scores):
    with pytest.raises(ValueError, match="without spread"):
        to_unit(torch.tensor(scores))


def test_running_moments_are_those_of_all_scores_at_once():
    scores = torch.randn(40, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * 3 + 7
    moments = RunningMoments()
    for part in scores.split([1, 9, 30]):
        moments = moments.updated(part)
    assert moments.count == 40
    assert moments.mean == pytest.approx(scores.mean().item())
    assert moments.std == pytest.approx(scores.std().item())
    torch.testing.assert_close(moments.normalised(scores).mean().item(), 0.0, atol=1e-9, rtol=0)
    torch.testing.assert_close(moments.normalised(scores, centred=False), scores / scores.std())


def test_moments_are_values_and_an_empty_batch_leaves_them():
    first = RunningMoments().updated(torch.tensor([1.0, 3.0]))
    first.updated(torch.tensor([100.0]))
    assert (first.count, first.mean, first.variance) == (2, 2.0, 1.0)
    assert first.updated(torch.empty(0)) == first
