"""The charts of a run's own metrics: over-optimisation on one scale, and the guards nearest to their limits."""

from typing import Any

import pytest

from app.ui.guards_chart import guards_chart, guards_figure, guards_told, guards_used
from app.ui.reward_chart import PROXY, reward_charts, reward_figure, reward_lines, reward_told

METRICS: dict[str, list[tuple[int, float]]] = {
    "objective/kl": [(1, 0.0), (2, 4.0), (3, 9.0)],
    "rewards/similarity/mean": [(1, 0.5), (2, 0.6), (3, 0.8)],
    "rewards/similarity/std": [(1, 0.1), (2, 0.2), (3, 0.3)],
    "gold/right/mean": [(1, 0.4), (2, 0.4), (3, 0.2)],
    "gold/right/std": [(1, 0.5), (2, 0.5), (3, 0.4)],
}
CONFIG: dict[str, Any] = {"rewards": [{"kind": "similarity", "weight": 2.0, "name": ""}]}
GUARDS = {
    "guards/kl": [(1, 0.0), (2, 0.5)],
    "guards/kl/used": [(1, 0.0), (2, 0.5)],
    "guards/self_bleu/used": [(1, 0.1), (2, 1.5)],
    "guards/length/used": [(1, 0.9), (2, 0.2)],
    "guards/empty/used": [(1, 0.0), (2, 0.0)],
}


def test_changes_are_in_deviations_of_the_first_step_and_weighted_as_in_the_sum() -> None:
    lines = reward_lines(METRICS, CONFIG)
    assert lines[PROXY] == pytest.approx({1: 0, 2: 2, 3: 6})
    assert lines["gold: right"] == pytest.approx({1: 0, 2: 0, 3: -0.4})


def test_several_rewards_are_added_up_at_the_steps_that_have_all_of_them() -> None:
    more = METRICS | {"rewards/length/mean": [(1, 1.0), (3, 0.0)], "rewards/length/std": [(1, 0.5), (3, 0.5)]}
    config = {"rewards": [*CONFIG["rewards"], {"kind": "length", "weight": 1.0}]}
    assert reward_lines(more, config)[PROXY] == pytest.approx({1: 0, 3: 4})


def test_a_reward_that_does_not_vary_at_first_is_drawn_raw() -> None:
    flat = METRICS | {"gold/right/std": [(1, 0.0)]}
    assert reward_lines(flat, CONFIG)["gold: right"] == pytest.approx({1: 0, 2: 0, 3: -0.2})


def test_a_reward_that_is_not_composed_is_its_scores() -> None:
    scores = {"objective/scores": [(1, 1.0), (2, 3.0)], "objective/scores_std": [(1, 2.0), (2, 2.0)]}
    assert reward_lines(scores, {})[PROXY] == pytest.approx({1: 0, 2: 1})


def test_both_charts_have_every_step_one_of_them_by_its_kl() -> None:
    told, by_kl, by_step = reward_charts(METRICS, CONFIG)
    assert by_kl["visible"] and by_step["visible"] and "Similarity went from 0.5 to 0.8; gold right" in told
    assert list(by_kl["value"].data[0].x) == [0.0, 4.0, 9.0] and list(by_step["value"].data[0].x) == [1, 2, 3]
    assert [trace.name for trace in by_kl["value"].data] == [PROXY, "gold: right"]


def test_a_run_without_a_gold_reward_is_told_how_to_have_one() -> None:
    bare = {name: points for name, points in METRICS.items() if not name.startswith("gold/")}
    assert "No gold reward is measured" in reward_told(bare, CONFIG)


def test_runs_without_rewards_have_no_such_chart() -> None:
    told, by_kl, by_step = reward_charts({"loss": [(1, 0.5)]}, {})
    assert told == "" and not by_kl["visible"] and not by_step["visible"]


def test_a_name_with_markup_is_escaped_in_the_chart() -> None:
    figure = reward_figure({"gold: <b>x</b>": [(1.0, 0.0, 1)]}, "step")
    assert figure.data[0].name == "gold: &lt;b&gt;x&lt;/b&gt;"


def test_the_guards_nearest_to_their_limits_are_drawn_against_the_limit() -> None:
    figure = guards_figure(guards_used(GUARDS))
    assert [trace.name for trace in figure.data] == ["self-BLEU", "KL", "length"]
    assert list(figure.data[0].y) == pytest.approx([10, 150]) and figure.layout.shapes[0].y0 == 100


def test_guards_beyond_their_limits_are_named_and_else_the_nearest() -> None:
    assert "Beyond the limit: self-BLEU." in guards_told(guards_used(GUARDS))
    good = {name: points[:1] for name, points in GUARDS.items()}
    assert "All 4 hold; nearest to its limit is length, 90% of the way." in guards_told(guards_used(good))


def test_runs_that_are_not_watched_have_no_chart_of_guards() -> None:
    told, update = guards_chart({"loss": [(1, 0.5)]})
    assert told == "" and not update["visible"]
