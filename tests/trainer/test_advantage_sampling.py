"""Drawing by advantage: who can be drawn, how often, reproducibly, and without twins in a batch."""

import pytest
import torch

from trainer.advantage_sampling import draw, draws, order, scaled_steps, shuffled_epochs

GOOD, BAD = torch.tensor([0.3, -0.2, 0.0, 0.1]), torch.tensor([-0.5, 0.6])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_strategies_worked_by_hand():
    priority = draws("good_priority", GOOD, BAD)
    assert (priority.places.tolist(), priority.share) == ([0, 3], 0.5)
    assert priority.probabilities.tolist() == pytest.approx([0.75, 0.25])
    assert draws("good_random", GOOD).probabilities.tolist() == [0.5, 0.5]
    both = draws("all_priority", GOOD, BAD)
    assert both.places.tolist() == [0, 3, 5]
    assert both.probabilities.tolist() == pytest.approx([0.3, 0.1, 0.6])
    assert draws("uniform", GOOD, BAD).places.tolist() == [0, 1, 2, 3, 4, 5]
    assert draws("uniform", GOOD).places.tolist() == [0, 1, 2, 3]


def test_the_shares_of_many_draws_are_the_probabilities():
    found = draw(draws("all_priority", GOOD, BAD), 20_000, seeded())
    shares = [(found == place).double().mean().item() for place in (0, 3, 5)]
    assert shares == pytest.approx([0.3, 0.1, 0.6], abs=0.015)
    assert set(found.tolist()) == {0, 3, 5}


def test_the_same_generator_gives_the_same_run_and_another_another():
    distribution = draws("good_priority", GOOD)
    one, again, other = (draw(distribution, 50, seeded(seed)).tolist() for seed in (1, 1, 2))
    assert one == again != other


def test_a_batch_can_be_kept_free_of_twins():
    distribution = draws("good_priority", torch.tensor([100.0, 1.0, 1.0, 1e-9]))
    found = draw(distribution, 400, seeded(), distinct=4).view(-1, 4)
    assert all(len(set(batch)) == 4 for batch in found.tolist())
    pairs = draw(distribution, 400, seeded(), distinct=2).view(-1, 2)
    assert all(first != second for first, second in pairs.tolist())
    assert (pairs == 0).any(dim=-1).double().mean().item() > 0.95  # the heavy one is in nearly every batch


def test_the_first_of_each_batch_follows_the_probabilities():
    found = draw(draws("all_priority", GOOD, BAD), 30_000, seeded(), distinct=3).view(-1, 3)
    shares = [(found[:, 0] == place).double().mean().item() for place in (0, 3, 5)]
    assert shares == pytest.approx([0.3, 0.1, 0.6], abs=0.02)


def test_uniform_is_whole_shuffled_epochs():
    found = order("uniform", draws("uniform", GOOD, BAD), 15, seeded())
    assert sorted(found[:6].tolist()) == sorted(found[6:12].tolist()) == [0, 1, 2, 3, 4, 5]
    assert len(found) == 15
    assert found[:6].tolist() != found[6:12].tolist()
    assert shuffled_epochs(3, 0, seeded()).tolist() == []


def test_steps_are_scaled_by_what_is_left_in_whole_numbers():
    assert scaled_steps(9000, draws("good_priority", GOOD), 4) == 4500
    assert scaled_steps(9000, draws("all_priority", GOOD, BAD), 4) == 6750
    assert scaled_steps(1, draws("good_priority", GOOD), 4) == 1
    # 0.29 * 100 is 28.999999999999996 in floating point
    assert scaled_steps(100, draws("good_random", torch.tensor([1.0] * 29 + [-1.0] * 71)), 100) == 29


def test_data_that_never_beat_the_reference_are_refused():
    with pytest.raises(ValueError, match="none of 2 completions has an advantage above 0"):
        draws("good_priority", torch.tensor([-1.0, 0.0]))
    with pytest.raises(ValueError, match="rejected completions too"):
        draws("all_priority", GOOD)
    with pytest.raises(ValueError, match="3 distinct completions cannot be drawn from 2"):
        draw(draws("good_priority", GOOD), 3, seeded(), distinct=3)
