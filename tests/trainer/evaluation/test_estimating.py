"""What an evaluation takes, before it has any text: never fewer calls or tokens than it will make."""

from typing import Any

import pytest

from trainer.evaluation.estimating import Expected, estimate_before
from trainer.evaluation.judges.budget import CHARACTERS_PER_TOKEN, Prices
from trainer.evaluation.judges.rubric_shelf import read_rubric
from trainer.starter.judge.form import LONGEST_COMPLETION

RUBRIC = read_rubric("helpful")


def estimate(kind: Any, count: int = 10, prices: Prices | None = None, **changes: Any) -> Any:
    prompts = [Expected([{"role": "user", "content": f"Question {n}?"}], **changes) for n in range(count)]
    return estimate_before(prompts, kind=kind, rubric=RUBRIC, prices=prices or Prices(), sample_tokens=160)


@pytest.mark.parametrize(
    ("kind", "calls"), [("starter", 20), ("local", 20), ("endpoint", 20), ("reward_model", 10), ("similarity", 10)]
)
def test_both_orders_are_counted_where_the_judge_sees_one(kind: str, calls: int) -> None:
    assert estimate(kind).calls == calls


def test_two_samples_of_the_longest_kind_are_read_in_every_call() -> None:
    assert estimate("local").input_tokens > 20 * 2 * 160
    assert estimate("starter").input_tokens > 20 * 2 * LONGEST_COMPLETION / CHARACTERS_PER_TOKEN  # it cuts them


def test_only_a_server_writes_and_only_prices_cost() -> None:
    assert estimate("local").output_tokens == 0 and estimate("endpoint").output_tokens == 20 * 1024
    assert (estimate("endpoint").cost, estimate("endpoint").most) == (0, 0)


def test_the_most_bounds_texts_of_any_script_at_the_rubrics_cap() -> None:
    found = estimate("endpoint", prices=Prices(1.0, 0.0))
    assert found.cost == pytest.approx(found.input_tokens / 1e6)
    assert found.most > 20 * 2 * 4 * RUBRIC.longest_text / 1e6


def test_a_baseline_that_is_known_counts_by_its_own_length() -> None:
    assert estimate("local", baseline="Yes.").input_tokens < estimate("local").input_tokens
