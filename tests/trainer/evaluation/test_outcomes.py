import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.evaluation.outcomes import Outcome, parse_outcome, read_outcomes
from trainer.evaluation.pairs import aligned, gather

ROW = {"prompt": "p", "model_a": "new", "model_b": "old", "score_a": 1}


def parsed(**given: Any) -> Outcome:
    return parse_outcome(json.dumps({**ROW, **given}).encode())


def without(*keys: str) -> dict[str, Any]:
    return {key: value for key, value in ROW.items() if key not in keys}


def test_a_row_with_everything() -> None:
    row = parsed(length_a=10, length_b=20.5, rater="ann", order="ba", tags=["maths", "maths", "short"])
    assert (row.score_a, row.length_a, row.length_b, row.rater) == (1.0, 10.0, 20.5, "ann")
    assert (row.a_first, row.tags) == (False, ("maths", "short"))


@pytest.mark.parametrize(
    ("word", "score", "flip"),
    [
        ("win", 1.0, False),
        ("LOSS", 0.0, False),
        ("tie", 0.5, False),
        ("flip", 0.5, True),
        ("invalid", None, False),
        ("model_a", 1.0, False),
        ("b", 0.0, False),
        ("tie (bothbad)", 0.5, False),
        ("tie (inconsistent)", 0.5, True),
    ],
)
def test_outcomes_are_from_the_side_of_model_a(word: str, score: float | None, flip: bool) -> None:
    row = parse_outcome(json.dumps({**without("score_a"), "outcome": word}).encode())
    assert (row.score_a, row.flip) == (score, flip)


def test_a_null_score_is_an_invalid_verdict_and_no_loss() -> None:
    assert parsed(score_a=None).score_a is None


def test_a_soft_score_may_stand_beside_the_outcome_it_means() -> None:
    assert parsed(score_a=0.7, outcome="win").score_a == 0.7
    assert parsed(score_a=0.55, outcome="flip").flip


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"not json", "not JSON"),
        (b"[1]", "not an object"),
        (b"\xff{}", "not UTF-8"),
        (b"[" * 100_000, "not "),
        (json.dumps(without("prompt")).encode(), "prompt is missing"),
        (json.dumps(without("model_a")).encode(), "model_a is missing"),
        (json.dumps({**ROW, "model_b": 3}).encode(), "model_b is 3"),
        (json.dumps({**ROW, "model_b": "\ud800"}).encode(), "surrogate"),
        (json.dumps(without("score_a")).encode(), "neither score_a nor outcome"),
        (json.dumps({**ROW, "score_a": 1.5}).encode(), "score_a is 1.5"),
        (json.dumps({**ROW, "score_a": True}).encode(), "score_a is true"),
        (json.dumps({**ROW, "score_a": "1"}).encode(), 'score_a is "1"'),
        (json.dumps({**ROW, "score_a": float("nan")}).encode(), "NaN"),
        (json.dumps({**ROW, "outcome": "maybe"}).encode(), 'outcome is "maybe"'),
        (json.dumps({**ROW, "outcome": "loss"}).encode(), "contradicts score_a 1"),
        (json.dumps({**ROW, "length_a": -1}).encode(), "length_a is -1"),
        (json.dumps({**ROW, "length_b": "long"}).encode(), 'length_b is "long"'),
        (json.dumps({**ROW, "length_b": 10**400}).encode(), "too large"),
        (json.dumps({**ROW, "rater": 1.5}).encode(), "rater is 1.5"),
        (json.dumps({**ROW, "tags": [1]}).encode(), "tags is [1]"),
        (json.dumps({**ROW, "style_a": {"lists": -1}}).encode(), "lists is -1"),
    ],
)
def test_a_row_that_cannot_be_used_is_left_out_with_its_line_and_why(line: bytes, told: str) -> None:
    outcomes, left_out = read_outcomes([(1, json.dumps(ROW).encode()), (2, b"  "), (7, line)])
    assert len(outcomes) == 1
    assert [row.line for row in left_out] == [7] and told in left_out[0].reason


VALUES = st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5)
FIELDS = st.sampled_from([*ROW, "outcome", "length_a", "order", "tags"])


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_no_line_at_all_is_more_than_left_out(line: bytes) -> None:
    outcomes, left_out = read_outcomes([(1, line)])
    assert outcomes == [] and len(left_out) <= 1


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(FIELDS, st.none() | st.floats() | st.text()))
def test_no_fields_at_all_are_more_than_left_out(row: dict[str, Any]) -> None:
    outcomes, left_out = read_outcomes([(1, json.dumps(row).encode())])
    assert len(outcomes) + len(left_out) == 1


def test_numbers_and_texts_name_the_same_prompt() -> None:
    assert parsed(prompt=7).prompt == parsed(prompt="7").prompt


def test_a_pair_is_in_the_direction_it_is_first_met_in() -> None:
    rows = [parsed(), parsed(prompt="q", model_a="old", model_b="new", score_a=0.2, length_a=5, length_b=9)]
    [pair] = gather(aligned(rows))
    assert (pair.model_a, pair.model_b) == ("new", "old")
    assert pair.scores.tolist() == [1.0, 0.8]
    assert (pair.length_a[1], pair.length_b[1]) == (9, 5)


def test_both_orders_of_a_prompt_are_one_score_and_may_be_a_flip() -> None:
    rows = [
        parsed(order="ab"),
        parsed(order="ba", score_a=0),
        parsed(prompt="q", order="ab"),
        parsed(prompt="q", order="ba"),
    ]
    [pair] = gather(aligned(rows))
    assert pair.scores.tolist() == [0.5, 1.0]
    assert (pair.n, pair.wins, pair.ties, pair.flips) == (2, 1, 1, 1)


def test_a_turned_row_keeps_who_was_shown_first() -> None:
    rows = aligned([parsed(), parsed(model_a="old", model_b="new", score_a=0, order="ab")])
    assert (rows[1].model_a, rows[1].score_a, rows[1].a_first) == ("new", 1.0, False)


def test_invalid_prompts_are_outside_n_unless_another_row_is_valid() -> None:
    rows = [parsed(), parsed(prompt="q", score_a=None), parsed(prompt="r", score_a=None), parsed(prompt="r", score_a=0)]
    [pair] = gather(aligned(rows))
    assert (pair.n, pair.invalid, pair.losses) == (2, 1, 1)


def test_a_model_against_itself_is_a_pair_of_its_own() -> None:
    rows = [parsed(model_a="old", score_a=0.5), parsed(prompt="q", model_a="old", score_a=0.5)]
    [pair] = gather(aligned(rows))
    assert (pair.model_a, pair.model_b, pair.ties) == ("old", "old", 2)
