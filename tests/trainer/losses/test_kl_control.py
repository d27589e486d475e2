"""The KL coefficient: up, down, bounded, and a value that can be kept."""

import pytest

from trainer.losses.kl_control import AdaptiveKL, FixedKL


def test_one_update_worked_by_hand():
    # 6.6 / 6 - 1 = 0.1, 500 of 10 000 episodes: 0.15 * (1 + 0.1 * 0.05)
    assert AdaptiveKL().updated(6.6, 500).coefficient == pytest.approx(0.15 * 1.005)


def test_the_change_is_at_most_a_fifth_per_horizon():
    assert AdaptiveKL().updated(600.0, 10_000).coefficient == pytest.approx(0.15 * 1.2)
    assert AdaptiveKL().updated(-5.0, 10_000).coefficient == pytest.approx(0.15 * 0.8)


def test_at_its_target_it_stays():
    assert AdaptiveKL().updated(6.0, 10_000) == AdaptiveKL()


def test_a_fixed_coefficient_stays_and_an_adaptive_one_is_not_changed_in_place():
    assert FixedKL(0.07).updated(99.0, 10_000) == FixedKL(0.07)
    controller = AdaptiveKL()
    controller.updated(99.0, 10_000)
    assert controller.coefficient == 0.15


@pytest.mark.parametrize("changes", [{"coefficient": 0.0}, {"target": 0.0}, {"horizon": -1.0}])
def test_settings_that_are_not_above_0_are_refused(changes):
    with pytest.raises(ValueError, match="above 0"):
        AdaptiveKL(**changes)
